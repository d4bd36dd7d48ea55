/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the chunks of a layer are: one row per chunk of the layer object, in
 * its order. Replaceable (repacking rewrites it) and never trusted: every chunk
 * is checked against the layer object.
 *
 * Places, little-endian:
 *
 *   size      what
 *   8         "LYRPLACE"
 *   4         version, 1
 *   4         p, the number of packs
 *   8         r, the number of rows
 *   32        digest of the layer's tarball
 *   32 p      SHA-256 of each pack, in order of first use
 *   16 r      rows, one a chunk of the layer, in its order
 *              4  index of the pack
 *              4  length of the zstd frame
 *              8  offset of the frame in the pack
 *   32        SHA-256 of everything before
 *
 * What must hold: no pack twice, every pack used, first uses in ascending
 * order; a row names bytes that a pack can have. Whether the chunk is really
 * there shows when it is read.
 */

#include "util/buf.h"
#include "util/digest.h"
#include "util/error.h"
#include "util/table.h"

#include <stdint.h>

struct place {
	uint32_t pack;	 /* index into packs */
	uint32_t length; /* of the zstd frame */
	uint64_t offset; /* in the pack */
};

struct places {
	struct digest *packs; /* each pack once, in order of first use */
	size_t n_packs;
	struct place *rows;
	size_t n_rows;

	/* For places_add() alone. */
	size_t packs_alloc;
	size_t rows_alloc;
	struct table by_pack;
};

#define _cleanup_places_ __attribute__((cleanup(places_release)))
void places_release(struct places *p);

/* Appends a row; pack is added to packs when it is not there. -ENOMEM;
 * -EINVAL for what no pack can have. */
int places_add(struct places *p, const struct digest *pack, uint64_t offset,
	       uint32_t length);

/* Appends the encoded places of layer, the digest of its tarball. -ENOMEM. */
int places_encode(const struct places *p, const struct digest *layer,
		  struct buf *b);

/* -EBADMSG with a sentence for damage or for places of another layer. */
int places_decode(const uint8_t *data, size_t size, const struct digest *layer,
		  struct places *ret, struct err *err);
