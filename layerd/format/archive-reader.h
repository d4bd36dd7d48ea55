/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reads an uncompressed tarball through libarchive and reports its entries with
 * the place of their payload, which is all that an index is made from.
 */

#include "format/entry.h"
#include "util/error.h"

enum archive_origin {
	/* Sealed by us: nested overlay xattrs are restored. */
	ARCHIVE_SEALED,
	/* Somebody else's: trusted.overlay.*, user.overlay.* and character
	 * devices 0:0 are dropped, so that the layer can neither expose nor
	 * hide what is below it other than by OCI whiteouts. Names that we
	 * escaped are restored nevertheless: a tarball of ours may come back.
	 */
	ARCHIVE_FOREIGN,
};

/* Called for each entry in archive order; a negative result ends the reading
 * and is returned. The entry is valid during the call only. */
typedef int (*archive_entry_fn)(const struct entry *e, void *ctx,
				struct err *err);

/*
 * Reads the tarball of size bytes in fd from its start. Paths are made relative
 * and "./" is removed; paths with ".." or an empty hard link target, absurd
 * sizes and broken headers are -EBADMSG with a sentence that names the entry.
 * Reserved names (".wh..wh.*") and links of a name to itself are passed over. A
 * hard link's mode has no type: the tarball does not say what it leads to.
 * Payload is skipped, save for at most 16 KiB behind a header. Blocks.
 */
int archive_read_entries(int fd, uint64_t size, enum archive_origin origin,
			 archive_entry_fn fn, void *ctx, struct err *err);
