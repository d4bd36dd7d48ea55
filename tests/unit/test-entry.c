/* SPDX-License-Identifier: Apache-2.0 */
#include "format/entry.h"

#include "util/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void test_directory_sorts_right_before_its_contents(void **state)
{
	static const char *const order[] = {
		"",    "a",  "a/b", "a/b/c", "a/c",	 "a\x01", "a b",
		"a.b", "a0", "aa",  "b",     "\xc3\xa9", "\xff",
	};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		for (size_t j = 0; j < ARRAY_SIZE(order); j++)
			assert_int_equal(
				sign(entry_path_compare(order[i], order[j])),
				sign((int)i - (int)j));
}

static void test_data_size_counts_runs_of_regular_files_only(void **state)
{
	static const struct extent runs[] = {{0, 4096}, {1 << 20, 512}};
	struct entry e = {.path = "f", .mode = S_IFREG, .size = 2 << 20};

	assert_int_equal(entry_data_size(&e), 2 << 20);
	e.sparse = true;
	assert_int_equal(entry_data_size(&e), 0);
	e.extents = runs;
	e.n_extents = ARRAY_SIZE(runs);
	assert_int_equal(entry_data_size(&e), 4608);
	e.flags = ENTRY_HARDLINK;
	assert_int_equal(entry_data_size(&e), 0);
	e = (struct entry){.path = "w", .mode = S_IFREG, .size = 1};
	e.flags = ENTRY_WHITEOUT;
	assert_int_equal(entry_data_size(&e), 0);
	e = (struct entry){.path = "d", .mode = S_IFDIR, .size = 4096};
	assert_int_equal(entry_data_size(&e), 0);
}

static void test_hole_unit_is_largest_that_is_exact(void **state)
{
	static const struct extent fine[] = {{0, 4096}, {1 << 20, 4096}};
	static const struct extent coarse[] = {{1 << 20, 1 << 20},
					       {4 << 20, 1000}};
	static const struct extent odd[] = {{512, 512}};

	assert_int_equal(entry_hole_unit(2 << 20, fine, 2), 4096);
	assert_int_equal(entry_hole_unit((4 << 20) + 1000, coarse, 2), 1 << 20);
	assert_int_equal(entry_hole_unit(1 << 20, odd, 1), 4096);
	assert_int_equal(entry_hole_unit(3 << 20, NULL, 0), 4 << 20);
	assert_int_equal(entry_hole_unit(0, NULL, 0), 4096);
}

static void test_hole_unit_keeps_the_table_bounded(void **state)
{
	static const struct extent run[] = {{4096, 4096}};
	const uint64_t limit = UINT64_C(4096) * ENTRY_CHUNKS_MAX;

	assert_int_equal(entry_hole_unit(limit, run, 1), 4096);
	assert_int_equal(entry_hole_unit(limit + 1, run, 1), 8192);
	assert_int_equal(entry_hole_unit(INT64_MAX, run, 1), UINT64_C(1) << 47);
}

static void test_widened_runs_are_aligned_joined_and_within_the_file(void **s)
{
	struct extent x[] = {
		{100, 10},  {4090, 10},	  {20000, 1},
		{40000, 0}, {49152, 300}, {90000, 5},
	};
	size_t n = entry_widen_extents(x, ARRAY_SIZE(x), 4096, 49500);

	assert_int_equal(n, 3);
	assert_int_equal(x[0].offset, 0);
	assert_int_equal(x[0].length, 8192);
	assert_int_equal(x[1].offset, 16384);
	assert_int_equal(x[1].length, 4096);
	assert_int_equal(x[2].offset, 49152);
	assert_int_equal(x[2].length, 49500 - 49152);
}

static void test_widening_twice_changes_nothing(void **state)
{
	struct extent x[] = {{5000, 1}, {70000, 9000}};
	uint64_t unit = entry_hole_unit(200000, x, 2);
	size_t n = entry_widen_extents(x, 2, unit, 200000);
	struct extent again[2];

	memcpy(again, x, sizeof(again));
	assert_int_equal(entry_widen_extents(again, n, unit, 200000), n);
	assert_memory_equal(again, x, n * sizeof(*x));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_directory_sorts_right_before_its_contents),
		cmocka_unit_test(
			test_data_size_counts_runs_of_regular_files_only),
		cmocka_unit_test(test_hole_unit_is_largest_that_is_exact),
		cmocka_unit_test(test_hole_unit_keeps_the_table_bounded),
		cmocka_unit_test(
			test_widened_runs_are_aligned_joined_and_within_the_file),
		cmocka_unit_test(test_widening_twice_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
