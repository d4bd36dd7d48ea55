/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Makes the EROFS index of a layer: metadata only, 512-byte blocks, data in one
 * extra device, the tarball. The on-disk structures are those of Linux's
 * fs/erofs/erofs_fs.h; format/erofs-format.h restates them.
 *
 * The image is a function of the set of entries and of the layer's digest, not
 * of how the entries were found: made at a seal or from the tarball alone it is
 * the same, byte for byte.
 */

#include "format/entry.h"
#include "util/buf.h"
#include "util/digest.h"
#include "util/error.h"

struct erofs_writer;

int erofs_writer_new(struct erofs_writer **ret);
struct erofs_writer *erofs_writer_free(struct erofs_writer *w);
void erofs_writer_freep(struct erofs_writer **w);

/*
 * Adds a copy of e. Missing parents are made as directories 0755 root:root of
 * time 0 until an entry for them comes. An entry for a path that is there
 * already replaces it as tar would (a directory entry updates a directory and
 * keeps what is in it, ENTRY_OPAQUE stays set). Whiteouts replace what is at
 * their path and are not added below a parent that is not a directory.
 *
 * xattrs are taken as given, so callers pass the user's view: names that begin
 * with "trusted.overlay." are escaped for overlayfs (one more ".overlay"), and
 * the marks for whiteouts and opaque directories are the writer's own.
 *
 * A directory in the place of a whiteout becomes opaque, as it hides what the
 * whiteout hid. ENTRY_OPAQUE alone, with mode 0, marks the directory that is at
 * path and keeps its attributes. Attributes other than user, trusted, security
 * and the POSIX ACLs are left out.
 *
 * -EINVAL names what EROFS cannot hold: a hard link to nothing or to a
 * directory, an entry below a file, a socket, a character device 0:0, extents
 * that are not multiples of 512 bytes, a payload that is not on a 512-byte
 * boundary, a tarball beyond 2 TiB, an attribute of more than 65535 bytes (one
 * less than Linux) or more than 256 KiB of them on one file.
 */
int erofs_writer_add(struct erofs_writer *w, const struct entry *e,
		     struct err *err);

/*
 * Whether the holes of e, if it has any, can be told by an index that points
 * into the tarball: its data runs are multiples of 512 bytes and their table
 * is not too long. What this refuses erofs_writer_add() refuses, too.
 */
bool erofs_writer_takes_holes(const struct entry *e);

/* Bytes of memory that the writer has taken. */
uint64_t erofs_writer_memory(const struct erofs_writer *w);

/* Names that the image would have now, hard links, whiteouts and implied
 * directories included, the root not counted. */
uint64_t erofs_writer_count(const struct erofs_writer *w);

/*
 * Lays the image out and writes it to fd from offset 0, in pieces, padded to
 * 4 KiB. tar and tar_size describe the finished tarball: tar in hex becomes the
 * device's tag, its first 16 bytes the UUID. The writer is of no use
 * afterwards. Memory stays within about 120 bytes an entry and its name.
 */
int erofs_writer_finish(struct erofs_writer *w, const struct digest *tar,
			uint64_t tar_size, int fd, uint64_t *ret_size,
			struct err *err);
