/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A pipeline together with the bytes that its stream must have, and the judge
 * of what it made of them. */

#include "format/chunker.h"
#include "format/pack.h"
#include "store/layout.h"
#include "volume-fixture.h"
#include "volume/pipeline.h"

#include <signal.h>
#include <sys/mman.h>

struct stream {
	struct fixture *fixture;
	struct pipeline *pipeline;
	int tar_fd;
	struct buf bytes;
	size_t marked;
	size_t cuts[64]; /* offsets of boundaries that were asked for */
	size_t n_cuts, marked_cuts;
	struct pipeline_result result;
};

/* A pipeline that hangs ends the test program, which is told by the signal. */
#define HANG_SECONDS 60

static inline void stream_init(struct stream *s, struct fixture *f)
{
	alarm(HANG_SECONDS);
	*s = (struct stream){.fixture = f};
	s->tar_fd = memfd_create("tar", MFD_CLOEXEC);
	assert_true(s->tar_fd >= 0);
	assert_ok(f, pipeline_new(&s->pipeline, f->host->store,
				  f->host->catalog, s->tar_fd, &f->err));
}

static inline void stream_release(struct stream *s)
{
	s->pipeline = pipeline_free(s->pipeline);
	pipeline_result_release(&s->result);
	closep(&s->tar_fd);
	buf_release(&s->bytes);
	alarm(0);
}

static inline void stream_write(struct stream *s, const void *data, size_t size)
{
	assert_ok(s->fixture,
		  pipeline_write(s->pipeline, data, size, &s->fixture->err));
	assert_int_equal(buf_add(&s->bytes, data, size), 0);
}

static inline void stream_random(struct stream *s, uint64_t *seed, size_t size)
{
	_cleanup_free_ uint8_t *data = malloc(size + 1);

	assert_non_null(data);
	fill_random(seed, data, size);
	stream_write(s, data, size);
}

static inline void stream_cut(struct stream *s)
{
	assert_ok(s->fixture, pipeline_cut(s->pipeline, &s->fixture->err));
	if (s->n_cuts < ARRAY_SIZE(s->cuts))
		s->cuts[s->n_cuts++] = s->bytes.size;
}

static inline void stream_mark(struct stream *s)
{
	assert_ok(s->fixture, pipeline_mark(s->pipeline, &s->fixture->err));
	s->marked = s->bytes.size;
	s->marked_cuts = s->n_cuts;
}

static inline void stream_rewind(struct stream *s)
{
	assert_ok(s->fixture, pipeline_rewind(s->pipeline, &s->fixture->err));
	s->bytes.size = s->marked;
	s->n_cuts = s->marked_cuts;
}

static inline void assert_cuts_are_boundaries(const struct stream *s)
{
	for (size_t i = 0; i < s->n_cuts; i++) {
		size_t n = 0;

		while (n < s->result.n_chunks &&
		       s->result.chunks[n].offset < s->cuts[i])
			n++;
		if (n < s->result.n_chunks)
			assert_int_equal(s->result.chunks[n].offset,
					 s->cuts[i]);
	}
}

/* The nth chunk as it is in the store must be the bytes at its offset. */
static inline void assert_chunk(struct stream *s, size_t n,
				struct pack_codec *codec)
{
	struct fixture *f = s->fixture;
	const struct layer_chunk *chunk = &s->result.chunks[n];
	const struct place *place = &s->result.places.rows[n];
	_cleanup_free_ uint8_t *frame = malloc(place->length);
	_cleanup_free_ uint8_t *out = malloc(chunk->size);
	struct catalog_place known;
	char key[STORE_KEY_MAX];

	assert_true(frame && out);
	assert_true(place->pack < s->result.places.n_packs);
	store_key_pack(key, &s->result.places.packs[place->pack]);
	assert_ok(f, store_get_range(f->host->store, key, place->offset,
				     place->length, frame, &f->err));
	assert_ok(f,
		  pack_decompress(codec, frame, place->length, &chunk->digest,
				  out, chunk->size, &f->err));
	assert_memory_equal(out, s->bytes.data + chunk->offset, chunk->size);
	assert_ok(f, catalog_find_chunk(f->host->catalog, &chunk->digest,
					&known, &f->err));
	assert_int_equal(known.size, chunk->size);
}

static inline void assert_result(struct stream *s)
{
	_cleanup_(pack_codec_freep) struct pack_codec *codec = NULL;
	_cleanup_free_ uint8_t *tar = malloc(s->bytes.size + 1);
	const struct pipeline_result *r = &s->result;
	struct digest digest;
	uint64_t offset = 0;

	assert_non_null(tar);
	assert_int_equal(r->tar_size, s->bytes.size);
	assert_int_equal(digest_of(s->bytes.data, s->bytes.size, &digest), 0);
	assert_true(digest_equal(&digest, &r->tar));
	assert_int_equal(pread_full(s->tar_fd, tar, s->bytes.size, 0), 0);
	if (s->bytes.size)
		assert_memory_equal(tar, s->bytes.data, s->bytes.size);
	assert_int_equal(r->places.n_rows, r->n_chunks);
	assert_int_equal(pack_codec_new(&codec), 0);
	for (size_t i = 0; i < r->n_chunks; i++) {
		assert_int_equal(r->chunks[i].offset, offset);
		assert_in_range(r->chunks[i].size, 1, CHUNK_MAX);
		assert_chunk(s, i, codec);
		offset += r->chunks[i].size;
	}
	assert_int_equal(offset, s->bytes.size);
	assert_cuts_are_boundaries(s);
}

static inline void stream_finish(struct stream *s)
{
	struct fixture *f = s->fixture;

	assert_int_equal(pipeline_offset(s->pipeline), s->bytes.size);
	assert_ok(f, pipeline_finish(s->pipeline, &s->result, &f->err));
	assert_result(s);
}
