/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The tarball of a layer, byte for byte a function of its entries: POSIX pax
 * (POSIX.1-2017, pax, "pax Interchange Format") with GNU's pax sparse format
 * 1.0 and SCHILY.xattr, and the whiteouts of the OCI image layer specification.
 *
 * Entries stand in the order of their paths, directories ahead of what is in
 * them; owners are numbers, times have nanoseconds, extended attributes are
 * sorted by name. An entry is
 *
 *   a pax header    if something does not fit into a ustar header
 *   a ustar header
 *   a sparse map    of a file with holes
 *   payload         entry_data_size() bytes
 *   zeros           up to a multiple of TAR_BLOCK, 512
 *
 * and behind the last one are two blocks of zeros. Some names mean something:
 *
 *   .wh.NAME          NAME, which layers below have, is deleted
 *   .wh..wh..opq      what layers below have in this directory is hidden
 *   .wh..wh.esc.NAME  a file whose own name, NAME, begins with ".wh."
 *
 * The writer only makes headers; payload goes from the file to the chunker.
 */

#include "format/entry.h"
#include "util/buf.h"
#include "util/error.h"

#define TAR_BLOCK 512u

/* OCI image layer specification, "Whiteouts". */
#define TAR_WHITEOUT_PREFIX ".wh."
#define TAR_OPAQUE_NAME ".wh..wh..opq"
/* Ours: a user's own name that begins with ".wh." is stored behind this; OCI
 * tools skip every other name that begins with ".wh..wh.". */
#define TAR_ESCAPE_PREFIX ".wh..wh.esc."

/*
 * Appends everything of e that precedes its payload. A directory with
 * ENTRY_OPAQUE is followed by its opaque marker. Hard links, whiteouts and
 * objects that are not regular files have no payload. -EINVAL names an entry
 * that a tarball cannot hold (sockets), -ENOMEM.
 */
int tar_add_header(struct buf *b, const struct entry *e, struct err *err);

/* Zeros between the end of size payload bytes and the next header. */
static inline size_t tar_padding(uint64_t size)
{
	return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

/* Appends the end of archive: two blocks of zeros. */
int tar_add_end(struct buf *b);
