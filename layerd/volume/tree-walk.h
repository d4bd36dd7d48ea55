/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "volume/tree.h"

/* e is valid during the call. A negative result ends the walk. */
typedef int (*tree_fn)(const struct tree_node *node, const struct entry *e,
		       void *ctx, struct err *err);

/*
 * Calls fn for what is at path and, if that is a directory, for all below it in
 * path order, each directory before what is in it. Not recursive: for what is
 * right in the directory, or for what is no directory. -ENOENT without a text.
 */
int tree_walk(struct tree *t, const char *path, bool recursive, tree_fn fn,
	      void *ctx, struct err *err);
