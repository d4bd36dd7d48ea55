/* SPDX-License-Identifier: Apache-2.0 */
#include "format/pack.h"

#include "format/chunker.h"
#include "format/frame.h"
#include "util/cleanup.h"
#include "util/cursor.h"

#include <errno.h>
#include <zstd.h>

#define TRAILER_MAGIC 0x184d2a5cu
#define FOOTER_MAGIC "LYRPACK1"
#define VERSION 1u
#define HEADER_SIZE 8u
#define ENTRY_SIZE 48u
#define FOOTER_SIZE 48u

/* Frame magic, a header with window and size, a block header and one byte. */
#define FRAME_MIN 10u

/* Level 1: sealing runs at the speed of the disk, and levels up to 5 save less
 * than a tenth of the bytes for half of the speed. */
#define PACK_ZSTD_LEVEL 1

#define ADVICE "restore it from a copy or seal the data again"

struct pack_codec {
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
	struct hasher *hasher;
};

void pack_toc_release(struct pack_toc *toc)
{
	free(toc->entries);
	*toc = (struct pack_toc){0};
}

int pack_toc_add(struct pack_toc *toc, const struct digest *chunk,
		 uint32_t length, uint32_t size)
{
	uint64_t offset = 0;

	if (toc->n == toc->alloc) {
		size_t alloc = toc->alloc * 2 + 64;
		struct pack_entry *entries =
			reallocarray(toc->entries, alloc, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		toc->entries = entries;
		toc->alloc = alloc;
	}
	if (toc->n)
		offset = toc->entries[toc->n - 1].offset +
			 toc->entries[toc->n - 1].length;
	toc->entries[toc->n++] = (struct pack_entry){
		.chunk = *chunk,
		.offset = offset,
		.length = length,
		.size = size,
	};
	return 0;
}

static int add_entry(struct buf *b, const struct pack_entry *e)
{
	int r = buf_add(b, e->chunk.bytes, DIGEST_SIZE);

	r = r ?: buf_add_le64(b, e->offset);
	r = r ?: buf_add_le32(b, e->length);
	return r ?: buf_add_le32(b, e->size);
}

static int compare_offset(const void *key, const void *entry)
{
	uint64_t offset = *(const uint64_t *)key;
	const struct pack_entry *e = entry;

	return (offset > e->offset) - (offset < e->offset);
}

const struct pack_entry *pack_toc_find(const struct pack_toc *toc,
				       uint64_t offset)
{
	if (!toc->n)
		return NULL;
	return bsearch(&offset, toc->entries, toc->n, sizeof(*toc->entries),
		       compare_offset);
}

int pack_toc_encode(const struct pack_toc *toc, struct buf *b)
{
	struct digest checksum;
	size_t start = b->size;
	int r;

	if (!toc->n || toc->n > PACK_SIZE_MAX / FRAME_MIN)
		return -EINVAL;
	r = buf_reserve(b, PACK_TRAILER_SIZE(toc->n));
	r = r ?: buf_add_le32(b, TRAILER_MAGIC);
	r = r ?: buf_add_le32(b, (uint32_t)(ENTRY_SIZE * toc->n + FOOTER_SIZE));
	for (size_t i = 0; !r && i < toc->n; i++)
		r = add_entry(b, &toc->entries[i]);
	r = r ?: buf_add(b, FOOTER_MAGIC, 8);
	r = r ?: buf_add_le32(b, VERSION);
	r = r ?: buf_add_le32(b, (uint32_t)toc->n);
	r = r ?: digest_of(b->data + start, b->size - start, &checksum);
	r = r ?: buf_add(b, checksum.bytes, DIGEST_SIZE);
	if (r < 0)
		b->size = start;
	return r;
}

/* The number of entries, from the fixed form of the last bytes. */
static int footer_decode(const uint8_t *footer, uint64_t pack_size,
			 size_t *ret_n, struct err *err)
{
	struct cursor c = CURSOR_INIT(footer, FOOTER_SIZE);
	const uint8_t *magic = cursor_take(&c, 8);
	uint32_t version = cursor_le32(&c), n = cursor_le32(&c);
	uint64_t room = pack_size - HEADER_SIZE - FOOTER_SIZE;

	if (memcmp(magic, FOOTER_MAGIC, 8) != 0)
		return err_set(err, EBADMSG,
			       "this is not a pack, or its end is cut "
			       "off; " ADVICE);
	if (version != VERSION)
		return err_set(err, EBADMSG,
			       "the pack is of format version %u, this layerd "
			       "reads version %u; upgrade layerd",
			       version, VERSION);
	if (!n || n > room / (ENTRY_SIZE + FRAME_MIN) ||
	    n > PACK_SIZE_MAX / FRAME_MIN)
		return err_set(
			err, EBADMSG,
			"the pack is damaged: %u chunks cannot be in %llu "
			"bytes; " ADVICE,
			n, (unsigned long long)pack_size);
	*ret_n = n;
	return 0;
}

/* Magic, size and checksum of the trailer that ends the pack. */
static int trailer_check(const uint8_t *trailer, size_t size, struct err *err)
{
	struct cursor c = CURSOR_INIT(trailer, size);
	struct digest checksum;
	int r;

	if (cursor_le32(&c) != TRAILER_MAGIC ||
	    cursor_le32(&c) != size - HEADER_SIZE)
		return err_set(err, EBADMSG,
			       "the pack is damaged: its contents do not begin "
			       "where they should; " ADVICE);
	r = digest_of(trailer, size - DIGEST_SIZE, &checksum);
	if (r < 0)
		return err_oom(err);
	if (memcmp(checksum.bytes, trailer + size - DIGEST_SIZE, DIGEST_SIZE))
		return err_set(err, EBADMSG,
			       "the pack is damaged: the checksum of its "
			       "contents is wrong; " ADVICE);
	return 0;
}

static int entry_decode(struct cursor *c, uint64_t offset, uint64_t end,
			size_t number, struct pack_entry *ret, struct err *err)
{
	const uint8_t *chunk = cursor_take(c, DIGEST_SIZE);
	struct pack_entry e = {
		.offset = cursor_le64(c),
		.length = cursor_le32(c),
		.size = cursor_le32(c),
	};

	if (!cursor_ok(c) || e.offset != offset || e.length < FRAME_MIN ||
	    e.length > end - offset || !e.size || e.size > CHUNK_MAX ||
	    e.length > ZSTD_compressBound(e.size))
		return err_set(err, EBADMSG,
			       "the pack is damaged: its contents place chunk "
			       "%zu at %llu with %u bytes for %u; " ADVICE,
			       number, (unsigned long long)e.offset, e.length,
			       e.size);
	memcpy(e.chunk.bytes, chunk, DIGEST_SIZE);
	*ret = e;
	return 0;
}

int pack_toc_decode(const uint8_t *tail, size_t tail_size, uint64_t pack_size,
		    struct pack_toc *ret, size_t *ret_need, struct err *err)
{
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	uint64_t frames, end = 0;
	struct cursor c;
	size_t n, size;
	int r;

	if (tail_size > pack_size)
		return err_set(err, EINVAL,
			       "%zu bytes cannot be the end of a pack of %llu",
			       tail_size, (unsigned long long)pack_size);
	if (pack_size < PACK_TRAILER_SIZE(1) + FRAME_MIN)
		return err_set(err, EBADMSG,
			       "%llu bytes are too few for a pack; " ADVICE,
			       (unsigned long long)pack_size);
	if (tail_size < FOOTER_SIZE) {
		*ret_need = PACK_TRAILER_SIZE(1);
		return PACK_E_SHORT;
	}
	r = footer_decode(tail + tail_size - FOOTER_SIZE, pack_size, &n, err);
	if (r < 0)
		return r;
	size = PACK_TRAILER_SIZE(n);
	if (tail_size < size) {
		*ret_need = size;
		return PACK_E_SHORT;
	}
	frames = pack_size - size;
	if (frames > PACK_SIZE_MAX)
		return err_set(err, EBADMSG,
			       "the pack is damaged: %llu bytes of chunks, at "
			       "most %u can be; " ADVICE,
			       (unsigned long long)frames, PACK_SIZE_MAX);
	r = trailer_check(tail + tail_size - size, size, err);
	if (r < 0)
		return r;
	toc.entries = calloc(n, sizeof(*toc.entries));
	if (!toc.entries)
		return err_oom(err);
	toc.alloc = n;
	c = CURSOR_INIT(tail + tail_size - size + HEADER_SIZE, n * ENTRY_SIZE);
	for (; toc.n < n; toc.n++) {
		r = entry_decode(&c, end, frames, toc.n, &toc.entries[toc.n],
				 err);
		if (r < 0)
			return r;
		end += toc.entries[toc.n].length;
	}
	if (end != frames)
		return err_set(
			err, EBADMSG,
			"the pack is damaged: its chunks end at %llu, its "
			"contents begin at %llu; " ADVICE,
			(unsigned long long)end, (unsigned long long)frames);
	*ret = toc;
	toc = (struct pack_toc){0};
	return 0;
}

int pack_codec_new(struct pack_codec **ret)
{
	_cleanup_(pack_codec_freep) struct pack_codec *c = NULL;
	int r;

	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->compress = ZSTD_createCCtx();
	c->decompress = ZSTD_createDCtx();
	r = hasher_new(&c->hasher);
	if (r < 0 || !c->compress || !c->decompress)
		return -ENOMEM;
	*ret = TAKE_PTR(c);
	return 0;
}

struct pack_codec *pack_codec_free(struct pack_codec *c)
{
	if (c) {
		ZSTD_freeCCtx(c->compress);
		ZSTD_freeDCtx(c->decompress);
		hasher_free(c->hasher);
		free(c);
	}
	return NULL;
}

void pack_codec_freep(struct pack_codec **c)
{
	*c = pack_codec_free(*c);
}

int pack_compress(struct pack_codec *c, const void *data, uint32_t size,
		  struct buf *b)
{
	size_t n;
	int r;

	if (!size || size > CHUNK_MAX)
		return -EINVAL;
	r = buf_reserve(b, ZSTD_compressBound(size));
	if (r < 0)
		return r;
	n = ZSTD_compressCCtx(c->compress, b->data + b->size,
			      b->alloc - b->size, data, size, PACK_ZSTD_LEVEL);
	/* With room for the bound, nothing but memory can be missing. */
	if (ZSTD_isError(n))
		return -ENOMEM;
	b->size += n;
	return 0;
}

static int chunk_damaged(const struct digest *chunk, const char *defect,
			 struct err *err)
{
	char hex[DIGEST_HEX_SIZE];

	return err_set(err, EBADMSG,
		       "chunk sha256:%s is damaged: its zstd frame %s; fetch "
		       "it again, or restore its pack from a copy",
		       digest_hex(chunk, hex), defect);
}

int pack_decompress(struct pack_codec *c, const void *frame, size_t length,
		    const struct digest *chunk, void *out, uint32_t size,
		    struct err *err)
{
	const char *defect = frame_defect(frame, length, size);
	struct digest digest;
	size_t n;

	if (!defect && (!size || size > CHUNK_MAX))
		defect = "is of a size that no chunk has";
	if (defect)
		return chunk_damaged(chunk, defect, err);
	n = ZSTD_decompressDCtx(c->decompress, out, size, frame, length);
	if (ZSTD_isError(n))
		return chunk_damaged(chunk, "does not decompress", err);
	if (n != size)
		return chunk_damaged(chunk, "holds too little", err);
	hasher_reset(c->hasher);
	hasher_add(c->hasher, out, size);
	hasher_finish(c->hasher, &digest);
	if (!digest_equal(&digest, chunk))
		return chunk_damaged(chunk, "holds other bytes", err);
	return 0;
}
