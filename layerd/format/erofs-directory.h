/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One directory of an index: a name in it, or all its names in order, for those
 * who follow the same directory through several layers. Each block is checked
 * when it is read; nothing here bounds how often a hostile image leads to the
 * same inode, so what came from elsewhere passes erofs_reader_check() first.
 */

#include "format/erofs-object.h"

/* Reads a directory's inode. -EBADMSG, also for what is none. */
int erofs_directory_read(const struct erofs_view *v, uint64_t nid,
			 struct erofs_object *ret, struct err *err);

/* What directory has under name. -ENOENT without a text. */
int erofs_directory_find(const struct erofs_view *v,
			 const struct erofs_object *directory, const char *name,
			 size_t length, struct erofs_item *ret,
			 struct err *err);

/* Whether a name is "." or "..". */
bool erofs_directory_is_dots(const char *name, size_t length);

/* Owns nothing; v must outlive it. */
struct erofs_cursor {
	const struct erofs_view *view;
	struct erofs_object directory;
	uint64_t next_block;
	struct erofs_block block;
	uint32_t next_item;
	/* The name it is at, in the image and without NUL. */
	struct erofs_item item;
};

/* Starts before the first name. -EBADMSG. */
int erofs_cursor_open(struct erofs_cursor *c, const struct erofs_view *v,
		      uint64_t nid, struct err *err);

/* Goes to the next name, by bytes, past "." and "..": 1, or 0 at the end. */
int erofs_cursor_next(struct erofs_cursor *c, struct err *err);
