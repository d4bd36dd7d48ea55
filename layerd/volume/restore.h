/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Writes what is in a version, or at a path in it, to a directory on disk, with
 * all its attributes and without a mount.
 *
 * Invariants
 *  1. Nothing outside of the directory is touched, whatever is in it and
 *     whoever changes it meanwhile: each name is used relative to a descriptor
 *     of the directory it is in, and no link is followed.
 *  2. For callers who are not root all is done with their credentials; what
 *     only root may make is left out and counted.
 *  3. What is there before is replaced only where overwrite is set, and a
 *     directory that has something in it is never replaced.
 *  4. A directory gets its attributes after all that is in it.
 *  5. Where overwrite is set, temporary files that a daemon of this host left
 *     when it died are removed from all directories that are written to.
 */

#include "volume/caller.h"
#include "volume/tree.h"

struct restore_request {
	struct tree *tree;
	const char *path; /* in the version, "" for all of it */
	int dir_fd;	  /* borrowed */
	/* What to make in that directory. NULL: a directory's contents go right
	 * into it, and what is no directory keeps its name. */
	const char *name;
	const char *to; /* names the destination in sentences */
	bool overwrite;
	const struct caller *caller;
	const struct progress *progress;
};

struct restore_result {
	uint64_t entries;
	uint64_t bytes; /* of data */
	/* What was left out. */
	uint64_t devices;
	uint64_t set_ids;    /* setuid and setgid bits */
	uint64_t attributes; /* extended attributes */
	uint64_t links;	     /* files that are copies instead of hard links */
	/* Directories that were there and are not the caller's: they keep their
	 * attributes. */
	uint64_t directories;
};

/*
 * Blocks; durable when it returns. -ENOENT without a text: path is not in the
 * version. -EEXIST: something is in the way. On failure a part may be there,
 * which the same with overwrite completes; the sentence says so.
 */
int restore_tree(struct host *h, const struct restore_request *request,
		 struct restore_result *ret, struct err *err);
