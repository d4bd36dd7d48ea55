/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small layer made step by step with the format modules, and put into a
 * store: a large file of noise and a small one, chunks in two packs.
 */

#include "format/chunker.h"
#include "format/erofs-writer.h"
#include "format/layer-object.h"
#include "format/pack.h"
#include "format/places.h"
#include "format/tar-writer.h"
#include "store/layout.h"
#include "store/store.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SAMPLE_NOISE (5u << 20)

struct sample {
	struct buf tar;
	struct buf index;
	struct layer_object object;
	struct buf raw; /* the encoded layer object */
	struct digest object_digest;
	struct places places;
};

static inline void sample_release(struct sample *s)
{
	buf_release(&s->tar);
	buf_release(&s->index);
	buf_release(&s->raw);
	layer_object_release(&s->object);
	places_release(&s->places);
}

static inline void sample_add_file(struct sample *s, struct erofs_writer *w,
				   const char *path, const void *data,
				   size_t size)
{
	struct entry e = {.path = path, .mode = S_IFREG | 0644, .size = size};

	assert_int_equal(tar_add_header(&s->tar, &e, NULL), 0);
	e.payload = s->tar.size;
	assert_int_equal(buf_add(&s->tar, data, size), 0);
	assert_int_equal(buf_add_zero(&s->tar, tar_padding(size)), 0);
	assert_int_equal(erofs_writer_add(w, &e, NULL), 0);
}

/* Reads what was written to a memfd, and closes it. */
static inline void sample_read(int fd, uint64_t size, struct buf *b)
{
	assert_int_equal(buf_reserve(b, size), 0);
	assert_int_equal(pread_full(fd, b->data, size, 0), 0);
	b->size = size;
	(void)close(fd);
}

static inline void sample_make_tar(struct sample *s, unsigned int seed)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	_cleanup_free_ uint8_t *noise = malloc(SAMPLE_NOISE);
	int fd = memfd_create("index", MFD_CLOEXEC);
	uint64_t size;

	assert_non_null(noise);
	for (size_t i = 0; i < SAMPLE_NOISE; i++) {
		seed = seed * 1103515245 + 12345;
		noise[i] = (uint8_t)(seed >> 16);
	}
	assert_int_equal(erofs_writer_new(&w), 0);
	sample_add_file(s, w, "noise", noise, SAMPLE_NOISE);
	sample_add_file(s, w, "small", "hello", 5);
	assert_int_equal(tar_add_end(&s->tar), 0);
	assert_int_equal(digest_of(s->tar.data, s->tar.size, &s->object.tar),
			 0);
	s->object.tar_size = s->tar.size;
	s->object.entries = erofs_writer_count(w);
	assert_int_equal(erofs_writer_finish(w, &s->object.tar, s->tar.size, fd,
					     &size, NULL),
			 0);
	sample_read(fd, size, &s->index);
	s->object.index_size = size;
}

/* Stores the frames collected so far as a pack and gives its chunks places. */
static inline void sample_end_pack(struct sample *s, struct store *store,
				   struct pack_toc *toc, struct buf *pack)
{
	char key[STORE_KEY_MAX];
	struct digest d;

	assert_int_equal(pack_toc_encode(toc, pack), 0);
	assert_int_equal(digest_of(pack->data, pack->size, &d), 0);
	assert_int_equal(store_put(store, store_key_pack(key, &d), pack->data,
				   pack->size, NULL),
			 0);
	for (size_t i = 0; i < toc->n; i++)
		assert_int_equal(places_add(&s->places, &d,
					    toc->entries[i].offset,
					    toc->entries[i].length),
				 0);
	pack_toc_release(toc);
	*toc = (struct pack_toc){0};
	buf_release(pack);
}

static inline void sample_add_chunk(struct sample *s, struct pack_codec *codec,
				    struct pack_toc *toc, struct buf *pack,
				    uint64_t offset, uint32_t size)
{
	struct layer_object *o = &s->object;
	struct layer_chunk *chunk;
	size_t before = pack->size;

	o->chunks =
		reallocarray(o->chunks, o->n_chunks + 1, sizeof(*o->chunks));
	assert_non_null(o->chunks);
	chunk = &o->chunks[o->n_chunks++];
	*chunk = (struct layer_chunk){.size = size, .offset = offset};
	assert_int_equal(digest_of(s->tar.data + offset, size, &chunk->digest),
			 0);
	assert_int_equal(pack_compress(codec, s->tar.data + offset, size, pack),
			 0);
	assert_int_equal(pack_toc_add(toc, &chunk->digest,
				      (uint32_t)(pack->size - before), size),
			 0);
}

static inline void sample_make_chunks(struct sample *s, struct store *store)
{
	_cleanup_(pack_codec_freep) struct pack_codec *codec = NULL;
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	_cleanup_buf_ struct buf pack = BUF_INIT;
	struct chunker chunker = CHUNKER_INIT;
	uint64_t start = 0, at = 0;

	assert_int_equal(pack_codec_new(&codec), 0);
	while (at < s->tar.size) {
		bool cut;

		at += chunker_feed(&chunker, s->tar.data + at, s->tar.size - at,
				   &cut);
		if (!cut && at < s->tar.size)
			continue;
		sample_add_chunk(s, codec, &toc, &pack, start,
				 (uint32_t)(at - start));
		start = at;
		if (s->object.n_chunks == 8)
			sample_end_pack(s, store, &toc, &pack);
	}
	sample_end_pack(s, store, &toc, &pack);
	assert_int_equal(s->places.n_packs, 2);
}

static inline void sample_store_places(struct sample *s, struct store *store)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char key[STORE_KEY_MAX];

	assert_int_equal(places_encode(&s->places, &s->object.tar, &b), 0);
	assert_int_equal(store_replace(store,
				       store_key_places(key, &s->object.tar),
				       b.data, b.size, NULL),
			 0);
}

/* Encodes and stores the layer object anew. */
static inline void sample_store_object(struct sample *s, struct store *store)
{
	char key[STORE_KEY_MAX];

	s->raw.size = 0;
	assert_int_equal(
		layer_object_encode(&s->object, s->index.data, &s->raw, NULL),
		0);
	assert_int_equal(digest_of(s->raw.data, s->raw.size, &s->object_digest),
			 0);
	assert_int_equal(store_put(store,
				   store_key_blob(key, &s->object_digest),
				   s->raw.data, s->raw.size, NULL),
			 0);
}

static inline void sample_make(struct sample *s, struct store *store,
			       unsigned int seed)
{
	*s = (struct sample){.object.origin = ARCHIVE_SEALED};
	sample_make_tar(s, seed);
	sample_make_chunks(s, store);
	sample_store_places(s, store);
	sample_store_object(s, store);
}
