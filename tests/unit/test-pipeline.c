/* SPDX-License-Identifier: Apache-2.0 */

/* From a stream to packs: whatever is written, cut and rewound, the chunks in
 * the store are the stream's bytes, and nothing is stored twice. */

#include "pipeline-fixture.h"

#include <pthread.h>

static void test_empty_stream_is_the_empty_tarball(void **state)
{
	struct stream s;

	stream_init(&s, *state);
	stream_finish(&s);
	assert_int_equal(s.result.n_chunks, 0);
	assert_int_equal(s.result.places.n_packs, 0);
	assert_int_equal(s.result.stored, 0);
	stream_release(&s);
}

/* Text like that of sources: compresses, and comes back later in the stream. */
static void write_text(struct stream *s, uint64_t *seed)
{
	size_t size = (size_t)random_below(seed, 300000);
	uint64_t word = random_below(seed, 3);
	char line[64];

	for (size_t n = 0; n < size; n += strlen(line)) {
		snprintf(line, sizeof(line), "line %d of text %d\n", (int)n,
			 (int)word);
		stream_write(s, line, strlen(line));
	}
}

/* Fills room in place, less than there is. */
static void write_in_place(struct stream *s, uint64_t *seed)
{
	size_t room, n;
	void *to = pipeline_space(s->pipeline, &room, &s->fixture->err);

	assert_non_null(to);
	assert_true(room >= CHUNK_FORCE_SIZE);
	n = (size_t)random_below(seed, MIN(room, (size_t)500000) + 1);
	fill_random(seed, to, n);
	assert_int_equal(buf_add(&s->bytes, to, n), 0);
	assert_ok(s->fixture,
		  pipeline_advance(s->pipeline, n, &s->fixture->err));
}

static void write_zeros(struct stream *s, uint64_t *seed)
{
	size_t n = (size_t)random_below(seed, 3 << 20);

	assert_ok(s->fixture, pipeline_zeros(s->pipeline, n, &s->fixture->err));
	assert_int_equal(buf_add_zero(&s->bytes, n), 0);
}

static void step(struct stream *s, uint64_t *seed)
{
	switch (random_below(seed, 12)) {
	case 0:
	case 1:
		stream_random(s, seed, (size_t)random_below(seed, 1000000));
		break;
	case 2:
		stream_random(s, seed, (size_t)random_below(seed, 600));
		break;
	case 3:
	case 4:
		write_text(s, seed);
		break;
	case 5:
		write_in_place(s, seed);
		break;
	case 6:
		write_zeros(s, seed);
		break;
	case 7:
	case 8:
		stream_cut(s);
		break;
	case 9:
		stream_mark(s);
		break;
	default:
		/* Two in a row go back to the same mark. */
		stream_rewind(s);
	}
	assert_int_equal(pipeline_offset(s->pipeline), s->bytes.size);
}

static void test_random_streams_are_what_is_stored(void **state)
{
	enum {
		SEEDS = 8,
		STEPS = 40
	};

	for (uint64_t i = 1; i <= SEEDS; i++) {
		uint64_t seed = i;
		struct stream s;

		print_message("seed %d\n", (int)i);
		stream_init(&s, *state);
		stream_mark(&s);
		for (int n = 0; n < STEPS; n++)
			step(&s, &seed);
		stream_finish(&s);
		stream_release(&s);
	}
}

static void test_rewound_bytes_do_not_appear(void **state)
{
	uint64_t seed = 1;
	struct stream s;

	stream_init(&s, *state);
	stream_random(&s, &seed, 100000);
	stream_mark(&s);
	for (int i = 0; i < 3; i++) {
		stream_random(&s, &seed, 5 << 20);
		stream_cut(&s);
		stream_random(&s, &seed, 1000);
		stream_rewind(&s);
	}
	stream_random(&s, &seed, 200000);
	stream_finish(&s);
	assert_int_equal(s.result.tar_size, 300000);
	stream_release(&s);
}

static void test_rewound_and_written_again_is_stored_once(void **state)
{
	_cleanup_free_ uint8_t *data = malloc(2 << 20);
	uint64_t seed = 1;
	struct stream s;

	assert_non_null(data);
	fill_random(&seed, data, 2 << 20);
	stream_init(&s, *state);
	stream_cut(&s);
	stream_mark(&s);
	for (int i = 0; i < 3; i++) {
		stream_write(&s, data, 2 << 20);
		stream_cut(&s);
		stream_rewind(&s);
	}
	stream_write(&s, data, 2 << 20);
	stream_finish(&s);
	assert_in_range(s.result.stored, 2 << 20, (2 << 20) + 5000);
	stream_release(&s);
}

static void test_equal_contents_are_stored_once(void **state)
{
	_cleanup_free_ uint8_t *data = malloc(1 << 20);
	uint64_t seed = 7;
	struct stream s;

	assert_non_null(data);
	fill_random(&seed, data, 1 << 20);
	stream_init(&s, *state);
	for (int i = 0; i < 6; i++) {
		stream_cut(&s);
		stream_write(&s, data, 1 << 20);
		stream_cut(&s);
		stream_random(&s, &seed, 512);
	}
	stream_finish(&s);
	assert_in_range(s.result.stored, 1 << 20, (1 << 20) + 20000);
	assert_int_equal(s.result.places.n_packs, 1);
	stream_release(&s);
}

static void run_again(struct fixture *f, uint64_t seed, size_t size,
		      struct pipeline_result *ret)
{
	struct stream s;

	stream_init(&s, f);
	stream_random(&s, &seed, size);
	stream_finish(&s);
	*ret = s.result;
	s.result = (struct pipeline_result){0};
	stream_release(&s);
}

static void test_what_the_store_has_is_not_stored_again(void **state)
{
	struct pipeline_result first, again, other;

	run_again(*state, 3, 3 << 20, &first);
	run_again(*state, 3, 3 << 20, &again);
	run_again(*state, 4, 1 << 20, &other);
	assert_true(first.stored > 3 << 20);
	assert_int_equal(again.stored, 0);
	assert_true(other.stored > 1 << 20);
	assert_true(digest_equal(&first.tar, &again.tar));
	assert_int_equal(again.places.n_packs, 1);
	assert_true(
		digest_equal(&first.places.packs[0], &again.places.packs[0]));
	assert_false(
		digest_equal(&first.places.packs[0], &other.places.packs[0]));
	pipeline_result_release(&first);
	pipeline_result_release(&again);
	pipeline_result_release(&other);
}

static void test_packs_are_named_by_their_bytes_and_list_them(void **state)
{
	struct fixture *f = *state;
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	_cleanup_buf_ struct buf pack = BUF_INIT;
	struct pipeline_result r;
	char key[STORE_KEY_MAX];
	struct digest d;
	size_t need;

	run_again(f, 5, 2 << 20, &r);
	assert_int_equal(r.places.n_packs, 1);
	store_key_pack(key, &r.places.packs[0]);
	assert_ok(f, store_get(f->host->store, key, 8 << 20, &pack, &f->err));
	assert_int_equal(r.stored, pack.size);
	assert_int_equal(digest_of(pack.data, pack.size, &d), 0);
	assert_true(digest_equal(&d, &r.places.packs[0]));
	assert_int_equal(pack_toc_decode(pack.data, pack.size, pack.size, &toc,
					 &need, &f->err),
			 0);
	assert_int_equal(toc.n, r.n_chunks);
	for (size_t i = 0; i < toc.n; i++) {
		assert_true(digest_equal(&toc.entries[i].chunk,
					 &r.chunks[i].digest));
		assert_int_equal(toc.entries[i].offset,
				 r.places.rows[i].offset);
	}
	pipeline_result_release(&r);
}

static uint64_t known_packs(struct fixture *f)
{
	uint64_t packs, chunks, bytes;

	assert_ok(f, catalog_pack_totals(f->host->catalog, &packs, &chunks,
					 &bytes, &f->err));
	return packs;
}

/* More than a pack holds and than is ever in flight behind it. */
#define MUCH (84u << 20)

static void test_packs_of_a_stream_cut_short_are_found_again(void **state)
{
	_cleanup_free_ uint8_t *data = malloc(MUCH);
	struct fixture *f = *state;
	uint64_t seed = 11, size;
	char key[STORE_KEY_MAX];
	struct stream s;

	assert_non_null(data);
	fill_random(&seed, data, MUCH);
	stream_init(&s, f);
	assert_ok(f, pipeline_write(s.pipeline, data, MUCH, &f->err));
	stream_release(&s);
	assert_int_equal(known_packs(f), 1);
	stream_init(&s, f);
	stream_write(&s, data, MUCH);
	stream_finish(&s);
	assert_int_equal(s.result.places.n_packs, 2);
	assert_int_equal(known_packs(f), 2);
	assert_in_range(s.result.stored, MUCH - PACK_SIZE_MAX,
			MUCH - PACK_SIZE_MAX + (2 << 20));
	for (size_t i = 0; i < 2; i++) {
		store_key_pack(key, &s.result.places.packs[i]);
		assert_ok(f, store_size(f->host->store, key, &size, &f->err));
		assert_true(size < PACK_SIZE_MAX + (1 << 20));
	}
	stream_release(&s);
}

static void test_pipelines_may_be_freed_at_any_point(void **state)
{
	for (int i = 0; i < 30; i++) {
		uint64_t seed = (uint64_t)i;
		struct stream s;

		stream_init(&s, *state);
		stream_mark(&s);
		for (int n = 0; n < i; n++)
			step(&s, &seed);
		stream_release(&s);
	}
}

struct job {
	struct fixture *fixture;
	pthread_t thread;
	int tar_fd;
	struct pipeline_result result;
	int r;
	struct err err;
};

/* In a thread, where asserts are of no use. */
static void *run_job(void *ctx)
{
	_cleanup_(pipeline_freep) struct pipeline *p = NULL;
	_cleanup_free_ uint8_t *data = malloc(3 << 20);
	struct job *job = ctx;
	struct host *h = job->fixture->host;
	uint64_t seed = 21;

	job->r = data ? 0 : -ENOMEM;
	if (job->r == 0)
		job->r = pipeline_new(&p, h->store, h->catalog, job->tar_fd,
				      &job->err);
	for (int i = 0; job->r == 0 && i < 4; i++) {
		fill_random(&seed, data, 3 << 20);
		if (i == 2)
			job->r = pipeline_mark(p, &job->err);
		if (job->r == 0)
			job->r = pipeline_write(p, data, 3 << 20, &job->err);
		if (job->r == 0 && i == 2)
			job->r = pipeline_rewind(p, &job->err);
	}
	if (job->r == 0)
		job->r = pipeline_finish(p, &job->result, &job->err);
	return NULL;
}

static void test_equal_streams_at_the_same_time_agree(void **state)
{
	struct job jobs[3] = {0};

	alarm(HANG_SECONDS);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		jobs[i].fixture = *state;
		jobs[i].tar_fd = memfd_create("tar", MFD_CLOEXEC);
		assert_int_equal(pthread_create(&jobs[i].thread, NULL, run_job,
						&jobs[i]),
				 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		assert_int_equal(pthread_join(jobs[i].thread, NULL), 0);
		if (jobs[i].r < 0)
			fail_msg("%s", jobs[i].err.text);
		assert_true(
			digest_equal(&jobs[i].result.tar, &jobs[0].result.tar));
		assert_int_equal(jobs[i].result.n_chunks,
				 jobs[0].result.n_chunks);
	}
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		pipeline_result_release(&jobs[i].result);
		closep(&jobs[i].tar_fd);
	}
	alarm(0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_empty_stream_is_the_empty_tarball),
		T(test_random_streams_are_what_is_stored),
		T(test_rewound_bytes_do_not_appear),
		T(test_rewound_and_written_again_is_stored_once),
		T(test_equal_contents_are_stored_once),
		T(test_what_the_store_has_is_not_stored_again),
		T(test_packs_are_named_by_their_bytes_and_list_them),
		T(test_packs_of_a_stream_cut_short_are_found_again),
		T(test_pipelines_may_be_freed_at_any_point),
		T(test_equal_streams_at_the_same_time_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
