/* SPDX-License-Identifier: Apache-2.0 */

/* The catalog against contents of packs, and the index emptied. */

#include "catalog/catalog.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>

#include <cmocka.h>

#include "catalog-fixture.h"

static bool is_right(struct fixture *f, uint64_t pack, uint64_t first, size_t n)
{
	struct digest d = number(pack);
	struct pack_toc toc = {0};
	bool right;

	make_toc(&toc, first, n);
	assert_int_equal(
		catalog_check_pack(f->catalog, &d, &toc, &right, &f->err), 0);
	free(toc.entries);
	return right;
}

/* Behind the catalog's back. */
static void run(struct fixture *f, const char *sql)
{
	sqlite3 *db;

	catalog_free(TAKE_PTR(f->catalog));
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	reopen(f, 0);
}

static void test_rows_are_right_when_they_say_what_the_pack_says(void **state)
{
	struct fixture *f = *state;

	add_pack(f, 1, 10, 5);
	add_pack(f, 2, 12, 5);
	assert_true(is_right(f, 1, 10, 5));
	/* Three of its chunks have their rows in the first pack. */
	assert_true(is_right(f, 2, 12, 5));
	assert_false(is_right(f, 3, 10, 5));
	assert_false(is_right(f, 1, 10, 20));
	assert_false(is_right(f, 1, 10, 4));
	assert_false(is_right(f, 2, 13, 4));
}

static void test_rows_with_other_places_are_wrong(void **state)
{
	static const char *const changes[] = {
		"UPDATE chunk SET offset = offset + 1 WHERE offset = 200",
		"UPDATE chunk SET length = length + 1 WHERE offset = 200",
		"UPDATE chunk SET size = size + 1 WHERE offset = 200",
		"UPDATE chunk SET pack = 77 WHERE offset = 200",
		"DELETE FROM chunk WHERE offset = 200",
		"DELETE FROM pack",
		"INSERT INTO chunk VALUES (zeroblob(32), 1, 7, 1, 1)",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		assert_int_equal(catalog_clear(f->catalog, &f->err), 0);
		add_pack(f, 1, 10, 5);
		assert_true(is_right(f, 1, 10, 5));
		run(f, changes[i]);
		assert_false(is_right(f, 1, 10, 5));
	}
}

static void assert_digests(struct fixture *f, enum catalog_table table,
			   size_t want)
{
	struct digest *items;
	size_t n;

	assert_int_equal(
		catalog_digests(f->catalog, table, &items, &n, &f->err), 0);
	assert_int_equal(n, want);
	free(items);
}

static void test_each_table_lists_its_digests(void **state)
{
	struct fixture *f = *state;
	struct digest d = number(7), e = number(8), *items;
	size_t n;

	assert_digests(f, CATALOG_PACKS, 0);
	for (uint64_t i = 0; i < 300; i++)
		add_pack(f, 1000 + i, 10 * i, 2);
	assert_digests(f, CATALOG_PACKS, 300);
	assert_int_equal(catalog_add_version(f->catalog, &d, "v", 1, &f->err),
			 0);
	assert_int_equal(catalog_add_layer(f->catalog, &e, &d, 1, &f->err), 0);
	assert_digests(f, CATALOG_VERSIONS, 1);
	assert_int_equal(catalog_digests(f->catalog, CATALOG_LAYERS, &items, &n,
					 &f->err),
			 0);
	assert_int_equal(n, 1);
	assert_true(digest_equal(&items[0], &e));
	free(items);
}

static int count_mount(const struct catalog_mount *m, void *ctx)
{
	assert_string_equal(m->path, "/mnt");
	++*(int *)ctx;
	return 0;
}

static void add_mount(struct fixture *f)
{
	char reference[] = "v@1", path[] = "/mnt", boot_id[] = "boot";
	const struct catalog_mount m = {.reference = reference,
					.path = path,
					.boot_id = boot_id,
					.version = number(1)};
	int64_t id;

	assert_int_equal(catalog_add_mount(f->catalog, &m, &id, &f->err), 0);
}

static void assert_empty_but_for_a_mount(struct fixture *f)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int mounts = 0;

	assert_digests(f, CATALOG_PACKS, 0);
	assert_digests(f, CATALOG_VERSIONS, 0);
	assert_digests(f, CATALOG_LAYERS, 0);
	assert_no_chunk(f, 10);
	assert_int_equal(catalog_get_meta(f->catalog, "store-id", &b, &f->err),
			 -ENOENT);
	assert_int_equal(
		catalog_each_mount(f->catalog, count_mount, &mounts, &f->err),
		0);
	assert_int_equal(mounts, 1);
}

static void fill(struct fixture *f)
{
	struct digest d = number(7);

	add_pack(f, 1, 10, 200);
	add_mount(f);
	assert_int_equal(catalog_add_version(f->catalog, &d, "v", 1, &f->err),
			 0);
	assert_int_equal(catalog_add_layer(f->catalog, &d, &d, 1, &f->err), 0);
	assert_int_equal(catalog_set_meta(f->catalog, "store-id", "x", &f->err),
			 0);
}

static void test_cleared_index_keeps_mounts_and_asks_for_a_rebuild(void **state)
{
	struct fixture *f = *state;

	fill(f);
	assert_int_equal(catalog_clear(f->catalog, &f->err), 0);
	assert_empty_but_for_a_mount(f);
	reopen(f, 0);
	assert_empty_but_for_a_mount(f);
	add_pack(f, 1, 10, 5);
	assert_true(is_right(f, 1, 10, 5));
	assert_int_equal(files_put_aside(f), 0);
}

/* A page deep in the file, which opening does not read. */
static void damage_chunks(struct fixture *f)
{
	uint8_t zeros[4096] = {0};
	sqlite3_stmt *st;
	sqlite3 *db;
	uint64_t page;

	catalog_free(TAKE_PTR(f->catalog));
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db,
				   "SELECT rootpage FROM sqlite_schema "
				   "WHERE name = 'chunk_pack'",
				   -1, &st, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	page = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	reopen(f, 0);
	overwrite(f, zeros, sizeof(zeros), (page - 1) * sizeof(zeros));
	reopen(f, 0);
}

static void test_damage_is_found_and_clearing_makes_a_new_file(void **state)
{
	struct fixture *f = *state;

	fill(f);
	assert_int_equal(catalog_check(f->catalog, &f->err), 0);
	damage_chunks(f);
	assert_int_equal(catalog_check(f->catalog, &f->err), -EBADMSG);
	f->err = ERR_INIT;
	assert_int_equal(catalog_clear(f->catalog, &f->err), CATALOG_E_CORRUPT);
	assert_empty_but_for_a_mount(f);
	assert_true(files_put_aside(f) >= 1);
	assert_int_equal(catalog_check(f->catalog, &f->err), 0);
	add_pack(f, 1, 10, 5);
	reopen(f, 0);
	assert_chunk(f, 10, 1, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_rows_are_right_when_they_say_what_the_pack_says),
		T(test_rows_with_other_places_are_wrong),
		T(test_each_table_lists_its_digests),
		T(test_cleared_index_keeps_mounts_and_asks_for_a_rebuild),
		T(test_damage_is_found_and_clearing_makes_a_new_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
