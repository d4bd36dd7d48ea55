/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Visits names of an image in path order, without recursion. Ends on any image:
 * the bytes of all inodes and directories that are decoded may not exceed the
 * image, so neither cycles nor shared blocks can make the work grow.
 */

#include "format/erofs-object.h"

/*
 * o is the inode behind the entry. first is false for later names of a file
 * with several, which come as ENTRY_HARDLINK without attributes or runs.
 * Their target takes time that grows with its depth; it is "" unless targets
 * are asked for.
 */
typedef int (*erofs_visit_fn)(const struct entry *e,
			      const struct erofs_object *o, bool first,
			      void *ctx, struct err *err);

/*
 * Visits nid, whose path is given and whose parent directory is parent, and
 * all below it. Names, types, link counts of directories and overlayfs's marks
 * are checked; link counts of files only when whole is set, that is when nid is
 * the root.
 */
int erofs_walk(const struct erofs_view *v, uint64_t nid, uint64_t parent,
	       const char *path, bool whole, bool targets, erofs_visit_fn fn,
	       void *ctx, struct err *err);
