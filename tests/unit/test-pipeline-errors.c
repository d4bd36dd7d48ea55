/* SPDX-License-Identifier: Apache-2.0 */

/* Stores that fill up, refuse or lose what they had: each ends the pipeline
 * with the reason and without a hang, and what follows works again. */

#include "pipeline-fixture.h"

#include <sched.h>
#include <sys/mount.h>

static bool private_mounts;

static int enter_namespace(void **state)
{
	(void)state;
	private_mounts = unshare(CLONE_NEWNS) == 0 &&
			 mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	return 0;
}

/* A store of its own for the host, on a tmpfs of 6 MiB. */
static void use_small_store(struct fixture *f, char path[static 80])
{
	if (!private_mounts) {
		print_message("needs root to mount a small file system\n");
		skip();
	}
	snprintf(path, 80, "%s/small", f->top);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mount("small", path, "tmpfs", 0, "size=6m"), 0);
	f->host->store = store_free(f->host->store);
	assert_ok(f, store_open_dir(&f->host->store, path, true, &f->err));
}

static void leave_small_store(struct fixture *f, const char *path)
{
	f->host->store = store_free(f->host->store);
	assert_int_equal(umount2(path, 0), 0);
}

/* Writes until it fails or size is reached, then finishes. */
static int write_all(struct stream *s, uint64_t seed, size_t size)
{
	static uint8_t block[1 << 20];
	struct err *err = &s->fixture->err;
	int r = 0;

	*err = ERR_INIT;
	for (size_t n = 0; r == 0 && n < size; n += sizeof(block)) {
		fill_random(&seed, block, sizeof(block));
		r = pipeline_write(s->pipeline, block, sizeof(block), err);
	}
	return r < 0 ? r : pipeline_finish(s->pipeline, &s->result, err);
}

/* After an error every call gives it again, at once. */
static void assert_stays_failed(struct stream *s, int error)
{
	struct pipeline_result result = {0};
	struct err err = ERR_INIT;

	assert_true(pipeline_rewind(s->pipeline, &err) < 0);
	assert_int_equal(err.code, error);
	assert_true(pipeline_finish(s->pipeline, &result, NULL) < 0);
	for (int i = 0; i < 300; i++)
		(void)pipeline_write(s->pipeline, "x", 1, NULL);
	assert_true(pipeline_zeros(s->pipeline, 32 << 20, NULL) < 0);
}

static void test_full_store_ends_the_stream(void **state)
{
	struct fixture *f = *state;
	struct stream s;
	char path[80];

	use_small_store(f, path);
	stream_init(&s, f);
	stream_mark(&s);
	assert_int_equal(write_all(&s, 1, 40 << 20), -ENOSPC);
	if (!strstr(f->err.text, path))
		fail_msg("\"%s\" does not name the store", f->err.text);
	assert_stays_failed(&s, -ENOSPC);
	stream_release(&s);
	/* It left nothing behind that takes room, so that less fits again. */
	stream_init(&s, f);
	assert_ok(f, write_all(&s, 2, 4 << 20));
	stream_release(&s);
	leave_small_store(f, path);
}

static void test_store_that_fills_up_at_the_end_ends_the_stream(void **state)
{
	struct fixture *f = *state;
	uint64_t packs, chunks, bytes;
	struct stream s;
	char path[80];

	use_small_store(f, path);
	stream_init(&s, f);
	/* Little enough to be in flight as a whole when it is finished. */
	assert_int_equal(write_all(&s, 1, 7 << 20), -ENOSPC);
	stream_release(&s);
	assert_ok(f, catalog_pack_totals(f->host->catalog, &packs, &chunks,
					 &bytes, &f->err));
	assert_int_equal(packs, 0);
	leave_small_store(f, path);
}

static void test_read_only_store_ends_the_stream(void **state)
{
	struct fixture *f = *state;
	struct stream s;
	char path[80];

	use_small_store(f, path);
	assert_int_equal(mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL),
			 0);
	stream_init(&s, f);
	stream_mark(&s);
	assert_int_equal(write_all(&s, 1, 20 << 20), -EROFS);
	assert_int_equal(f->err.code, -EROFS);
	assert_stays_failed(&s, -EROFS);
	stream_release(&s);
	leave_small_store(f, path);
}

static void use_tar(struct stream *s, struct fixture *f, const char *path,
		    int flags)
{
	stream_init(s, f);
	s->pipeline = pipeline_free(s->pipeline);
	closep(&s->tar_fd);
	s->tar_fd = open(path, flags | O_CLOEXEC);
	assert_true(s->tar_fd >= 0);
	assert_ok(f, pipeline_new(&s->pipeline, f->host->store,
				  f->host->catalog, s->tar_fd, &f->err));
}

static void test_full_cache_ends_the_stream(void **state)
{
	struct fixture *f = *state;
	struct stream s;

	use_tar(&s, f, "/dev/full", O_WRONLY);
	stream_mark(&s);
	assert_int_equal(write_all(&s, 1, 20 << 20), -ENOSPC);
	assert_non_null(strstr(f->err.text, "cache"));
	assert_stays_failed(&s, -ENOSPC);
	stream_release(&s);
	use_tar(&s, f, "/dev/null", O_RDONLY);
	assert_int_equal(write_all(&s, 1, 1 << 20), -EBADF);
	stream_release(&s);
}

static void remove_pack(struct fixture *f, const struct digest *pack)
{
	char key[STORE_KEY_MAX];

	store_key_pack(key, pack);
	assert_ok(f, store_remove(f->host->store, key, &f->err));
}

static void test_lost_pack_is_stale_once_and_stored_again(void **state)
{
	struct fixture *f = *state;
	struct pipeline_result none = {0};
	struct digest lost;
	struct stream s;
	uint64_t seed = 5;
	bool has;

	stream_init(&s, f);
	stream_random(&s, &seed, 2 << 20);
	stream_finish(&s);
	lost = s.result.places.packs[0];
	stream_release(&s);
	remove_pack(f, &lost);

	seed = 5;
	stream_init(&s, f);
	stream_random(&s, &seed, 2 << 20);
	stream_random(&s, &seed, 1 << 20);
	f->err = ERR_INIT;
	assert_int_equal(pipeline_finish(s.pipeline, &none, &f->err), -ESTALE);
	assert_int_equal(f->err.code, 0);
	assert_null(none.chunks);
	stream_release(&s);
	assert_ok(f, catalog_has_pack(f->host->catalog, &lost, &has, &f->err));
	assert_false(has);

	seed = 5;
	stream_init(&s, f);
	stream_random(&s, &seed, 2 << 20);
	stream_random(&s, &seed, 1 << 20);
	stream_finish(&s);
	assert_true(s.result.stored > 1 << 20);
	stream_release(&s);
}

static void test_lost_packs_are_all_found_at_once(void **state)
{
	struct fixture *f = *state;
	struct pipeline_result none = {0};
	struct digest lost[3];
	struct stream s;

	for (uint64_t i = 0; i < 3; i++) {
		uint64_t seed = i;

		stream_init(&s, f);
		stream_random(&s, &seed, 200000);
		stream_finish(&s);
		lost[i] = s.result.places.packs[0];
		stream_release(&s);
	}
	remove_pack(f, &lost[0]);
	remove_pack(f, &lost[2]);
	for (int again = 0; again < 2; again++) {
		stream_init(&s, f);
		for (uint64_t i = 0; i < 3; i++) {
			uint64_t seed = i;

			stream_random(&s, &seed, 200000);
			stream_cut(&s);
		}
		if (again) {
			stream_finish(&s);
			assert_int_equal(s.result.places.n_packs, 2);
		} else {
			assert_int_equal(
				pipeline_finish(s.pipeline, &none, &f->err),
				-ESTALE);
		}
		stream_release(&s);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_full_store_ends_the_stream),
		T(test_store_that_fills_up_at_the_end_ends_the_stream),
		T(test_read_only_store_ends_the_stream),
		T(test_full_cache_ends_the_stream),
		T(test_lost_pack_is_stale_once_and_stored_again),
		T(test_lost_packs_are_all_found_at_once),
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
