/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads what a tar entry needs of one object: xattrs, link target, data runs.
 */

#include "format/entry.h"
#include "util/buf.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Memory behind an entry, reused from one to the next. */
struct source {
	struct buf names;
	struct buf values;
	struct buf target;
	struct xattr *xattrs;
	size_t n_xattrs, xattrs_alloc;
	struct extent *extents;
	size_t n_extents, extents_alloc;
	bool metacopy; /* the data is not in the upper file */
	bool origin;
};

void source_release(struct source *s);

/* Opens what should be a regular file to read it, leaving its atime alone where
 * that is allowed, without following links or waiting. Negative errno. */
int source_open(int dir_fd, const char *name);

/*
 * Fills e's attributes from st, and xattrs (and the target of a symbolic link)
 * from the object: fd if it is not -1, else name in dir_fd, not followed. In an
 * upper directory overlayfs' own xattrs are noted and left out and those of a
 * nested overlay are unescaped; elsewhere all are taken.
 */
int source_read(struct source *s, int fd, int dir_fd, const char *name,
		const struct stat *st, bool upper, struct entry *e);

/*
 * Finds the holes of a regular file of size bytes, widens the runs for the
 * index (see entry_hole_unit()) and sets e->sparse and e->extents. certain: the
 * blocks of st tell that there are none.
 */
int source_read_holes(struct source *s, int fd, struct entry *e);
