/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The first name, in path order, of each object of a tree that has several:
 * what hard links lead to.
 */

#include "util/table.h"
#include "volume/tree.h"

struct first_names {
	struct first_name {
		struct tree_part part;
		size_t path; /* offset in paths */
	} * items;
	size_t n, alloc;
	struct buf paths;
	struct table table;
};

#define _cleanup_first_names_ __attribute__((cleanup(first_names_release)))
void first_names_release(struct first_names *f);

/* *ret is the first name of the object at path, borrowed until the next call,
 * or NULL if path is, which is remembered then. -ENOMEM. */
int first_names_take(struct first_names *f, const struct tree_part *part,
		     const char *path, const char **ret);
