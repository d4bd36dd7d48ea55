/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the payload of large files begins and ends in a tarball that streams
 * by: the forced boundaries of its chunks, so that a file has the same chunks
 * whether it was sealed or imported, and wherever it stands.
 *
 * It is a follower, not a judge. What it does not understand, or is no tarball,
 * has no such boundaries from there on.
 */

#include "format/tar-writer.h"
#include "util/buf.h"

#include <stdbool.h>

enum tar_cuts_at {
	TAR_CUTS_HEADER,  /* a block is being gathered */
	TAR_CUTS_RECORDS, /* the body of a pax header is */
	TAR_CUTS_MAP,	  /* a further block of GNU's old map of holes is */
	TAR_CUTS_LINES,	  /* a block of the map in front of the data is */
	TAR_CUTS_PAYLOAD, /* of left bytes, then of padding */
	TAR_CUTS_PADDING,
	TAR_CUTS_LOST, /* nothing is known any more */
};

struct tar_cuts {
	enum tar_cuts_at at;
	uint64_t left;	   /* bytes until the state changes */
	uint64_t size;	   /* of the payload to come */
	bool has_size;	   /* records said it */
	bool has_lines;	   /* records said that such a map is there */
	uint64_t lines;	   /* of the map; 0: not known yet */
	bool large;	   /* the payload began with a boundary */
	uint32_t padding;  /* behind the payload */
	struct buf pieces; /* of a block or of records */
};

#define TAR_CUTS_INIT                                                          \
	(struct tar_cuts)                                                      \
	{                                                                      \
		.at = TAR_CUTS_HEADER, .left = TAR_BLOCK                       \
	}
void tar_cuts_release(struct tar_cuts *t);

/*
 * Follows bytes until a boundary or the end of data. Returns how many were
 * taken, more than 0; *ret_cut says whether a boundary lies right behind them.
 */
size_t tar_cuts_feed(struct tar_cuts *t, const uint8_t *data, size_t size,
		     bool *ret_cut);
