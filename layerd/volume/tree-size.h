/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How much the files of versions are, as a mount of them would show: the sum of
 * their sizes, holes included, a file with several names once for each.
 * Versions that are asked for one after the other are compared, so that each
 * costs what it changed.
 */

#include "volume/tree.h"

struct tree_size {
	struct tree *last; /* NULL at first */
	uint64_t bytes;
	uint64_t files; /* names of regular files */
};

#define _cleanup_tree_size_ __attribute__((cleanup(tree_size_release)))
void tree_size_release(struct tree_size *s);

/* Goes on to v. On failure s is of no use but to be released. */
int tree_size_next(struct tree_size *s, struct host *h, const struct version *v,
		   const struct progress *progress, struct err *err);
