/* SPDX-License-Identifier: Apache-2.0 */

/* Filling the cache from stores that are whole, damaged or hostile. */

#include "cache-fixture.h"
#include "cache/fill.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

static void test_filled_layer_is_the_tarball_and_its_index(void **state)
{
	struct fixture *f = *state;

	assert_missing(f);
	assert_int_equal(fill(f), 0);
	assert_whole(f);
	assert_nothing_staged(f);
}

static void test_complete_layer_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;

	assert_int_equal(fill(f), 0);
	assert_int_equal(stat(in_layer(f, "tar"), &before), 0);
	assert_int_equal(fill(f), 0);
	assert_int_equal(stat(in_layer(f, "tar"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void test_layer_of_another_object_is_replaced(void **state)
{
	struct fixture *f = *state;
	_cleanup_cache_layer_ struct cache_layer old = CACHE_LAYER_INIT;

	assert_int_equal(fill(f), 0);
	assert_int_equal(cache_layer_open(f->cache, &f->sample.object.tar, &old,
					  &f->err),
			 0);
	f->sample.object.origin = ARCHIVE_FOREIGN;
	sample_store_object(&f->sample, f->store);
	assert_false(digest_equal(&old.object, &f->sample.object_digest));
	assert_int_equal(fill(f), 0);
	assert_whole(f);
	assert_nothing_staged(f);
	/* Whoever has the old one open keeps it. */
	assert_file(old.tar_fd, &f->sample.tar);
}

/* Changes one byte of an object in the store. */
static void spoil(struct fixture *f, const char *key, uint64_t offset)
{
	char path[400];
	uint8_t byte;
	int fd;

	snprintf(path, sizeof(path), "%s/store/%s", f->top, key);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread_full(fd, &byte, 1, offset), 0);
	byte ^= 0x40;
	assert_int_equal(pwrite_full(fd, &byte, 1, offset), 0);
	assert_int_equal(close(fd), 0);
}

static void assert_refused(struct fixture *f)
{
	assert_int_equal(fill(f), -EBADMSG);
	assert_int_equal(f->err.code, -EBADMSG);
	assert_missing(f);
	assert_nothing_staged(f);
}

static void assert_names(struct fixture *f, const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE];

	assert_non_null(strstr(f->err.text, digest_hex(d, hex)));
}

static void test_damaged_pack_is_named_with_layer_and_chunk(void **state)
{
	struct fixture *f = *state;
	struct sample *s = &f->sample;
	char key[STORE_KEY_MAX];

	store_key_pack(key, &s->places.packs[1]);
	spoil(f, key, s->places.rows[10].offset + 50);
	assert_refused(f);
	assert_names(f, &s->object.tar);
	assert_names(f, &s->object.chunks[10].digest);
	assert_names(f, &s->places.packs[1]);
}

static void test_missing_pack_is_named(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];

	store_key_pack(key, &f->sample.places.packs[0]);
	assert_int_equal(store_remove(f->store, key, &f->err), 0);
	assert_refused(f);
	assert_names(f, &f->sample.places.packs[0]);
}

static void test_truncated_pack_is_refused(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX], path[400];

	store_key_pack(key, &f->sample.places.packs[0]);
	snprintf(path, sizeof(path), "%s/store/%s", f->top, key);
	assert_int_equal(truncate(path, 70000), 0);
	assert_refused(f);
	assert_non_null(strstr(f->err.text, key));
}

static void test_damaged_layer_object_is_refused(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];

	store_key_blob(key, &f->sample.object_digest);
	spoil(f, key, 200);
	assert_refused(f);
	assert_names(f, &f->sample.object_digest);
	assert_int_equal(store_remove(f->store, key, &f->err), 0);
	assert_refused(f);
	assert_non_null(strstr(f->err.text, "missing"));
}

static void test_object_of_another_layer_is_refused(void **state)
{
	struct fixture *f = *state;
	struct sample other;
	struct digest tar = f->sample.object.tar;

	sample_make(&other, f->store, 2);
	assert_int_equal(cache_fill(f->cache, f->store, &tar,
				    &other.object_digest, NULL, NULL, &f->err),
			 -EBADMSG);
	assert_names(f, &tar);
	assert_missing(f);
	sample_release(&other);
}

static void test_hostile_index_never_reaches_the_cache(void **state)
{
	struct fixture *f = *state;

	/* Past superblock and checksum: the first inodes. */
	memset(f->sample.index.data + 1536, 0xff, 512);
	sample_store_object(&f->sample, f->store);
	assert_refused(f);
	memset(f->sample.index.data, 0, f->sample.index.size);
	sample_store_object(&f->sample, f->store);
	assert_refused(f);
}

static void test_damaged_places_are_named(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];

	store_key_places(key, &f->sample.object.tar);
	spoil(f, key, 60);
	assert_refused(f);
	assert_non_null(strstr(f->err.text, key));
	assert_int_equal(store_remove(f->store, key, &f->err), 0);
	assert_refused(f);
	assert_non_null(strstr(f->err.text, key));
}

static void test_places_that_lie_are_refused(void **state)
{
	struct fixture *f = *state;
	struct places *p = &f->sample.places;
	struct place kept = p->rows[3];

	p->n_rows--;
	sample_store_places(&f->sample, f->store);
	p->n_rows++;
	assert_refused(f);
	p->rows[3] = p->rows[4];
	sample_store_places(&f->sample, f->store);
	assert_refused(f);
	assert_names(f, &f->sample.object.chunks[3].digest);
	p->rows[3] = kept;
	p->rows[3].length++;
	sample_store_places(&f->sample, f->store);
	assert_refused(f);
}

struct progress {
	pthread_mutex_t lock;
	uint64_t last;
	uint64_t total;
	int calls;
	int stop_at;
};

static int watch(uint64_t done, uint64_t total, void *ctx)
{
	struct progress *p = ctx;

	/* One caller at a time. */
	assert_int_equal(pthread_mutex_trylock(&p->lock), 0);
	assert_true(done > p->last && done <= total);
	p->last = done;
	p->total = total;
	p->calls++;
	pthread_mutex_unlock(&p->lock);
	return p->calls == p->stop_at ? -ECANCELED : 0;
}

static void test_progress_ends_with_all_bytes(void **state)
{
	struct fixture *f = *state;
	struct progress p = {.lock = PTHREAD_MUTEX_INITIALIZER};

	assert_int_equal(cache_fill(f->cache, f->store, &f->sample.object.tar,
				    &f->sample.object_digest, watch, &p,
				    &f->err),
			 0);
	assert_true(p.calls > 1);
	assert_int_equal(p.last, f->sample.tar.size);
	assert_int_equal(p.total, f->sample.tar.size);
}

static void test_progress_can_stop_a_fill(void **state)
{
	struct fixture *f = *state;
	struct progress p = {.lock = PTHREAD_MUTEX_INITIALIZER, .stop_at = 1};

	assert_int_equal(cache_fill(f->cache, f->store, &f->sample.object.tar,
				    &f->sample.object_digest, watch, &p,
				    &f->err),
			 -ECANCELED);
	assert_int_equal(p.calls, 1);
	assert_missing(f);
	assert_nothing_staged(f);
}

struct filler {
	struct fixture *fixture;
	struct progress progress;
	int result;
};

static void *fill_thread(void *arg)
{
	struct filler *filler = arg;
	struct fixture *f = filler->fixture;

	filler->result = cache_fill(f->cache, f->store, &f->sample.object.tar,
				    &f->sample.object_digest, watch,
				    &filler->progress, NULL);
	return NULL;
}

static void test_concurrent_callers_wait_for_one_fill(void **state)
{
	struct fixture *f = *state;
	struct filler fillers[4];
	pthread_t threads[4];
	int worked = 0;

	for (size_t i = 0; i < 4; i++) {
		fillers[i] = (struct filler){.fixture = f,
					     .progress.lock =
						     PTHREAD_MUTEX_INITIALIZER};
		assert_int_equal(pthread_create(&threads[i], NULL, fill_thread,
						&fillers[i]),
				 0);
	}
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(fillers[i].result, 0);
		worked += fillers[i].progress.calls > 0;
	}
	assert_int_equal(worked, 1);
	assert_whole(f);
}

/* In a child with a private mount namespace and a cache of 3 MiB. */
static int fill_small_cache(struct fixture *f, const char *path)
{
	struct cache *c = NULL;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("small", path, "tmpfs", 0, "size=3m") < 0)
		return 77;
	if (cache_open(&c, path, NULL) < 0)
		return 1;
	if (cache_fill(c, f->store, &f->sample.object.tar,
		       &f->sample.object_digest, NULL, NULL,
		       &f->err) != -ENOSPC)
		return 2;
	if (!strstr(f->err.text, path) || !strstr(f->err.text, "free some"))
		return 3;
	cache_free(c);
	return 0;
}

static void test_tarball_that_cannot_be_written_is_an_error(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(fill_tar(f->cache, f->store, &f->sample.object,
			     &f->sample.places, fd, NULL, NULL, &f->err) < 0);
	assert_non_null(strstr(f->err.text, f->path));
}

static void test_full_cache_says_so(void **state)
{
	struct fixture *f = *state;
	char path[128];
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("needs root to mount a small file system\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/small", f->top);
	assert_int_equal(mkdir(path, 0700), 0);
	pid = fork();
	if (pid == 0)
		_exit(fill_small_cache(f, path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("no private mounts here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_filled_layer_is_the_tarball_and_its_index),
		T(test_complete_layer_is_left_alone),
		T(test_layer_of_another_object_is_replaced),
		T(test_damaged_pack_is_named_with_layer_and_chunk),
		T(test_missing_pack_is_named),
		T(test_truncated_pack_is_refused),
		T(test_damaged_layer_object_is_refused),
		T(test_object_of_another_layer_is_refused),
		T(test_hostile_index_never_reaches_the_cache),
		T(test_damaged_places_are_named),
		T(test_places_that_lie_are_refused),
		T(test_progress_ends_with_all_bytes),
		T(test_progress_can_stop_a_fill),
		T(test_concurrent_callers_wait_for_one_fill),
		T(test_tarball_that_cannot_be_written_is_an_error),
		T(test_full_cache_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
