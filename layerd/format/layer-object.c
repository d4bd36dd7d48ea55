/* SPDX-License-Identifier: Apache-2.0 */
#include "format/layer-object.h"

#include "format/chunker.h"
#include "format/frame.h"
#include "util/cleanup.h"
#include "util/cursor.h"

#include <endian.h>
#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

#define MAGIC "LYRLAYER"
#define VERSION 1u
#define HEADER_SIZE 88u
#define CHUNK_SIZE 44u

/* Indexes are read at every mount and written once; level 3 halves the time of
 * higher levels for a few percent of the bytes. */
#define INDEX_ZSTD_LEVEL 3

#define ADVICE "restore it from a copy"

struct header {
	uint32_t origin;
	uint64_t index_stored;
	uint64_t n_chunks;
};

void layer_object_release(struct layer_object *o)
{
	free(o->chunks);
	*o = (struct layer_object){0};
}

static bool chunk_follows(const struct layer_chunk *chunk, uint64_t offset,
			  uint64_t tar_size)
{
	return chunk->offset == offset && chunk->size &&
	       chunk->size <= CHUNK_MAX && chunk->size <= tar_size - offset;
}

static bool chunks_cover(const struct layer_object *o)
{
	uint64_t offset = 0;

	for (size_t i = 0; i < o->n_chunks; i++) {
		if (!chunk_follows(&o->chunks[i], offset, o->tar_size))
			return false;
		offset += o->chunks[i].size;
	}
	return offset == o->tar_size;
}

static int add_header(const struct layer_object *o, struct buf *b)
{
	int r = buf_add(b, MAGIC, 8);

	r = r ?: buf_add_le32(b, VERSION);
	r = r ?: buf_add_le32(b, o->origin == ARCHIVE_FOREIGN);
	r = r ?: buf_add(b, o->tar.bytes, DIGEST_SIZE);
	r = r ?: buf_add_le64(b, o->tar_size);
	r = r ?: buf_add_le64(b, o->entries);
	r = r ?: buf_add_le64(b, o->index_size);
	r = r ?: buf_add_le64(b, 0); /* set by add_index() */
	return r ?: buf_add_le64(b, o->n_chunks);
}

static int add_chunk(const struct layer_chunk *chunk, struct buf *b)
{
	int r = buf_add_le64(b, chunk->offset);

	r = r ?: buf_add_le32(b, chunk->size);
	return r ?: buf_add(b, chunk->digest.bytes, DIGEST_SIZE);
}

static int add_index(const void *index, size_t size, struct buf *b,
		     size_t start)
{
	uint64_t stored;
	size_t n;
	int r;

	r = buf_reserve(b, ZSTD_compressBound(size));
	if (r < 0)
		return r;
	n = ZSTD_compress(b->data + b->size, b->alloc - b->size, index, size,
			  INDEX_ZSTD_LEVEL);
	/* With room for the bound, nothing but memory can be missing. */
	if (ZSTD_isError(n))
		return -ENOMEM;
	b->size += n;
	stored = htole64(n);
	memcpy(b->data + start + HEADER_SIZE - 16, &stored, sizeof(stored));
	return 0;
}

static int too_large(const char *what, uint64_t size, uint64_t max,
		     struct err *err)
{
	return err_set(err, EFBIG,
		       "the layer's %s would take %llu bytes, more than the "
		       "%llu that are read; commit more often, or spread the "
		       "files over several volumes",
		       what, (unsigned long long)size, (unsigned long long)max);
}

int layer_object_encode(const struct layer_object *o, const void *index,
			struct buf *b, struct err *err)
{
	struct digest checksum;
	size_t start = b->size;
	int r;

	if (!o->index_size || !chunks_cover(o))
		return err_set(err, EINVAL,
			       "a layer has no index, or its chunks do not "
			       "cover its tarball of %llu bytes; this is a "
			       "defect of layerd",
			       (unsigned long long)o->tar_size);
	if (o->index_size > LAYER_INDEX_MAX)
		return too_large("index", o->index_size, LAYER_INDEX_MAX, err);
	r = add_header(o, b);
	for (size_t i = 0; !r && i < o->n_chunks; i++)
		r = add_chunk(&o->chunks[i], b);
	r = r ?: add_index(index, o->index_size, b, start);
	r = r ?: digest_of(b->data + start, b->size - start, &checksum);
	r = r ?: buf_add(b, checksum.bytes, DIGEST_SIZE);
	if (r < 0) {
		b->size = start;
		return err_oom(err);
	}
	if (b->size - start > LAYER_OBJECT_MAX) {
		uint64_t size = b->size - start;

		b->size = start;
		return too_large("object", size, LAYER_OBJECT_MAX, err);
	}
	return 0;
}

static int damaged(const char *defect, struct err *err)
{
	return err_set(err, EBADMSG, "the layer object is damaged: %s; " ADVICE,
		       defect);
}

static int header_decode(struct cursor *c, size_t size, struct header *ret,
			 struct layer_object *o, struct err *err)
{
	const uint8_t *magic = cursor_take(c, 8), *tar;
	uint32_t version = cursor_le32(c);
	uint64_t room = size;

	ret->origin = cursor_le32(c);
	tar = cursor_take(c, DIGEST_SIZE);
	o->tar_size = cursor_le64(c);
	o->entries = cursor_le64(c);
	o->index_size = cursor_le64(c);
	ret->index_stored = cursor_le64(c);
	ret->n_chunks = cursor_le64(c);
	if (!cursor_ok(c) || memcmp(magic, MAGIC, 8) != 0)
		return damaged("it does not begin as layer objects do", err);
	if (version != VERSION)
		return err_set(err, EBADMSG,
			       "the layer object is of format version %u, this "
			       "layerd reads version %u; upgrade layerd",
			       version, VERSION);
	if (ret->origin > 1)
		return damaged("it does not say who made its tarball", err);
	if (!o->index_size)
		return damaged("it has no index", err);
	if (ret->n_chunks > room / CHUNK_SIZE || ret->index_stored > room ||
	    room != HEADER_SIZE + ret->n_chunks * CHUNK_SIZE +
			    ret->index_stored + DIGEST_SIZE)
		return damaged("its size does not fit its counts", err);
	memcpy(o->tar.bytes, tar, DIGEST_SIZE);
	o->origin = ret->origin ? ARCHIVE_FOREIGN : ARCHIVE_SEALED;
	return 0;
}

static int chunks_decode(struct cursor *c, struct layer_object *o, size_t n,
			 struct err *err)
{
	uint64_t offset = 0;

	o->chunks = calloc(n + 1, sizeof(*o->chunks));
	if (!o->chunks)
		return err_oom(err);
	for (; o->n_chunks < n; o->n_chunks++) {
		struct layer_chunk *chunk = &o->chunks[o->n_chunks];

		chunk->offset = cursor_le64(c);
		chunk->size = cursor_le32(c);
		memcpy(chunk->digest.bytes, cursor_take(c, DIGEST_SIZE),
		       DIGEST_SIZE);
		if (!chunk_follows(chunk, offset, o->tar_size))
			return damaged("its chunks leave a gap, overlap or "
				       "are of an impossible size",
				       err);
		offset += chunk->size;
	}
	if (offset != o->tar_size)
		return damaged("its chunks end before the tarball does", err);
	return 0;
}

static int index_decode(const uint8_t *frame, size_t length, uint64_t size,
			struct buf *index, size_t max, struct err *err)
{
	size_t n;

	if (size > max)
		return err_set(err, EBADMSG,
			       "the index of the layer would take %llu bytes, "
			       "at most %zu are read; " ADVICE,
			       (unsigned long long)size, max);
	if (buf_reserve(index, size) < 0)
		return err_oom(err);
	n = ZSTD_decompress(index->data + index->size, size, frame, length);
	if (ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
		return err_oom(err);
	if (ZSTD_isError(n) || n != size)
		return damaged("its index does not decompress", err);
	index->size += size;
	return 0;
}

int layer_object_decode(const uint8_t *data, size_t size,
			struct layer_object *ret, struct buf *index,
			size_t index_max, struct err *err)
{
	_cleanup_layer_object_ struct layer_object o = {0};
	struct cursor c = CURSOR_INIT(data, size);
	const uint8_t *frame;
	struct digest checksum;
	struct header header;
	int r;

	r = header_decode(&c, size, &header, &o, err);
	if (r < 0)
		return r;
	r = digest_of(data, size - DIGEST_SIZE, &checksum);
	if (r < 0)
		return err_oom(err);
	if (memcmp(checksum.bytes, data + size - DIGEST_SIZE, DIGEST_SIZE) != 0)
		return damaged("its checksum is wrong", err);
	r = chunks_decode(&c, &o, header.n_chunks, err);
	if (r < 0)
		return r;
	frame = cursor_take(&c, header.index_stored);
	if (frame_defect(frame, header.index_stored, o.index_size))
		return damaged("its index is not the zstd frame it says", err);
	if (index) {
		r = index_decode(frame, header.index_stored, o.index_size,
				 index, index_max, err);
		if (r < 0)
			return r;
	}
	*ret = o;
	o = (struct layer_object){0};
	return 0;
}

size_t layer_object_find(const struct layer_object *o, uint64_t offset)
{
	size_t low = 0, high = o->n_chunks;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (o->chunks[middle].offset <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}
