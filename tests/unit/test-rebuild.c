/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog is made anew from the store. */
#include "gc-fixture.h"

#include "volume/rebuild.h"

static int hang_up(const char *stage, uint64_t done, uint64_t total,
		   uint64_t files, void *ctx)
{
	(void)stage;
	(void)done;
	(void)total;
	(void)files;
	++*(int *)ctx;
	return -ECANCELED;
}

static void test_rebuild_goes_on_when_its_caller_has_gone(void **state)
{
	struct fixture *f = *state;
	struct digest one, two, found;
	struct rebuilt rebuilt;
	char hex[DIGEST_HEX_SIZE];
	int reports = 0;
	struct progress progress = {.report = hang_up, .ctx = &reports};

	seal(f, "one", 1, &one);
	seal(f, "two", 2, &two);
	assert_ok(f,
		  host_rebuild_catalog(f->host, &progress, &rebuilt, &f->err));
	assert_true(reports > 0);
	assert_int_equal(rebuilt.versions, 2);
	assert_ok(f,
		  catalog_find_version(f->host->catalog, digest_hex(&two, hex),
				       &found, &f->err));
	assert_true(digest_equal(&found, &two));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rebuild_goes_on_when_its_caller_has_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
