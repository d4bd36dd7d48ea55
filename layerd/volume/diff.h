/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What differs between two trees. Directories that both have from the same
 * layers are not entered, so the work depends on what was changed and not on
 * how large the versions are.
 */

#include "volume/tree.h"

enum diff_kind {
	DIFF_ADDED,
	DIFF_REMOVED,
	DIFF_CHANGED,
	DIFF_RENAMED, /* a regular file whose content is found under a new name
		       */
};

enum diff_what {
	DIFF_TYPE = 1 << 0,
	DIFF_CONTENT = 1 << 1, /* data, the target of a symlink, a device */
	DIFF_MODE = 1 << 2,
	DIFF_OWNER = 1 << 3,
	DIFF_TIME = 1 << 4,
	DIFF_XATTR = 1 << 5,
};

/* One name that differs. The strings belong to the diff. */
struct diff_item {
	enum diff_kind kind;
	uint32_t what; /* of DIFF_CHANGED and DIFF_RENAMED */
	const char *path;
	const char *from;		  /* where a renamed file was */
	uint32_t before, after;		  /* modes, 0 where there was none */
	uint64_t before_size, after_size; /* of regular files, else 0 */
};

/* All differences, found; the trees are not needed any more. */
struct diff_items;
struct diff_items *diff_items_free(struct diff_items *d);
void diff_items_freep(struct diff_items **d);

/*
 * Finds what differs. The time of a directory alone, which changes with what is
 * in it, is no difference. path restricts both trees to it ("": all); -ENOENT
 * with a sentence when neither has it. Without renames a moved file is removed
 * and added.
 */
int diff_trees(struct diff_items **ret, struct tree *before, struct tree *after,
	       const char *path, bool renames, struct err *err);

/* Calls fn for each difference, in path order, added and removed directories
 * before what is in them. */
typedef int (*diff_fn)(const struct diff_item *item, void *ctx,
		       struct err *err);
int diff_items_each(const struct diff_items *d, diff_fn fn, void *ctx,
		    struct err *err);
