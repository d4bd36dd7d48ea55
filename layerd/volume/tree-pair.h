/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "volume/tree.h"

/* nodes[0] is of the one tree, nodes[1] of the other; NULL where it has not the
 * name. Both and the path are valid during the call. A negative result ends the
 * walk. */
typedef int (*tree_pair_fn)(const struct tree_node *const nodes[2],
			    const char *path, void *ctx, struct err *err);

/*
 * Follows two trees side by side, in path order, each directory before what is
 * in it, and calls fn for every name that is not the same in both (see
 * tree_same()). What both have from the same layers is not entered. path
 * restricts both trees to it ("": all); -ENOENT without a text when neither has
 * it. The progress is told to the second tree's.
 */
int tree_pairs(struct tree *const trees[2], const char *path, tree_pair_fn fn,
	       void *ctx, struct err *err);
