/* SPDX-License-Identifier: Apache-2.0 */

/* The directory store: objects, records, lists, and hostile directories. */

#include "store-fixture.h"
#include "store/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define BLOB "blobs/sha256/aa"

/* A path below the store, in a static buffer. */
static const char *below(struct fixture *f, const char *key)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", f->path, key);
	return path;
}

static void write_raw(struct fixture *f, const char *key, const char *text)
{
	assert_int_equal(write_file_at(AT_FDCWD, below(f, key), text,
				       strlen(text), 0600),
			 0);
}

static void assert_content(struct fixture *f, const char *key, const char *want)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(store_get(f->store, key, 1 << 20, &b, &f->err), 0);
	assert_int_equal(b.size, strlen(want));
	assert_memory_equal(b.data, want, b.size);
}

static int count_key(const char *key, uint64_t size, void *ctx, struct err *err)
{
	(*(size_t *)ctx)++;
	return 0;
}

static size_t count(struct fixture *f, const char *prefix)
{
	size_t n = 0;

	assert_int_equal(store_list(f->store, prefix, count_key, &n, &f->err),
			 0);
	return n;
}

static void test_object_comes_back_whole_and_in_ranges(void **state)
{
	struct fixture *f = *state;
	char part[4];
	uint64_t size;

	assert_int_equal(store_put(f->store, BLOB, "0123456789", 10, &f->err),
			 0);
	assert_content(f, BLOB, "0123456789");
	assert_int_equal(store_size(f->store, BLOB, &size, &f->err), 0);
	assert_int_equal(size, 10);
	assert_int_equal(store_get_range(f->store, BLOB, 6, 4, part, &f->err),
			 0);
	assert_memory_equal(part, "6789", 4);
	assert_int_equal(store_get_range(f->store, BLOB, 7, 4, part, &f->err),
			 -EBADMSG);
	f->err = ERR_INIT;
	assert_int_equal(
		store_get_range(f->store, BLOB, UINT64_MAX, 4, part, &f->err),
		-EBADMSG);
}

static void test_empty_object_is_an_object(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store_put(f->store, BLOB, NULL, 0, &f->err), 0);
	assert_content(f, BLOB, "");
}

static void test_missing_object_is_enoent_without_text(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct store_tag tag;
	uint64_t size;
	char c;

	assert_int_equal(store_get(f->store, BLOB, 9, &b, &f->err), -ENOENT);
	assert_int_equal(store_size(f->store, BLOB, &size, &f->err), -ENOENT);
	assert_int_equal(store_get_range(f->store, BLOB, 0, 1, &c, &f->err),
			 -ENOENT);
	assert_int_equal(store_read_record(f->store, "volumes/a/head.json", 9,
					   &b, &tag, &f->err),
			 -ENOENT);
	assert_string_equal(f->err.text, "");
	assert_int_equal(store_remove(f->store, BLOB, &f->err), 0);
}

static void test_too_large_object_is_efbig(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(store_put(f->store, BLOB, "abc", 3, &f->err), 0);
	assert_int_equal(store_get(f->store, BLOB, 2, &b, &f->err), -EFBIG);
	assert_non_null(strstr(f->err.text, BLOB));
	assert_int_equal(b.size, 0);
}

static void test_get_appends_to_the_buffer(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct store_tag one, two;

	assert_int_equal(store_put(f->store, BLOB, "abc", 3, &f->err), 0);
	assert_int_equal(buf_add_str(&b, "xy"), 0);
	assert_int_equal(
		store_read_record(f->store, BLOB, 3, &b, &one, &f->err), 0);
	assert_memory_equal(b.data, "xyabc", 5);
	buf_release(&b);
	assert_int_equal(
		store_read_record(f->store, BLOB, 3, &b, &two, &f->err), 0);
	assert_string_equal(one.text, two.text);
}

static void test_put_leaves_an_equal_object_alone(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;

	assert_int_equal(store_put(f->store, BLOB, "abc", 3, &f->err), 0);
	assert_int_equal(stat(below(f, BLOB), &before), 0);
	assert_int_equal(store_put(f->store, BLOB, "abc", 3, &f->err), 0);
	assert_int_equal(stat(below(f, BLOB), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void test_put_heals_an_object_of_another_size(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store_put(f->store, BLOB, "abc", 3, &f->err), 0);
	assert_int_equal(truncate(below(f, BLOB), 1), 0);
	assert_int_equal(store_put(f->store, BLOB, "abc", 3, &f->err), 0);
	assert_content(f, BLOB, "abc");
	assert_int_equal(leftovers(f->path), 0);
}

static void test_create_refuses_what_exists(void **state)
{
	struct fixture *f = *state;
	const char *key = "volumes/v/1";

	assert_int_equal(store_create(f->store, key, "a", 1, &f->err), 0);
	assert_int_equal(store_create(f->store, key, "b", 1, &f->err), -EEXIST);
	assert_content(f, key, "a");
}

static void test_replace_takes_the_place_of_anything(void **state)
{
	struct fixture *f = *state;
	const char *key = "layers/ab/places";

	assert_int_equal(store_replace(f->store, key, "a", 1, &f->err), 0);
	assert_int_equal(store_replace(f->store, key, "bcd", 3, &f->err), 0);
	assert_content(f, key, "bcd");
	assert_int_equal(leftovers(f->path), 0);
}

static void test_upload_appears_only_when_finished(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_upload_freep) struct store_upload *u = NULL;
	_cleanup_free_ char *piece = calloc(1, 1 << 20);
	uint64_t size;

	assert_non_null(piece);
	assert_int_equal(store_upload_new(f->store, 9 << 20, &u, &f->err), 0);
	for (int i = 0; i < 9; i++)
		assert_int_equal(store_upload_add(u, piece, 1 << 20, &f->err),
				 0);
	assert_int_equal(count(f, "packs/"), 0);
	assert_int_equal(
		store_upload_finish(TAKE_PTR(u), "packs/ab/abcd", &f->err), 0);
	assert_int_equal(store_size(f->store, "packs/ab/abcd", &size, &f->err),
			 0);
	assert_int_equal(size, 9 << 20);
}

static void test_dropped_upload_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_upload *u;

	assert_int_equal(store_upload_new(f->store, 0, &u, &f->err), 0);
	assert_int_equal(store_upload_add(u, "abc", 3, &f->err), 0);
	assert_null(store_upload_free(u));
	assert_int_equal(store_upload_new(f->store, 0, &u, &f->err), 0);
	assert_int_equal(store_upload_finish(u, "../x", &f->err), -EINVAL);
	assert_int_equal(leftovers(f->path), 0);
}

static void test_swap_refuses_a_record_that_changed(void **state)
{
	struct fixture *f = *state;
	const char *key = "volumes/v/head.json";
	struct store_tag one, two;

	assert_int_equal(
		store_swap_record(f->store, key, NULL, "1", 1, &one, &f->err),
		0);
	assert_int_equal(
		store_swap_record(f->store, key, NULL, "x", 1, NULL, &f->err),
		STORE_E_CHANGED);
	assert_int_equal(
		store_swap_record(f->store, key, &one, "2", 1, &two, &f->err),
		0);
	assert_int_equal(
		store_swap_record(f->store, key, &one, "x", 1, NULL, &f->err),
		STORE_E_CHANGED);
	assert_content(f, key, "2");
	assert_int_equal(store_remove(f->store, key, &f->err), 0);
	assert_int_equal(
		store_swap_record(f->store, key, &two, "x", 1, NULL, &f->err),
		STORE_E_CHANGED);
	assert_string_equal(f->err.text, "");
}

static void test_keys_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const keys[] = {
		"",   "/",   "/etc/passwd", "..",      "../x", "a/../b", "a//b",
		"a/", "./a", ".tmp-1",	    "a/.lock", "a b",  "a\nb"};
	struct fixture *f = *state;
	char key[STORE_KEY_MAX], volume[400];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		f->err = ERR_INIT;
		assert_int_equal(store_put(f->store, keys[i], "a", 1, &f->err),
				 -EINVAL);
	}
	memset(volume, 'a', sizeof(volume));
	volume[sizeof(volume) - 1] = 0;
	store_key_head(key, volume);
	assert_int_equal(store_put(f->store, key, "a", 1, NULL), -EINVAL);
	assert_int_equal(store_put(f->store, volume, "a", 1, NULL), -EINVAL);
}

static void test_layout_is_that_of_the_design(void **state)
{
	char key[STORE_KEY_MAX], want[STORE_KEY_MAX], hex[DIGEST_HEX_SIZE];
	struct digest d;

	assert_int_equal(digest_of("x", 1, &d), 0);
	digest_hex(&d, hex);
	snprintf(want, sizeof(want), "packs/%.2s/%s", hex, hex);
	assert_string_equal(store_key_pack(key, &d), want);
	snprintf(want, sizeof(want), "blobs/sha256/%s", hex);
	assert_string_equal(store_key_blob(key, &d), want);
	snprintf(want, sizeof(want), "layers/%s/places", hex);
	assert_string_equal(store_key_places(key, &d), want);
	assert_string_equal(store_key_head(key, "v"), "volumes/v/head.json");
	assert_string_equal(store_key_sequence(key, "v", 7), "volumes/v/7");
}

static int collect_names(const char *name, uint64_t size, void *ctx,
			 struct err *err)
{
	return buf_printf(ctx, "%s ", name);
}

static void assert_parsed(const char *key, bool want, enum store_kind kind,
			  const struct digest *d)
{
	enum store_kind got_kind;
	struct digest got;

	assert_int_equal(store_key_parse(key, &got_kind, &got), want);
	if (!want)
		return;
	assert_int_equal(got_kind, kind);
	assert_true(digest_equal(&got, d));
}

static void test_keys_say_what_they_are_of(void **state)
{
	struct digest d = {{0xab, 1}};
	char key[STORE_KEY_MAX], hex[DIGEST_HEX_SIZE];

	(void)state;
	assert_parsed(store_key_blob(key, &d), true, STORE_BLOB, &d);
	assert_parsed(store_key_pack(key, &d), true, STORE_PACK, &d);
	assert_parsed(store_key_places(key, &d), true, STORE_LAYER, &d);
	snprintf(key, sizeof(key), "layers/%s/traces", digest_hex(&d, hex));
	assert_parsed(key, true, STORE_LAYER, &d);
	snprintf(key, sizeof(key), "layers/%s", hex);
	assert_parsed(key, false, 0, NULL);
	snprintf(key, sizeof(key), "blobs/sha256/%s0", hex);
	assert_parsed(key, false, 0, NULL);
	snprintf(key, sizeof(key), "blobs/sha256/%s/x", hex);
	assert_parsed(key, false, 0, NULL);
	snprintf(key, sizeof(key), "blobs/sha256/%.63s", hex);
	assert_parsed(key, false, 0, NULL);
	assert_parsed(store_key_head(key, "v"), false, 0, NULL);
	assert_parsed(store_key_sequence(key, "v", 1), false, 0, NULL);
	assert_parsed("", false, 0, NULL);
}

static void test_lists_report_keys_and_no_working_files(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;

	store_create(f->store, "volumes/v/1", "a", 1, &f->err);
	store_swap_record(f->store, "volumes/v/head.json", NULL, "a", 1, NULL,
			  &f->err);
	write_raw(f, "volumes/v/.tmp-0123", "x");
	assert_int_equal(mkdir(below(f, "volumes/void"), 0700), 0);
	write_raw(f, "volumes/void/.lock", "");
	assert_int_equal(count(f, "volumes/"), 2);
	assert_int_equal(count(f, "pins/"), 0);
	assert_int_equal(store_list_names(f->store, "volumes/", collect_names,
					  &b, &f->err),
			 0);
	assert_string_equal(buf_str(&b), "v ");
	assert_int_equal(store_list(f->store, "../", count_key, NULL, &f->err),
			 -EINVAL);
}

static int stop_listing(const char *key, uint64_t size, void *ctx,
			struct err *err)
{
	++*(size_t *)ctx;
	return -EINTR;
}

static void test_listing_ends_when_told(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;

	store_put(f->store, "packs/aa/1", "a", 1, &f->err);
	store_put(f->store, "packs/bb/2", "a", 1, &f->err);
	assert_int_equal(
		store_list(f->store, "packs/", stop_listing, &n, &f->err),
		-EINTR);
	assert_int_equal(n, 1);
}

static void test_reopened_store_is_the_same(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *again = NULL;

	assert_int_equal(store_open_dir(&again, f->path, false, &f->err), 0);
	assert_string_equal(store_id(again), store_id(f->store));
	assert_int_equal(strlen(store_id(again)), 36);
	assert_string_equal(store_name(again), f->path);
}

static void test_missing_or_empty_directory_is_enoent(void **state)
{
	struct fixture *f = *state;
	struct store *s = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s/none", f->top);
	assert_int_equal(store_open_dir(&s, path, false, &f->err), -ENOENT);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(store_open_dir(&s, path, false, &f->err), -ENOENT);
	assert_non_null(strstr(f->err.text, path));
	assert_int_equal(store_open_dir(&s, path, true, NULL), 0);
	store_free(s);
}

static void test_foreign_directory_never_becomes_a_store(void **state)
{
	struct fixture *f = *state;
	struct store *s = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s/a", f->top);
	assert_int_equal(store_open_dir(&s, path, true, &f->err), -EBADMSG);
	assert_non_null(strstr(f->err.text, path));
	snprintf(path, sizeof(path), "%s/a/layerd.json", f->top);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void assert_config_refused(struct fixture *f, const char *text,
				  const char *sentence)
{
	struct store *s = NULL;

	f->err = ERR_INIT;
	write_raw(f, "layerd.json", text);
	assert_int_equal(store_open_dir(&s, f->path, true, &f->err), -EBADMSG);
	assert_non_null(strstr(f->err.text, sentence));
}

static void test_damaged_or_newer_config_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_config_refused(f, "", "damaged");
	assert_config_refused(f, "{", "damaged");
	assert_config_refused(f, "[]", "damaged");
	assert_config_refused(f, "{\"format\":\"1\"}", "damaged");
	assert_config_refused(f, "{\"format\":2}", "newer layerd");
	assert_config_refused(f, "{\"format\":1}", "id");
	assert_config_refused(f, "{\"format\":1,\"id\":\"../../x\"}", "id");
	assert_config_refused(f,
			      "{\"format\":1,\"id\":"
			      "\"01234567-0123-0123-0123-0123456789ab\","
			      "\"chunk\":{\"algorithm\":\"rabin\"}}",
			      "chunking");
}

static void test_links_in_a_store_are_not_followed(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	char outside[128], victim[160];

	snprintf(outside, sizeof(outside), "%s/outside", f->top);
	snprintf(victim, sizeof(victim), "%s/victim", outside);
	assert_int_equal(mkdir(outside, 0700), 0);
	assert_int_equal(write_file_at(AT_FDCWD, victim, "v", 1, 0600), 0);
	assert_int_equal(symlink(outside, below(f, "packs")), 0);
	assert_int_equal(mkdir(below(f, "volumes/v"), 0700), 0);
	assert_int_equal(symlink(victim, below(f, "volumes/v/1")), 0);
	assert_int_equal(symlink(victim, below(f, "volumes/v/.lock")), 0);

	assert_int_equal(store_get(f->store, "packs/victim", 9, &b, &f->err),
			 -EBADMSG);
	assert_non_null(strstr(f->err.text, "damaged"));
	assert_int_equal(store_get(f->store, "volumes/v/1", 9, &b, NULL),
			 -EBADMSG);
	assert_int_equal(store_put(f->store, "packs/x", "a", 1, NULL),
			 -EBADMSG);
	assert_int_equal(store_put(f->store, "packs/aa/x", "a", 1, NULL),
			 -EBADMSG);
	assert_int_equal(store_replace(f->store, "packs/victim", "a", 1, NULL),
			 -EBADMSG);
	assert_int_equal(store_swap_record(f->store, "volumes/v/head.json",
					   NULL, "a", 1, NULL, NULL),
			 -EBADMSG);
	assert_int_equal(store_remove(f->store, "packs/victim", NULL),
			 -EBADMSG);
	assert_int_equal(count(f, "volumes/"), 0);
	assert_int_equal(store_list(f->store, "packs/", count_key, NULL, NULL),
			 -EBADMSG);
	b.size = 0;
	assert_int_equal(read_file_at(AT_FDCWD, victim, 9, &b), 0);
	assert_memory_equal(b.data, "v", 1);
	snprintf(victim, sizeof(victim), "%s/x", outside);
	assert_int_not_equal(access(victim, F_OK), 0);
}

static void test_link_in_place_of_a_record_is_replaced_itself(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char victim[128];

	snprintf(victim, sizeof(victim), "%s/victim", f->top);
	assert_int_equal(write_file_at(AT_FDCWD, victim, "v", 1, 0600), 0);
	assert_int_equal(symlink(victim, below(f, "places")), 0);
	assert_int_equal(store_replace(f->store, "places", "new", 3, &f->err),
			 0);
	assert_content(f, "places", "new");
	assert_int_equal(stat(victim, &st), 0);
	assert_int_equal(st.st_size, 1);
}

static void test_fifo_in_a_store_does_not_block(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(mkfifo(below(f, "fifo"), 0600), 0);
	alarm(10);
	assert_int_equal(store_get(f->store, "fifo", 9, &b, &f->err), -EBADMSG);
	assert_int_equal(store_put(f->store, "fifo", "a", 1, NULL), -EBADMSG);
	alarm(0);
}

static void test_only_old_leftovers_are_collected(void **state)
{
	struct fixture *f = *state;
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct store *again;

	write_raw(f, ".tmp-new", "x");
	write_raw(f, ".tmp-old", "x");
	assert_int_equal(utimensat(AT_FDCWD, below(f, ".tmp-old"), old, 0), 0);
	assert_int_equal(store_open_dir(&again, f->path, false, &f->err), 0);
	store_free(again);
	assert_int_equal(access(below(f, ".tmp-new"), F_OK), 0);
	assert_int_not_equal(access(below(f, ".tmp-old"), F_OK), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_object_comes_back_whole_and_in_ranges),
		T(test_empty_object_is_an_object),
		T(test_missing_object_is_enoent_without_text),
		T(test_too_large_object_is_efbig),
		T(test_get_appends_to_the_buffer),
		T(test_put_leaves_an_equal_object_alone),
		T(test_put_heals_an_object_of_another_size),
		T(test_create_refuses_what_exists),
		T(test_replace_takes_the_place_of_anything),
		T(test_upload_appears_only_when_finished),
		T(test_dropped_upload_leaves_nothing),
		T(test_swap_refuses_a_record_that_changed),
		T(test_keys_that_lead_elsewhere_are_refused),
		cmocka_unit_test(test_layout_is_that_of_the_design),
		cmocka_unit_test(test_keys_say_what_they_are_of),
		T(test_lists_report_keys_and_no_working_files),
		T(test_listing_ends_when_told),
		T(test_reopened_store_is_the_same),
		T(test_missing_or_empty_directory_is_enoent),
		T(test_foreign_directory_never_becomes_a_store),
		T(test_damaged_or_newer_config_is_refused),
		T(test_links_in_a_store_are_not_followed),
		T(test_link_in_place_of_a_record_is_replaced_itself),
		T(test_fifo_in_a_store_does_not_block),
		T(test_only_old_leftovers_are_collected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
