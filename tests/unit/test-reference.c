/* SPDX-License-Identifier: Apache-2.0 */
/* Names and references: what passes, what does not, and that refusals are safe
 * to print and say what is right. */
#include "format/reference.h"
#include "util/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char *repeat(char c, size_t n)
{
	char *s = calloc(1, n + 1);

	assert_non_null(s);
	memset(s, c, n);
	return s;
}

static void assert_printable(const char *text)
{
	assert_true(*text);
	for (; *text; text++)
		assert_in_range(*text, ' ', '~');
}

/* Refused, with a sentence that contains what. */
static void assert_refused(const char *s, const char *what)
{
	struct err err = ERR_INIT;
	struct reference ref;

	assert_int_equal(reference_parse(s, &ref, &err), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_printable(err.text);
	if (!strstr(err.text, what))
		fail_msg("\"%s\" does not say \"%s\"", err.text, what);
	assert_int_equal(reference_parse(s, &ref, NULL), -EINVAL);
}

static void test_bare_name_is_the_newest_version(void **state)
{
	struct reference ref;

	assert_int_equal(reference_parse("my-data", &ref, NULL), 0);
	assert_int_equal(ref.kind, REFERENCE_NEWEST);
	assert_string_equal(ref.volume, "my-data");
}

static void test_at_sign_gives_a_sequence(void **state)
{
	struct reference ref;

	assert_int_equal(reference_parse("a.b_c@7", &ref, NULL), 0);
	assert_int_equal(ref.kind, REFERENCE_SEQUENCE);
	assert_string_equal(ref.volume, "a.b_c");
	assert_int_equal(ref.sequence, 7);
	assert_int_equal(reference_parse("a@9007199254740991", &ref, NULL), 0);
	assert_int_equal(ref.sequence, SEQUENCE_MAX);
}

static void test_colon_gives_a_tag(void **state)
{
	struct reference ref;

	assert_int_equal(reference_parse("a:_V1.0-rc", &ref, NULL), 0);
	assert_int_equal(ref.kind, REFERENCE_TAG);
	assert_string_equal(ref.volume, "a");
	assert_string_equal(ref.tag, "_V1.0-rc");
}

static void test_digest_is_taken_with_and_without_prefix(void **state)
{
	static const char *const forms[] = {HEX64, "sha256:" HEX64};
	char hex[DIGEST_HEX_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct reference ref;

		assert_int_equal(reference_parse(forms[i], &ref, NULL), 0);
		assert_int_equal(ref.kind, REFERENCE_DIGEST);
		assert_string_equal(digest_hex(&ref.digest, hex), HEX64);
	}
}

static void test_digest_may_be_cut_to_eight_digits(void **state)
{
	struct reference ref;

	assert_int_equal(reference_parse("sha256:0123abcd", &ref, NULL), 0);
	assert_int_equal(ref.kind, REFERENCE_DIGEST_PREFIX);
	assert_string_equal(ref.prefix, "0123abcd");
	assert_refused("sha256:0123abc", "8 to 64");
}

static void test_hex_without_prefix_is_a_name_until_64(void **state)
{
	struct reference ref;

	assert_int_equal(reference_parse("0123abcd", &ref, NULL), 0);
	assert_int_equal(ref.kind, REFERENCE_NEWEST);
	assert_int_equal(reference_parse(HEX64 "0", &ref, NULL), 0);
	assert_int_equal(ref.kind, REFERENCE_NEWEST);
}

static void test_bad_digests_are_refused(void **state)
{
	assert_refused("sha256:", "not a digest");
	assert_refused("sha256:latest", "not a digest");
	assert_refused("sha256:" HEX64 "0", "not a digest");
	assert_refused("sha256:0123ABCD", "0-9 and a-f");
	assert_refused("sha256:0123abcd@1", "not a digest");
	assert_refused("sha256", "read as a digest");
	assert_refused("sha256@1", "read as a digest");
}

static void test_bad_names_are_refused(void **state)
{
	static const char *const names[] = {
		"",	   ".",	   "..",  "-a",	      "a-",
		"a.",	   "_a",   "A",	  "a b",      "a/b",
		"../../a", "a\nb", "a%b", "\xc3\xa9", "a\x1b[",
		"/a",	   "a\\b", "a*",  "a\"quote",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct err err = ERR_INIT;

		assert_refused(names[i], "not a volume name");
		assert_int_equal(volume_name_check(names[i], &err), -EINVAL);
		assert_printable(err.text);
		assert_non_null(strstr(err.text, "\"my-data\""));
	}
	assert_refused("@1", "empty");
	assert_refused(":tag", "empty");
}

static void test_names_end_at_128_characters(void **state)
{
	_cleanup_free_ char *longest = repeat('a', 128);
	_cleanup_free_ char *longer = repeat('a', 129);
	_cleanup_free_ char *huge = repeat('a', 1 << 20);
	_cleanup_free_ char *controls = repeat('\n', 1 << 20);
	struct reference ref;

	assert_int_equal(reference_parse(longest, &ref, NULL), 0);
	assert_string_equal(ref.volume, longest);
	assert_refused(longer, "128");
	assert_refused(huge, "128");
	assert_refused(controls, "...");
}

static void test_names_of_one_character_pass(void **state)
{
	assert_int_equal(volume_name_check("a", NULL), 0);
	assert_int_equal(volume_name_check("0", NULL), 0);
	assert_int_equal(volume_name_check("a..b", NULL), 0);
	assert_int_equal(volume_name_check("sha256x", NULL), 0);
	assert_int_equal(volume_name_check("", NULL), -EINVAL);
	assert_int_equal(volume_name_check(HEX64, NULL), -EINVAL);
}

static void test_bad_sequences_are_refused(void **state)
{
	static const char *const refs[] = {
		"a@",
		"a@0",
		"a@07",
		"a@-1",
		"a@+1",
		"a@ 1",
		"a@1 ",
		"a@0x1",
		"a@1:b",
		"a@1@2",
		"a@1e3",
		"a@9007199254740992",
		"a@99999999999999999999999999",
		"a@18446744073709551617",
	};

	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		assert_refused(refs[i], "\"a@7\"");
}

static void test_bad_tags_are_refused(void **state)
{
	static const char *const refs[] = {
		"a:",	 "a:.b",  "a:-b",  "a:b@7",
		"a:b:c", "a:b/c", "a:b c", "a:\t",
	};
	_cleanup_free_ char *longer = repeat('t', 131);
	_cleanup_free_ char *longest = repeat('t', 130);
	struct reference ref;

	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		assert_refused(refs[i], "not a tag");
	memcpy(longer, "a:", 2);
	memcpy(longest, "a:", 2);
	assert_refused(longer, "128");
	assert_int_equal(reference_parse(longest, &ref, NULL), 0);
	assert_string_equal(ref.tag, longest + 2);
}

static void test_refusal_leaves_the_result_alone(void **state)
{
	struct reference ref = {.kind = REFERENCE_TAG, .tag = "kept"};

	assert_int_equal(reference_parse("a@0", &ref, NULL), -EINVAL);
	assert_int_equal(ref.kind, REFERENCE_TAG);
	assert_string_equal(ref.tag, "kept");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bare_name_is_the_newest_version),
		cmocka_unit_test(test_at_sign_gives_a_sequence),
		cmocka_unit_test(test_colon_gives_a_tag),
		cmocka_unit_test(test_digest_is_taken_with_and_without_prefix),
		cmocka_unit_test(test_digest_may_be_cut_to_eight_digits),
		cmocka_unit_test(test_hex_without_prefix_is_a_name_until_64),
		cmocka_unit_test(test_bad_digests_are_refused),
		cmocka_unit_test(test_bad_names_are_refused),
		cmocka_unit_test(test_names_end_at_128_characters),
		cmocka_unit_test(test_names_of_one_character_pass),
		cmocka_unit_test(test_bad_sequences_are_refused),
		cmocka_unit_test(test_bad_tags_are_refused),
		cmocka_unit_test(test_refusal_leaves_the_result_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
