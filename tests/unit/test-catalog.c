/* SPDX-License-Identifier: Apache-2.0 */

/* The catalog: what it finds again, and what it does with damaged files. */

#include "catalog/catalog.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "catalog-fixture.h"

static void test_chunks_of_a_pack_are_found_after_reopening(void **state)
{
	struct fixture *f = *state;

	assert_no_chunk(f, 10);
	add_pack(f, 1, 10, 5);
	reopen(f, 0);
	assert_chunk(f, 10, 1, 0);
	assert_chunk(f, 14, 1, 400);
	assert_no_chunk(f, 15);
}

static void test_chunk_in_two_packs_stays_with_the_first(void **state)
{
	struct fixture *f = *state;

	add_pack(f, 1, 10, 5);
	add_pack(f, 2, 12, 5);
	assert_chunk(f, 12, 1, 200);
	assert_chunk(f, 15, 2, 300);
}

static void test_adding_a_pack_again_changes_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t packs, chunks, bytes;

	add_pack(f, 1, 10, 5);
	add_pack(f, 1, 10, 5);
	assert_int_equal(catalog_pack_totals(f->catalog, &packs, &chunks,
					     &bytes, &f->err),
			 0);
	assert_int_equal(packs, 1);
	assert_int_equal(chunks, 5);
	assert_int_equal(bytes, 500 + PACK_TRAILER_SIZE(5));
}

static void test_removed_pack_takes_its_chunks_along(void **state)
{
	struct fixture *f = *state;
	struct digest one = number(1), none = number(99);
	bool has;

	add_pack(f, 1, 10, 5);
	add_pack(f, 2, 20, 5);
	assert_int_equal(catalog_remove_pack(f->catalog, &one, &f->err), 0);
	assert_int_equal(catalog_remove_pack(f->catalog, &none, &f->err), 0);
	assert_no_chunk(f, 10);
	assert_chunk(f, 20, 2, 0);
	assert_int_equal(catalog_has_pack(f->catalog, &one, &has, &f->err), 0);
	assert_false(has);
	add_pack(f, 1, 10, 5);
	assert_chunk(f, 10, 1, 0);
	assert_int_equal(catalog_has_pack(f->catalog, &one, &has, &f->err), 0);
	assert_true(has);
}

static void test_meta_keeps_the_last_value(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(catalog_get_meta(f->catalog, "k", &b, &f->err),
			 -ENOENT);
	assert_int_equal(catalog_set_meta(f->catalog, "k", "1", &f->err), 0);
	assert_int_equal(catalog_set_meta(f->catalog, "k", "two", &f->err), 0);
	reopen(f, 0);
	assert_int_equal(buf_add_str(&b, "x"), 0);
	assert_int_equal(catalog_get_meta(f->catalog, "k", &b, &f->err), 0);
	assert_string_equal(buf_str(&b), "xtwo");
}

/* A digest that begins with these bytes. */
static struct digest beginning(uint8_t a, uint8_t b, uint8_t c, uint8_t d,
			       uint8_t e)
{
	return (struct digest){.bytes = {a, b, c, d, e}};
}

static void test_version_is_found_by_the_start_of_its_digest(void **state)
{
	struct fixture *f = *state;
	struct digest one = beginning(0xab, 0xcd, 0xef, 0x01, 0x10);
	struct digest two = beginning(0xab, 0xcd, 0xef, 0x01, 0x20), got;
	char hex[DIGEST_HEX_SIZE], full[80];

	assert_int_equal(catalog_add_version(f->catalog, &one, "v", 1, NULL),
			 0);
	assert_int_equal(catalog_add_version(f->catalog, &one, "fork", 1, NULL),
			 0);
	assert_int_equal(
		catalog_find_version(f->catalog, "abcdef01", &got, &f->err), 0);
	assert_true(digest_equal(&got, &one));
	assert_int_equal(catalog_add_version(f->catalog, &two, "v", 2, NULL),
			 0);
	assert_int_equal(
		catalog_find_version(f->catalog, "abcdef01", &got, &f->err),
		-EEXIST);
	assert_int_equal(
		catalog_find_version(f->catalog, "abcdef012", &got, &f->err),
		0);
	assert_true(digest_equal(&got, &two));
	snprintf(full, sizeof(full), "sha256:%s", digest_hex(&one, hex));
	assert_int_equal(catalog_find_version(f->catalog, full, &got, &f->err),
			 0);
	assert_true(digest_equal(&got, &one));
	assert_int_equal(
		catalog_find_version(f->catalog, "abcdef02", &got, &f->err),
		-ENOENT);
	assert_string_equal(f->err.text, "");
}

static void test_what_is_no_digest_is_refused(void **state)
{
	static const char *const bad[] = {"",	       "abcdef0", "ABCDEF01",
					  "abcdefg1",  "sha256:", "abcdef0%",
					  "abcdef01 ", NULL};
	struct fixture *f = *state;
	struct digest got;
	char longer[70];

	for (size_t i = 0; bad[i]; i++)
		assert_int_equal(
			catalog_find_version(f->catalog, bad[i], &got, NULL),
			-EINVAL);
	memset(longer, 'a', sizeof(longer));
	longer[65] = 0;
	assert_int_equal(
		catalog_find_version(f->catalog, longer, &got, &f->err),
		-EINVAL);
	assert_non_null(strstr(f->err.text, "digest"));
}

static void test_layer_has_its_newest_object(void **state)
{
	struct fixture *f = *state;
	struct digest tar = number(1), a = number(2), b = number(3);
	struct digest got_tar, got_object;
	char hex[DIGEST_HEX_SIZE];
	uint64_t size;

	assert_int_equal(catalog_add_layer(f->catalog, &tar, &a, 5, &f->err),
			 0);
	assert_int_equal(catalog_add_layer(f->catalog, &tar, &b, 6, &f->err),
			 0);
	digest_hex(&tar, hex);
	hex[9] = 0;
	assert_int_equal(catalog_find_layer(f->catalog, hex, &got_tar,
					    &got_object, &size, &f->err),
			 0);
	assert_true(digest_equal(&got_tar, &tar));
	assert_true(digest_equal(&got_object, &b));
	assert_int_equal(size, 6);
}

static int check_mount(const struct catalog_mount *m, void *ctx)
{
	struct fixture *f = ctx;
	struct digest version = number(7);

	assert_string_equal(m->reference, "data@3");
	assert_string_equal(m->path, "/mnt/\xff\xfe\x01");
	assert_string_equal(m->boot_id, "boot");
	assert_true(digest_equal(&m->version, &version));
	assert_true(m->device == UINT64_MAX);
	assert_int_equal(m->created, -5);
	/* The catalog may be used from here. */
	return catalog_remove_mount(f->catalog, m->id, &f->err);
}

static int stop(const struct catalog_mount *m, void *ctx)
{
	++*(int *)ctx;
	return -EINTR;
}

static void test_mounts_come_back_byte_for_byte(void **state)
{
	struct fixture *f = *state;
	struct catalog_mount m = {.reference = (char *)"data@3",
				  .path = (char *)"/mnt/\xff\xfe\x01",
				  .boot_id = (char *)"boot",
				  .version = number(7),
				  .device = UINT64_MAX,
				  .created = -5};
	int64_t one, two;
	int n = 0;

	assert_int_equal(catalog_add_mount(f->catalog, &m, &one, &f->err), 0);
	assert_int_equal(catalog_add_mount(f->catalog, &m, &two, &f->err), 0);
	assert_true(one != two);
	reopen(f, 0);
	assert_int_equal(catalog_each_mount(f->catalog, stop, &n, &f->err),
			 -EINTR);
	assert_int_equal(n, 1);
	assert_int_equal(
		catalog_each_mount(f->catalog, check_mount, f, &f->err), 0);
	assert_int_equal(catalog_each_mount(f->catalog, stop, &n, &f->err), 0);
	assert_int_equal(n, 1);
}

static void test_cache_accounting_accepts_repeats(void **state)
{
	struct fixture *f = *state;
	struct digest d = number(1);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			catalog_touch_cache(f->catalog, &d, 9, &f->err), 0);
		assert_int_equal(
			catalog_touch_cache(f->catalog, &d, 10, &f->err), 0);
		assert_int_equal(catalog_remove_cache(f->catalog, &d, &f->err),
				 0);
	}
}

static void test_file_that_is_no_database_is_put_aside(void **state)
{
	struct fixture *f = *state;

	add_pack(f, 1, 10, 5);
	overwrite(f, "garbage!", 8, 0);
	reopen(f, CATALOG_E_CORRUPT);
	assert_true(files_put_aside(f) >= 1);
	assert_no_chunk(f, 10);
	reopen(f, 0);
}

static void test_damaged_schema_is_put_aside(void **state)
{
	struct fixture *f = *state;
	uint8_t junk[3000];

	memset(junk, 0xa5, sizeof(junk));
	overwrite(f, junk, sizeof(junk), 100);
	reopen(f, CATALOG_E_CORRUPT);
	assert_true(files_put_aside(f) >= 1);
	assert_no_chunk(f, 10);
}

static void test_database_of_another_program_is_put_aside(void **state)
{
	struct fixture *f = *state;
	static const uint8_t other[4] = {1, 2, 3, 4};

	/* Database header: application_id is at 68. */
	overwrite(f, other, sizeof(other), 68);
	reopen(f, CATALOG_E_CORRUPT);
	assert_true(files_put_aside(f) >= 1);
}

static void test_newer_schema_is_refused_and_kept(void **state)
{
	struct fixture *f = *state;
	static const uint8_t version[4] = {0, 0, 0, 99};

	/* Database header: user_version is at 60. */
	overwrite(f, version, sizeof(version), 60);
	reopen(f, -EBADMSG);
	assert_null(f->catalog);
	assert_non_null(strstr(f->err.text, "newer layerd"));
	assert_int_equal(files_put_aside(f), 0);
	assert_int_equal(access(f->path, F_OK), 0);
}

static void test_damage_found_later_is_put_aside_at_the_next_start(void **state)
{
	struct fixture *f = *state;
	struct catalog_place place;
	struct stat st;
	uint8_t junk[4096];
	int r = 0;

	for (uint64_t i = 0; i < 8; i++)
		add_pack(f, i, 1000 * i, 200);
	assert_int_equal(stat(f->path, &st), 0);
	reopen(f, 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(st.st_size > 24 * 4096);
	memset(junk, 0xa5, sizeof(junk));
	catalog_free(TAKE_PTR(f->catalog));
	for (uint64_t at = 20 * 4096; at < (uint64_t)st.st_size; at += 4096) {
		int fd = open(f->path, O_WRONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		assert_int_equal(pwrite_full(fd, junk, sizeof(junk), at), 0);
		assert_int_equal(close(fd), 0);
	}
	reopen(f, 0);
	for (uint64_t i = 0; i < 8000 && r != -EBADMSG; i++) {
		struct digest d = number(i);

		f->err = ERR_INIT;
		r = catalog_find_chunk(f->catalog, &d, &place, &f->err);
	}
	assert_int_equal(r, -EBADMSG);
	assert_non_null(strstr(f->err.text, f->path));
	assert_non_null(strstr(f->err.text, "restart layerd"));
	reopen(f, CATALOG_E_CORRUPT);
	reopen(f, 0);
}

static void test_failed_write_is_no_damage(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, small;
	char flag[256];
	int r = 0;

	add_pack(f, 1, 0, 10);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){.rlim_cur = 256 << 10,
				.rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (uint64_t i = 2; r == 0 && i < 200; i++)
		r = try_pack(f, i, 1000 * i, 200);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(r < 0 && r != -EBADMSG);
	snprintf(flag, sizeof(flag), "%s.damaged", f->path);
	assert_int_not_equal(access(flag, F_OK), 0);
	reopen(f, 0);
	assert_int_equal(files_put_aside(f), 0);
	add_pack(f, 500, 500000, 10);
}

static void test_missing_directory_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct catalog *c = NULL;
	char path[160];

	snprintf(path, sizeof(path), "%s/none/catalog.db", f->top);
	assert_true(catalog_open(&c, path, &f->err) < 0);
	assert_non_null(strstr(f->err.text, path));
}

static void *add_packs(void *ctx)
{
	struct fixture *f = ctx;
	static uint64_t next;

	for (int i = 0; i < 20; i++) {
		uint64_t n = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
		struct digest d = number(n);
		struct pack_toc toc = {0};

		make_toc(&toc, 100 * n, 50);
		if (catalog_add_pack(f->catalog, &d, &toc, NULL) < 0)
			abort();
		free(toc.entries);
	}
	return NULL;
}

static void test_threads_share_a_catalog(void **state)
{
	struct fixture *f = *state;
	uint64_t packs, chunks, bytes;
	pthread_t threads[4];

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, add_packs, f), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(catalog_pack_totals(f->catalog, &packs, &chunks,
					     &bytes, &f->err),
			 0);
	assert_int_equal(packs, 80);
	assert_int_equal(chunks, 80 * 50);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void test_lookups_do_not_scan(void **state)
{
	struct fixture *f = *state;
	struct catalog_place place;
	struct digest keys[500];
	double start, each;

	for (uint64_t i = 0; i < 40; i++)
		add_pack(f, i, 1000 * i, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = number(i * 79);
	start = now();
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(catalog_find_chunk(f->catalog, &keys[i],
						    &place, &f->err),
				 0);
	each = (now() - start) / (double)ARRAY_SIZE(keys);
	print_message("%.1f us a lookup\n", each);
	/* A scan of 40,000 rows takes milliseconds, sanitizers or not. */
	assert_true(each < 1000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_chunks_of_a_pack_are_found_after_reopening),
		T(test_chunk_in_two_packs_stays_with_the_first),
		T(test_adding_a_pack_again_changes_nothing),
		T(test_removed_pack_takes_its_chunks_along),
		T(test_meta_keeps_the_last_value),
		T(test_version_is_found_by_the_start_of_its_digest),
		T(test_what_is_no_digest_is_refused),
		T(test_layer_has_its_newest_object),
		T(test_mounts_come_back_byte_for_byte),
		T(test_cache_accounting_accepts_repeats),
		T(test_file_that_is_no_database_is_put_aside),
		T(test_damaged_schema_is_put_aside),
		T(test_database_of_another_program_is_put_aside),
		T(test_newer_schema_is_refused_and_kept),
		T(test_damage_found_later_is_put_aside_at_the_next_start),
		T(test_failed_write_is_no_damage),
		T(test_missing_directory_is_an_error),
		T(test_threads_share_a_catalog),
		T(test_lookups_do_not_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
