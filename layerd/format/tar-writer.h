/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The tarball of a layer, byte for byte a function of its entries: POSIX pax
 * (POSIX.1-2017, pax, "pax Interchange Format") with GNU's pax sparse format
 * 1.0 and SCHILY.xattr, and the whiteouts of the OCI image layer specification.
 *
 * The writer only makes headers; payload goes from the file to the chunker:
 *
 *   tar_add_header(e)  pax header if needed, ustar header, sparse map
 *   payload            entry_data_size(e) bytes
 *   zeros              up to a multiple of TAR_BLOCK
 *   ... and after the last entry tar_add_end()
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
