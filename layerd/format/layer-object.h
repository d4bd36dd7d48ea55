/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The layer object: everything about a layer but its data. Immutable, named by
 * its own SHA-256, which the manifest pins.
 *
 * A layer object, little-endian:
 *
 *   size      what
 *   8         "LYRLAYER"
 *   4         version, 1
 *   4         origin of the tarball: 0 sealed by us, 1 foreign
 *   32        SHA-256 of the tarball
 *   8         size of the tarball
 *   8         names in the layer
 *   8         size of the index, an EROFS image, at least 1
 *   8         z, the size of the index compressed
 *   8         n, the number of chunks
 *   44 n      chunks, in tar order
 *              8  offset in the tarball
 *              4  size, 1 to CHUNK_MAX, 1 MiB
 *             32  SHA-256
 *   z         the index as one zstd frame with its content size
 *   32        SHA-256 of everything before
 *
 * What must hold: each chunk begins where the one before ends, the first at 0,
 * and the last ends with the tarball.
 */

#include "format/archive-reader.h"
#include "util/buf.h"
#include "util/digest.h"
#include "util/error.h"

#include <stdint.h>

/* Bytes of an index and of an encoded object; nothing larger is written or
 * read. About 15 million names, or 70 million chunks. */
#define LAYER_INDEX_MAX ((size_t)2 << 30)
#define LAYER_OBJECT_MAX ((size_t)1 << 30)

/* A chunk of the tarball; offsets follow from the sizes of those before. */
struct layer_chunk {
	struct digest digest; /* of the uncompressed bytes */
	uint32_t size;	      /* 1 to CHUNK_MAX */
	uint64_t offset;      /* in the tarball */
};

struct layer_object {
	struct digest tar; /* the layer's digest, its OCI diff_id */
	uint64_t tar_size;
	uint64_t entries; /* names in the layer, whiteouts included */
	enum archive_origin origin;
	uint64_t index_size; /* of the EROFS image, uncompressed */

	struct layer_chunk *chunks; /* in tar order, covering the tarball */
	size_t n_chunks;
};

#define _cleanup_layer_object_ __attribute__((cleanup(layer_object_release)))
void layer_object_release(struct layer_object *o);

/*
 * Appends the encoded object; index is the EROFS image of index_size bytes,
 * which is compressed. -ENOMEM; -EFBIG beyond the bounds above.
 */
int layer_object_encode(const struct layer_object *o, const void *index,
			struct buf *b, struct err *err);

/*
 * Checks everything (magic, version, checksum, counts, offsets) and fills ret.
 * The index is decompressed into index when that is not NULL; it is as hostile
 * as before, see erofs_reader_check(). index_max bounds it. -EBADMSG.
 */
int layer_object_decode(const uint8_t *data, size_t size,
			struct layer_object *ret, struct buf *index,
			size_t index_max, struct err *err);

/* The number of the chunk that holds byte offset of the tarball. */
size_t layer_object_find(const struct layer_object *o, uint64_t offset);
