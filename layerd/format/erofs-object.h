/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Decodes single objects of a hostile image: an inode, its attributes and
 * chunks, a block of a directory. Everything that can be told from the object
 * alone is checked here; what depends on others is up to walk and check.
 */

#include "format/erofs-format.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"

struct erofs_view {
	const uint8_t *data;
	uint64_t size;
	uint32_t tar_blocks;
	uint64_t root_nid;
};

struct erofs_object {
	uint64_t nid;
	uint64_t end; /* offset behind the inode and all that is inline */
	uint32_t xattr_bytes;
	uint32_t mode, uid, gid, nlink;
	int64_t mtime;
	uint32_t mtime_nsec;
	uint64_t size;
	uint32_t rdev;
	struct erofs_flat flat; /* directories and symbolic links */
	uint32_t block;		/* of flat.blocks, else 0 */
	unsigned chunk_bits;	/* regular files that are not empty */
	uint64_t n_chunks;
	const uint8_t *inline_data; /* tail or chunks */
};

/* Reads the inode and checks that all of it lies within the image. */
int erofs_object_read(const struct erofs_view *v, uint64_t nid,
		      struct erofs_object *ret, struct err *err);

static inline bool erofs_object_is_whiteout(const struct erofs_object *o)
{
	return S_ISCHR(o->mode) && o->rdev == 0;
}

/* An entry and the memory behind it, reused for the next. */
struct erofs_entry_buf {
	struct entry entry;
	bool origin; /* carries the mark of a directory with whiteouts */
	struct buf text;
	struct buf xattrs;
	struct buf extents;
};
#define _cleanup_erofs_entry_buf_                                              \
	__attribute__((cleanup(erofs_entry_buf_release)))
void erofs_entry_buf_release(struct erofs_entry_buf *b);

/* Makes the entry of o under path, which is not copied. */
int erofs_object_entry(const struct erofs_view *v, const struct erofs_object *o,
		       const char *path, struct erofs_entry_buf *b,
		       struct err *err);

/* A block of a directory with at least one name, checked. */
struct erofs_block {
	const uint8_t *data;
	uint32_t used; /* bytes up to the end of the last name */
	uint32_t n;    /* names */
};
uint64_t erofs_block_count(const struct erofs_object *directory);
int erofs_block_read(const struct erofs_view *v,
		     const struct erofs_object *directory, uint64_t index,
		     struct erofs_block *ret, struct err *err);

struct erofs_item {
	const char *name; /* in the image, without NUL */
	uint32_t length;
	uint8_t type;
	uint64_t nid;
};
struct erofs_item erofs_block_item(const struct erofs_block *b, uint32_t i);

/* -EBADMSG with a sentence about an inode. */
int erofs_damaged(struct err *err, uint64_t nid, const char *what);

bool erofs_is_zero(const uint8_t *p, uint64_t size);
