/* SPDX-License-Identifier: Apache-2.0 */

/* The cache: which layers it believes and which it drops. */

#include "cache-fixture.h"
#include "cache/check.h"
#include "cache/present.h"

static void rewrite_present(struct fixture *f, enum present_state state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	uint8_t data[PRESENT_SIZE];
	struct present p;

	assert_int_equal(
		read_file_at(AT_FDCWD, in_layer(f, "present"), 999, &b), 0);
	assert_int_equal(present_decode(b.data, b.size, &p, &f->err), 0);
	memset(p.boot_id, 0xee, sizeof(p.boot_id));
	p.state = state;
	assert_int_equal(present_encode(&p, data), 0);
	assert_int_equal(write_file_at(AT_FDCWD, in_layer(f, "present"), data,
				       sizeof(data), 0600),
			 0);
}

static void test_unsynced_layer_of_another_boot_is_dropped(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fill(f), 0);
	rewrite_present(f, PRESENT_SYNCED);
	assert_whole(f);
	rewrite_present(f, PRESENT_IN_BOOT);
	assert_missing(f);
}

static void test_synced_layer_survives_a_reboot(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct present p;

	assert_int_equal(
		cache_sync_layer(f->cache, &f->sample.object.tar, &f->err),
		-ENOENT);
	assert_int_equal(fill(f), 0);
	f->err = ERR_INIT;
	for (int i = 0; i < 2; i++)
		assert_int_equal(cache_sync_layer(f->cache,
						  &f->sample.object.tar,
						  &f->err),
				 0);
	assert_int_equal(
		read_file_at(AT_FDCWD, in_layer(f, "present"), 999, &b), 0);
	assert_int_equal(present_decode(b.data, b.size, &p, &f->err), 0);
	assert_int_equal(p.state, PRESENT_SYNCED);
	reopen(f);
	assert_whole(f);
}

static void test_layer_under_the_name_of_another_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct cache_layer l = CACHE_LAYER_INIT;
	struct digest other = f->sample.object_digest;
	char path[300], hex[DIGEST_HEX_SIZE];

	assert_int_equal(fill(f), 0);
	snprintf(path, sizeof(path), "%s/%s", f->path, digest_hex(&other, hex));
	assert_int_equal(rename(in_layer(f, ""), path), 0);
	assert_int_equal(cache_layer_open(f->cache, &other, &l, &f->err),
			 CACHE_E_MISSING);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* Each of these keeps names and sizes. */
static void test_layer_of_other_files_is_dropped(void **state)
{
	static const char *const names[] = {"tar", "index"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		assert_int_equal(fill(f), 0);
		assert_whole(f);
		assert_int_equal(read_file_at(AT_FDCWD, in_layer(f, names[i]),
					      1u << 30, &b),
				 0);
		assert_int_equal(write_file_at(AT_FDCWD, in_layer(f, names[i]),
					       b.data, b.size, 0600),
				 0);
		assert_missing(f);
		assert_int_equal(fill(f), 0);
		/* As writing to it does, this changes its ctime. */
		assert_int_equal(chmod(in_layer(f, names[i]), 0640), 0);
		assert_missing(f);
	}
}

static void test_layer_that_lost_bytes_is_dropped(void **state)
{
	static const char *const names[] = {"tar", "index", "present"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(fill(f), 0);
		assert_int_equal(truncate(in_layer(f, names[i]), 100), 0);
		assert_missing(f);
		assert_int_equal(fill(f), 0);
		assert_int_equal(unlink(in_layer(f, names[i])), 0);
		assert_missing(f);
	}
	assert_nothing_staged(f);
	assert_int_equal(fill(f), 0);
	assert_whole(f);
}

static void publish(struct fixture *f)
{
	_cleanup_(cache_stage_freep) struct cache_stage *s = NULL;

	assert_int_equal(cache_stage_new(f->cache, &s, &f->err), 0);
	assert_int_equal(
		write_full(s->tar_fd, f->sample.tar.data, f->sample.tar.size),
		0);
	assert_int_equal(write_full(s->index_fd, f->sample.index.data,
				    f->sample.index.size),
			 0);
	assert_int_equal(cache_stage_publish(s, &f->sample.object.tar,
					     f->sample.tar.size, &f->sample.raw,
					     &f->err),
			 0);
}

static void test_published_stage_is_a_whole_layer(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;

	publish(f);
	assert_whole(f);
	assert_int_equal(stat(in_layer(f, "tar"), &before), 0);
	publish(f);
	assert_int_equal(stat(in_layer(f, "tar"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_nothing_staged(f);
	/* A stage takes the place of a layer that is not believed. */
	rewrite_present(f, PRESENT_IN_BOOT);
	publish(f);
	assert_whole(f);
	assert_nothing_staged(f);
}

static int check(struct fixture *f, bool read_data)
{
	f->err = ERR_INIT;
	return cache_check_layer(f->cache, &f->sample.object.tar, read_data,
				 NULL, &f->err);
}

/* The stage has whatever its writer wrote: only reading tells. */
static void test_check_reads_what_the_marker_vouches_for(void **state)
{
	struct fixture *f = *state;
	const struct digest *tar = &f->sample.object.tar;
	struct digest *found;
	size_t n;

	assert_int_equal(check(f, true), CACHE_E_MISSING);
	publish(f);
	assert_int_equal(check(f, false), 0);
	assert_int_equal(check(f, true), 0);
	assert_int_equal(cache_list(f->cache, &found, &n, &f->err), 0);
	assert_int_equal(n, 1);
	assert_true(digest_equal(found, tar));
	free(found);
	assert_int_equal(cache_drop(f->cache, tar, &f->err), 0);
	assert_int_equal(check(f, true), CACHE_E_MISSING);
	assert_int_equal(cache_drop(f->cache, tar, &f->err), 0);
	assert_nothing_staged(f);

	f->sample.tar.data[1000] ^= 1;
	publish(f);
	assert_int_equal(check(f, false), 0);
	assert_int_equal(check(f, true), -EBADMSG);
	f->sample.tar.data[1000] ^= 1;
	assert_int_equal(cache_drop(f->cache, tar, &f->err), 0);
	f->sample.index.data[1000] ^= 1;
	publish(f);
	assert_int_equal(check(f, false), -EBADMSG);
	f->sample.index.data[1000] ^= 1;
}

/* Nothing is dropped by looking. */
static void test_check_tells_damage_from_another_boot(void **state)
{
	struct fixture *f = *state;

	publish(f);
	rewrite_present(f, PRESENT_IN_BOOT);
	assert_int_equal(check(f, true), CACHE_E_MISSING);
	rewrite_present(f, PRESENT_SYNCED);
	assert_int_equal(check(f, true), 0);
	assert_int_equal(chmod(in_layer(f, "tar"), 0640), 0);
	assert_int_equal(check(f, true), -EBADMSG);
	assert_int_equal(access(in_layer(f, "tar"), F_OK), 0);
	assert_int_equal(unlink(in_layer(f, "present")), 0);
	assert_int_equal(check(f, false), -EBADMSG);
	assert_int_equal(access(in_layer(f, "tar"), F_OK), 0);
}

static void test_stage_of_another_size_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_(cache_stage_freep) struct cache_stage *s = NULL;

	assert_int_equal(cache_stage_new(f->cache, &s, &f->err), 0);
	assert_true(cache_stage_publish(s, &f->sample.object.tar, 5,
					&f->sample.raw, &f->err) < 0);
	s = cache_stage_free(s);
	assert_missing(f);
	assert_nothing_staged(f);
}

static void test_unfinished_work_is_gone_after_reopening(void **state)
{
	struct fixture *f = *state;
	char path[200];

	snprintf(path, sizeof(path), "%s/stage-7", f->path);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/stage-7/tar", f->path);
	assert_int_equal(write_file_at(AT_FDCWD, path, "x", 1, 0600), 0);
	reopen(f);
	assert_nothing_staged(f);
}

static void test_cache_belongs_to_one_process(void **state)
{
	struct fixture *f = *state;
	struct cache *c = NULL;

	assert_int_equal(cache_open(&c, f->path, &f->err), -EBUSY);
	assert_null(c);
	assert_non_null(strstr(f->err.text, f->path));
}

static void test_totals_count_believed_layers(void **state)
{
	struct fixture *f = *state;
	uint64_t layers, bytes;

	assert_int_equal(cache_totals(f->cache, &layers, &bytes, &f->err), 0);
	assert_int_equal(layers, 0);
	assert_int_equal(bytes, 0);
	publish(f);
	assert_int_equal(
		cache_sync_layer(f->cache, &f->sample.object.tar, &f->err), 0);
	assert_int_equal(cache_totals(f->cache, &layers, &bytes, &f->err), 0);
	assert_int_equal(layers, 1);
	assert_true(bytes >= f->sample.tar.size &&
		    bytes < 2 * f->sample.tar.size);
}

static int add_bytes(const struct digest *tar, uint64_t bytes, void *ctx)
{
	(void)tar;
	*(uint64_t *)ctx += bytes;
	return 0;
}

static void test_a_removed_layer_stays_readable_for_its_readers(void **state)
{
	struct fixture *f = *state;
	_cleanup_cache_layer_ struct cache_layer l = CACHE_LAYER_INIT;
	const struct digest *tar = &f->sample.object.tar;
	uint64_t listed = 0, bytes;

	assert_int_equal(fill(f), 0);
	assert_int_equal(cache_layer_open(f->cache, tar, &l, &f->err), 0);
	assert_int_equal(cache_each(f->cache, add_bytes, &listed, &f->err), 0);
	assert_true(listed >= f->sample.tar.size);
	assert_int_equal(cache_remove_layer(f->cache, tar, &bytes, &f->err), 0);
	assert_int_equal(bytes, listed);
	assert_missing(f);
	assert_nothing_staged(f);
	assert_file(l.tar_fd, &f->sample.tar);
	assert_file(l.index_fd, &f->sample.index);
	assert_int_equal(cache_remove_layer(f->cache, tar, &bytes, &f->err), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(fill(f), 0);
	assert_whole(f);
}

static void test_object_comes_from_the_cache_without_the_store(void **state)
{
	struct fixture *f = *state;
	_cleanup_layer_object_ struct layer_object o = {0};
	_cleanup_buf_ struct buf index = BUF_INIT;
	struct sample *s = &f->sample;
	char key[STORE_KEY_MAX];

	publish(f);
	store_key_blob(key, &s->object_digest);
	assert_int_equal(store_remove(f->store, key, &f->err), 0);
	assert_int_equal(cache_get_object(f->cache, f->store, &s->object.tar,
					  &s->object_digest, &o, &index,
					  &f->err),
			 0);
	assert_int_equal(o.n_chunks, s->object.n_chunks);
	assert_int_equal(index.size, s->index.size);
	assert_memory_equal(index.data, s->index.data, index.size);
	layer_object_release(&o);
	/* A damaged copy is not believed. */
	assert_int_equal(truncate(in_layer(f, "layer"), 50), 0);
	assert_int_equal(cache_get_object(f->cache, f->store, &s->object.tar,
					  &s->object_digest, &o, NULL, &f->err),
			 -EBADMSG);
}

static void test_marker_refuses_every_change(void **state)
{
	struct present p = {.state = PRESENT_IN_BOOT,
			    .tar_size = 5,
			    .index_size = UINT64_MAX,
			    .tar_file = {3, 4},
			    .index_file = {UINT64_MAX, -5}},
		       got;
	uint8_t data[PRESENT_SIZE + 1] = {0};

	memset(p.boot_id, 7, sizeof(p.boot_id));
	memset(&p.tar, 1, sizeof(p.tar));
	memset(&p.object, 2, sizeof(p.object));
	assert_int_equal(present_encode(&p, data), 0);
	assert_int_equal(present_decode(data, PRESENT_SIZE, &got, NULL), 0);
	assert_memory_equal(&got, &p, sizeof(p));
	for (size_t i = 0; i < PRESENT_SIZE * 8; i++) {
		data[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(present_decode(data, PRESENT_SIZE, &got, NULL),
				 -EBADMSG);
		data[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t n = 0; n <= PRESENT_SIZE + 1; n++)
		if (n != PRESENT_SIZE)
			assert_int_equal(present_decode(data, n, &got, NULL),
					 -EBADMSG);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_unsynced_layer_of_another_boot_is_dropped),
		T(test_synced_layer_survives_a_reboot),
		T(test_layer_under_the_name_of_another_is_dropped),
		T(test_layer_of_other_files_is_dropped),
		T(test_layer_that_lost_bytes_is_dropped),
		T(test_published_stage_is_a_whole_layer),
		T(test_check_reads_what_the_marker_vouches_for),
		T(test_check_tells_damage_from_another_boot),
		T(test_stage_of_another_size_is_refused),
		T(test_unfinished_work_is_gone_after_reopening),
		T(test_cache_belongs_to_one_process),
		T(test_totals_count_believed_layers),
		T(test_a_removed_layer_stays_readable_for_its_readers),
		T(test_object_comes_from_the_cache_without_the_store),
		cmocka_unit_test(test_marker_refuses_every_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
