/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A pack: chunks as independent zstd frames (RFC 8878), and a skippable frame
 * at the end that says what they are, so that "zstd -dc PACK" gives their bytes
 * and a pack can be read without any database. Named by its SHA-256.
 *
 * A pack, little-endian:
 *
 *   size      what
 *   ...       n zstd frames (RFC 8878), one a chunk, without gaps, each with
 *             its content size and without checksum
 *   4         0x184d2a5c, a skippable frame: decompressors pass over the rest
 *   4         bytes that follow: 48 n + 48
 *   48 n      entries, in the order of the frames
 *             32  SHA-256 of the chunk
 *              8  offset of its frame in the pack
 *              4  length of its frame
 *              4  size of the chunk, 1 to CHUNK_MAX, 1 MiB
 *   8         "LYRPACK1"
 *   4         version, 1
 *   4         n, at least 1
 *   32        SHA-256 of everything from the skippable frame's magic to here
 *
 * The last 48 bytes have a fixed form, so a reader starts from the end. What
 * must hold: offsets follow from the lengths, and the frames end where the
 * skippable frame begins; a frame of s bytes is no longer than
 * ZSTD_compressBound(s); the frames take at most PACK_SIZE_MAX, 64 MiB.
 */

#include "util/buf.h"
#include "util/digest.h"
#include "util/error.h"

#include <stdint.h>

/* A pack is closed when the next chunk would take its frames beyond this. */
#define PACK_SIZE_MAX (64u << 20)

/* Bytes of the trailer for n chunks, that is, of the pack behind its frames. */
#define PACK_TRAILER_SIZE(n) (56u + 48u * (size_t)(n))

struct pack_entry {
	struct digest chunk; /* SHA-256 of the uncompressed bytes */
	uint64_t offset;     /* of the frame in the pack */
	uint32_t length;     /* of the frame */
	uint32_t size;	     /* uncompressed */
};

struct pack_toc {
	struct pack_entry *entries; /* in pack order */
	size_t n;
	size_t alloc; /* entries that there is room for */
};

#define _cleanup_pack_toc_ __attribute__((cleanup(pack_toc_release)))
void pack_toc_release(struct pack_toc *toc);

/* Adds an entry; the offset is where the entry before ends. -ENOMEM. */
int pack_toc_add(struct pack_toc *toc, const struct digest *chunk,
		 uint32_t length, uint32_t size);

/* The entry of the frame at offset, or NULL. */
const struct pack_entry *pack_toc_find(const struct pack_toc *toc,
				       uint64_t offset);

/* Appends the trailer, a skippable frame, for the frames in toc. -ENOMEM;
 * -EINVAL for a toc without entries. */
int pack_toc_encode(const struct pack_toc *toc, struct buf *b);

/*
 * Reads the contents of a pack from its last bytes. tail holds the tail_size
 * last bytes of a pack of pack_size; where that is not enough, returns
 * PACK_E_SHORT and how many are needed in *ret_need. -EBADMSG with a sentence.
 */
#define PACK_E_SHORT 1
#define PACK_TAIL_GUESS (64u << 10)
int pack_toc_decode(const uint8_t *tail, size_t tail_size, uint64_t pack_size,
		    struct pack_toc *ret, size_t *ret_need, struct err *err);

/* One worker's compression and decompression state. Not shared by threads. */
struct pack_codec;
int pack_codec_new(struct pack_codec **ret);
struct pack_codec *pack_codec_free(struct pack_codec *c);
void pack_codec_freep(struct pack_codec **c);

/* Appends one frame for size bytes (1 to CHUNK_MAX) to b, with content size
 * and without checksum (the chunk's digest is the check). -ENOMEM. */
int pack_compress(struct pack_codec *c, const void *data, uint32_t size,
		  struct buf *b);

/*
 * Decompresses one frame into out, which has room for size bytes, and checks
 * size and digest. -EBADMSG (err names the chunk) when anything is off.
 */
int pack_decompress(struct pack_codec *c, const void *frame, size_t length,
		    const struct digest *chunk, void *out, uint32_t size,
		    struct err *err);
