/* SPDX-License-Identifier: Apache-2.0 */
/* Layer objects: what was put in comes out, and every rule of the byte table is
 * enforced also where the checksum is right. */
#include "format/chunker.h"
#include "format/layer-object.h"
#include "util/cleanup.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <zstd.h>

#include <cmocka.h>

#define N_CHUNKS 4
#define INDEX_SIZE 8192

static const uint32_t sizes[N_CHUNKS] = {CHUNK_MAX, 1, 70000, 512};

/* Where the fields are, see layer-object.c. */
enum {
	AT_VERSION = 8,
	AT_ORIGIN = 12,
	AT_TAR_SIZE = 48,
	AT_INDEX_SIZE = 64,
	AT_INDEX_STORED = 72,
	AT_N_CHUNKS = 80,
	AT_CHUNKS = 88,
	CHUNK_ROW = 44,
};

struct sample {
	struct layer_object object;
	uint8_t index[INDEX_SIZE];
	struct buf b;
};

static int setup(void **state)
{
	struct sample *s = calloc(1, sizeof(*s));
	struct layer_object *o;

	assert_non_null(s);
	o = &s->object;
	o->tar.bytes[0] = 0xaa;
	o->entries = 42;
	o->origin = ARCHIVE_FOREIGN;
	o->index_size = INDEX_SIZE;
	o->chunks = calloc(N_CHUNKS, sizeof(*o->chunks));
	assert_non_null(o->chunks);
	for (; o->n_chunks < N_CHUNKS; o->n_chunks++) {
		struct layer_chunk *c = &o->chunks[o->n_chunks];

		c->digest.bytes[0] = (uint8_t)o->n_chunks;
		c->offset = o->tar_size;
		c->size = sizes[o->n_chunks];
		o->tar_size += c->size;
	}
	for (size_t i = 0; i < INDEX_SIZE; i++)
		s->index[i] = (uint8_t)(i * i >> 4);
	assert_int_equal(layer_object_encode(o, s->index, &s->b, NULL), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct sample *s = *state;

	layer_object_release(&s->object);
	buf_release(&s->b);
	free(s);
	return 0;
}

static int decode(const uint8_t *data, size_t size, size_t index_max)
{
	_cleanup_layer_object_ struct layer_object o = {0};
	_cleanup_buf_ struct buf index = BUF_INIT;
	struct err err = ERR_INIT;
	int r;

	r = layer_object_decode(data, size, &o, &index, index_max, &err);
	if (r < 0) {
		assert_int_equal(err.code, r);
		assert_true(*err.text);
	}
	return r;
}

static void assert_damaged(struct sample *s)
{
	struct digest d;

	assert_int_equal(digest_of(s->b.data, s->b.size - DIGEST_SIZE, &d), 0);
	memcpy(s->b.data + s->b.size - DIGEST_SIZE, d.bytes, DIGEST_SIZE);
	assert_int_equal(decode(s->b.data, s->b.size, INDEX_SIZE), -EBADMSG);
}

static void put_le32(struct sample *s, size_t at, uint32_t v)
{
	v = htole32(v);
	memcpy(s->b.data + at, &v, sizeof(v));
}

static void put_le64(struct sample *s, size_t at, uint64_t v)
{
	v = htole64(v);
	memcpy(s->b.data + at, &v, sizeof(v));
}

static void test_object_comes_back(void **state)
{
	struct sample *s = *state;
	_cleanup_layer_object_ struct layer_object o = {0};
	_cleanup_buf_ struct buf index = BUF_INIT;

	assert_int_equal(layer_object_decode(s->b.data, s->b.size, &o, &index,
					     INDEX_SIZE, NULL),
			 0);
	assert_true(digest_equal(&o.tar, &s->object.tar));
	assert_int_equal(o.tar_size, s->object.tar_size);
	assert_int_equal(o.entries, 42);
	assert_int_equal(o.origin, ARCHIVE_FOREIGN);
	assert_int_equal(o.index_size, INDEX_SIZE);
	assert_int_equal(o.n_chunks, N_CHUNKS);
	for (size_t i = 0; i < N_CHUNKS; i++) {
		assert_true(digest_equal(&o.chunks[i].digest,
					 &s->object.chunks[i].digest));
		assert_int_equal(o.chunks[i].offset,
				 s->object.chunks[i].offset);
		assert_int_equal(o.chunks[i].size, sizes[i]);
	}
	assert_int_equal(index.size, INDEX_SIZE);
	assert_memory_equal(index.data, s->index, INDEX_SIZE);
}

static void test_index_is_left_packed_when_not_wanted(void **state)
{
	struct sample *s = *state;
	_cleanup_layer_object_ struct layer_object o = {0};

	assert_int_equal(
		layer_object_decode(s->b.data, s->b.size, &o, NULL, 0, NULL),
		0);
	assert_int_equal(o.n_chunks, N_CHUNKS);
}

static void test_encoding_is_the_same_each_time(void **state)
{
	struct sample *s = *state;
	_cleanup_buf_ struct buf again = BUF_INIT;

	assert_int_equal(
		layer_object_encode(&s->object, s->index, &again, NULL), 0);
	assert_int_equal(again.size, s->b.size);
	assert_memory_equal(again.data, s->b.data, again.size);
}

static void test_find_gives_the_chunk_of_each_byte(void **state)
{
	const struct layer_object *o = &((struct sample *)*state)->object;

	for (size_t i = 0; i < o->n_chunks; i++) {
		const struct layer_chunk *c = &o->chunks[i];

		assert_int_equal(layer_object_find(o, c->offset), i);
		assert_int_equal(layer_object_find(o, c->offset + c->size - 1),
				 i);
	}
}

static void test_chunks_with_a_gap_are_not_encoded(void **state)
{
	struct sample *s = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	s->object.chunks[2].offset++;
	assert_int_equal(layer_object_encode(&s->object, s->index, &b, &err),
			 -EINVAL);
	assert_int_equal(b.size, 0);
	assert_true(*err.text);
}

static void test_every_flipped_bit_is_noticed(void **state)
{
	struct sample *s = *state;

	for (size_t i = 0; i < s->b.size; i++) {
		uint8_t bit = (uint8_t)(1 << i % 8);

		s->b.data[i] ^= bit;
		assert_int_equal(decode(s->b.data, s->b.size, INDEX_SIZE),
				 -EBADMSG);
		s->b.data[i] ^= bit;
	}
}

static void test_every_truncation_is_noticed(void **state)
{
	struct sample *s = *state;

	for (size_t n = 0; n < s->b.size; n++)
		assert_int_equal(decode(s->b.data, n, INDEX_SIZE), -EBADMSG);
}

static void test_bytes_behind_the_end_are_refused(void **state)
{
	struct sample *s = *state;

	assert_int_equal(buf_add_zero(&s->b, 1), 0);
	assert_damaged(s);
}

static void test_unknown_version_and_origin_are_refused(void **state)
{
	struct sample *s = *state;

	put_le32(s, AT_VERSION, 2);
	assert_damaged(s);
	put_le32(s, AT_VERSION, 1);
	put_le32(s, AT_ORIGIN, 2);
	assert_damaged(s);
}

static void test_absurd_counts_are_refused(void **state)
{
	struct sample *s = *state;
	static const uint64_t counts[] = {
		0,	  N_CHUNKS - 1, N_CHUNKS + 1,
		1u << 30, UINT64_MAX,	UINT64_MAX / CHUNK_ROW + 1 + N_CHUNKS,
	};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		put_le64(s, AT_N_CHUNKS, counts[i]);
		assert_damaged(s);
	}
	put_le64(s, AT_N_CHUNKS, N_CHUNKS);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		put_le64(s, AT_INDEX_STORED, counts[i]);
		assert_damaged(s);
	}
}

static void test_chunks_must_cover_the_tarball(void **state)
{
	struct sample *s = *state;
	uint64_t tar_size = s->object.tar_size;
	size_t second = AT_CHUNKS + CHUNK_ROW;

	put_le64(s, second, CHUNK_MAX + 1);
	assert_damaged(s);
	put_le64(s, second, CHUNK_MAX - 1);
	assert_damaged(s);
	put_le64(s, second, CHUNK_MAX);
	put_le64(s, AT_TAR_SIZE, tar_size + 1);
	assert_damaged(s);
	put_le64(s, AT_TAR_SIZE, tar_size - 1);
	assert_damaged(s);
	put_le64(s, AT_TAR_SIZE, UINT64_MAX);
	assert_damaged(s);
	put_le64(s, AT_TAR_SIZE, 0);
	assert_damaged(s);
}

static void test_impossible_chunk_sizes_are_refused(void **state)
{
	struct sample *s = *state;

	put_le32(s, AT_CHUNKS + 8, 0);
	assert_damaged(s);
	put_le32(s, AT_CHUNKS + 8, CHUNK_MAX + 1);
	assert_damaged(s);
	put_le32(s, AT_CHUNKS + 8, UINT32_MAX);
	assert_damaged(s);
}

static void test_index_beyond_the_bound_is_refused(void **state)
{
	struct sample *s = *state;

	assert_int_equal(decode(s->b.data, s->b.size, INDEX_SIZE - 1),
			 -EBADMSG);
	assert_int_equal(decode(s->b.data, s->b.size, INDEX_SIZE), 0);
}

static void test_index_of_another_size_is_refused(void **state)
{
	struct sample *s = *state;
	static const uint64_t said[] = {0, INDEX_SIZE - 1, INDEX_SIZE + 1,
					UINT64_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		put_le64(s, AT_INDEX_SIZE, said[i]);
		assert_damaged(s);
	}
}

static void test_index_that_does_not_decompress_is_refused(void **state)
{
	struct sample *s = *state;
	size_t frame = AT_CHUNKS + N_CHUNKS * CHUNK_ROW;

	/* All of it but the headers of the frame and of its first block. */
	memset(s->b.data + frame + 10, 0xff,
	       s->b.size - DIGEST_SIZE - frame - 10);
	assert_damaged(s);
	memset(s->b.data + frame, 0, 4);
	assert_damaged(s);
}

/* A frame header may promise anything; what counts is what there is. */
static void test_index_bomb_stays_within_its_bound(void **state)
{
	struct sample *s = *state;
	_cleanup_free_ uint8_t *zeros = calloc(1, 64u << 20);
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_non_null(zeros);
	s->object.index_size = 64u << 20;
	assert_int_equal(layer_object_encode(&s->object, zeros, &b, NULL), 0);
	assert_true(b.size < 16384);
	assert_int_equal(decode(b.data, b.size, 1u << 20), -EBADMSG);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_object_comes_back),
		CASE(test_index_is_left_packed_when_not_wanted),
		CASE(test_encoding_is_the_same_each_time),
		CASE(test_find_gives_the_chunk_of_each_byte),
		CASE(test_chunks_with_a_gap_are_not_encoded),
		CASE(test_every_flipped_bit_is_noticed),
		CASE(test_every_truncation_is_noticed),
		CASE(test_bytes_behind_the_end_are_refused),
		CASE(test_unknown_version_and_origin_are_refused),
		CASE(test_absurd_counts_are_refused),
		CASE(test_chunks_must_cover_the_tarball),
		CASE(test_impossible_chunk_sizes_are_refused),
		CASE(test_index_beyond_the_bound_is_refused),
		CASE(test_index_of_another_size_is_refused),
		CASE(test_index_that_does_not_decompress_is_refused),
		CASE(test_index_bomb_stays_within_its_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
