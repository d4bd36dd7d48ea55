/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reads the index of a layer. The image may be hostile: no offset, count or
 * name is used before it is checked, and walking ends on any image.
 */

#include "format/entry.h"
#include "util/digest.h"
#include "util/error.h"

struct erofs_reader;
struct erofs_view;

/*
 * Opens the image of size bytes at data, which the caller keeps until the
 * reader is freed. Checks superblock, checksum, and device table. -EBADMSG with
 * a sentence for an image we did not make or that is damaged.
 */
int erofs_reader_open(struct erofs_reader **ret, const void *data, size_t size,
		      struct err *err);

/* The same for a file, mapped into memory until the reader is freed. */
int erofs_reader_open_fd(struct erofs_reader **ret, int fd, struct err *err);

struct erofs_reader *erofs_reader_free(struct erofs_reader *r);
void erofs_reader_freep(struct erofs_reader **r);

/* The digest and size of the tarball that the image points into. The size is
 * rounded up to blocks of 512 bytes, as EROFS stores it. */
const struct digest *erofs_reader_tar(const struct erofs_reader *r);
uint64_t erofs_reader_tar_size(const struct erofs_reader *r);
/* Number of inodes as the superblock says (checked by erofs_reader_check). */
uint64_t erofs_reader_inodes(const struct erofs_reader *r);

/*
 * Called for each name in entry_path_compare() order, the root first. The first
 * name of a file with several comes as a file, later ones as ENTRY_HARDLINK to
 * it. Whiteouts and opaque directories come as flags, escaped xattrs unescaped;
 * payload and extents as the tarball has them. nid identifies the inode. The
 * entry is valid during the call. A negative result ends the walk.
 */
typedef int (*erofs_entry_fn)(const struct entry *e, uint64_t nid, void *ctx,
			      struct err *err);

/* Walks everything below and including path ("" for all). -ENOENT, -EBADMSG. */
int erofs_reader_walk(struct erofs_reader *r, const char *path,
		      erofs_entry_fn fn, void *ctx, struct err *err);

/* Fills ret with the one entry at path, valid until the next call on r or its
 * end. Symbolic links are not followed. -ENOENT without a text in err. */
int erofs_reader_lookup(struct erofs_reader *r, const char *path,
			struct entry *ret, uint64_t *ret_nid, struct err *err);

/* The same by inode, found with format/erofs-directory.h; path is borrowed. The
 * nid must be one that the image itself gave. */
int erofs_reader_entry(struct erofs_reader *r, uint64_t nid, const char *path,
		       struct entry *ret, struct err *err);

/* The image itself, for format/erofs-directory.h. Valid as long as r. */
const struct erofs_view *erofs_reader_view(const struct erofs_reader *r);

/*
 * What must be true before the kernel may mount the image: it is of tar and
 * tar_size, every inode is reachable once (or by its links), is of a kind that
 * we write, its names are in order, free of '/', NUL, "." and "..", its link
 * count right, its data within the tarball, and there is no cycle. Reads the
 * whole image. -EBADMSG with a sentence.
 */
int erofs_reader_check(struct erofs_reader *r, const struct digest *tar,
		       uint64_t tar_size, struct err *err);
