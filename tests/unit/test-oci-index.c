/* SPDX-License-Identifier: Apache-2.0 */

/* index.json of an image layout: an image is added, and all else stays. */

#include "util/cleanup.h"
#include "volume/export-oci.h"
#include "volume/oci-index.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define REF "\"annotations\":{\"org.opencontainers.image.ref.name\":"
#define MANIFEST "application/vnd.oci.image.manifest.v1+json"

/* Image AAA, of 7 bytes, named "mine", as it is added. */
#define MINE                                                                   \
	"{\"mediaType\":\"" MANIFEST "\",\"digest\":\"sha256:" A64             \
	"\",\"size\":7," REF "\"mine\"}}"

static int add(const char *before, bool force, char **ret, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT, after = BUF_INIT;
	struct digest digest;
	const struct oci_image image = {
		.digest = &digest, .size = 7, .ref = "mine"};
	int r;

	memset(&digest, 0xaa, sizeof(digest));
	*err = ERR_INIT;
	assert_int_equal(buf_add_str(&b, before), 0);
	r = oci_index_add(&b, &image, force, "DIR", &after, err);
	*ret = r == 0 ? strdup(after.size ? buf_str(&after) : "") : NULL;
	return r;
}

static void assert_added(const char *before, bool force, const char *want)
{
	_cleanup_free_ char *after = NULL;
	struct err err;

	if (add(before, force, &after, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(after, want);
}

static void test_a_layout_without_index_gets_one(void **state)
{
	(void)state;
	assert_added("", false,
		     "{\"schemaVersion\":2,\"mediaType\":"
		     "\"application/vnd.oci.image.index.v1+json\","
		     "\"manifests\":[" MINE "]}");
}

static void test_all_else_stays_in_its_order(void **state)
{
	(void)state;
	assert_added("{\"z\":{\"b\":1,\"a\":[2.5,null]},\"manifests\":["
		     "{\"digest\":\"x\"},{\"size\":1," REF "\"other\"}}],"
		     "\"schemaVersion\":2}",
		     false,
		     "{\"z\":{\"b\":1,\"a\":[2.5,null]},\"manifests\":["
		     "{\"digest\":\"x\"},{\"size\":1," REF "\"other\"}}," MINE
		     "],\"schemaVersion\":2}");
}

static void test_an_image_that_is_there_is_not_added(void **state)
{
	(void)state;
	assert_added("{\"schemaVersion\":2,\"manifests\":[" MINE "]}", false,
		     "");
}

static void test_a_name_is_taken_from_another_only_by_force(void **state)
{
	static const char before[] =
		"{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:" B64
		"\"," REF "\"mine\"}}]}";
	_cleanup_free_ char *after = NULL;
	struct err err;

	(void)state;
	assert_int_equal(add(before, false, &after, &err), -EEXIST);
	assert_non_null(strstr(err.text, "DIR has another image named mine"));
	assert_added(
		before, true,
		"{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:" B64
		"\"}," MINE "]}");
}

/* Which others may write, and nobody can tell which one is meant. */
static void test_a_name_that_two_images_have_stays_with_one(void **state)
{
	static const char other[] =
		"{\"digest\":\"sha256:" B64 "\"," REF "\"mine\"}}";
	static const char nameless[] = "{\"digest\":\"sha256:" B64 "\"}";
	char before[1000], want[1000];
	struct err err;

	(void)state;
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *after = NULL;

		(void)snprintf(before, sizeof(before),
			       "{\"schemaVersion\":2,\"manifests\":[%s,%s]}",
			       i ? MINE : other, i ? other : MINE);
		(void)snprintf(want, sizeof(want),
			       "{\"schemaVersion\":2,\"manifests\":[%s,%s]}",
			       i ? MINE : nameless, i ? nameless : MINE);
		assert_int_equal(add(before, false, &after, &err), -EEXIST);
		assert_added(before, true, want);
	}
}

static void test_what_is_no_index_is_refused(void **state)
{
	static const char *const bad[] = {
		"{",
		"[]",
		"{}",
		"{\"schemaVersion\":1,\"manifests\":[]}",
		"{\"schemaVersion\":2}",
		"{\"schemaVersion\":2,\"manifests\":{}}",
		"{\"schemaVersion\":2,\"schemaVersion\":2,\"manifests\":[]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_free_ char *after = NULL;
		struct err err;

		assert_int_equal(add(bad[i], true, &after, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "DIR/index.json"));
	}
}

static void test_names_are_those_of_the_specification(void **state)
{
	static const char *const good[] = {"a",		"1.0",	"my-data-3",
					   "a/b:c@d+e", "A--b", "a_b"};
	static const char *const bad[] = {"",	 "-a",	     "a-", "a b",
					  "a\n", "\xc3\xa4", ":",  "a/"};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(export_oci_check_ref(good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = ERR_INIT;
		assert_int_equal(export_oci_check_ref(bad[i], &err), -EINVAL);
		assert_non_null(strstr(err.text, "cannot be named"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_layout_without_index_gets_one),
		cmocka_unit_test(test_all_else_stays_in_its_order),
		cmocka_unit_test(test_an_image_that_is_there_is_not_added),
		cmocka_unit_test(
			test_a_name_is_taken_from_another_only_by_force),
		cmocka_unit_test(
			test_a_name_that_two_images_have_stays_with_one),
		cmocka_unit_test(test_what_is_no_index_is_refused),
		cmocka_unit_test(test_names_are_those_of_the_specification),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
