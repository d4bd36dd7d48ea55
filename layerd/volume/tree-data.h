/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The data of files in a tree. Large files are compared by their chunks, which
 * are cut the same way wherever the same content is; other data is read from
 * the tarballs, which are brought into the cache first, or from a live mount.
 */

#include "volume/tree.h"

/* Reads size bytes (fewer at the file's end) of a regular file, holes as zeros.
 * Returns how many. e is the node's entry under its path. */
ssize_t tree_data_read(struct tree *t, const struct tree_node *node,
		       const struct entry *e, uint64_t offset, void *to,
		       size_t size, struct err *err);

/* Whether two regular files hold the same bytes. A live one that is gone by now
 * has none. */
int tree_data_equal(struct tree *t, const struct tree_node *node,
		    const struct entry *e, struct tree *other,
		    const struct tree_node *theirs, const struct entry *o,
		    bool *ret, struct err *err);

/* What there is at a path and below it. */
struct tree_totals {
	uint64_t entries;
	uint64_t bytes; /* of data, once for each name */
};

/*
 * Counts what is at path, and brings the layers that have its data into the
 * cache. Afterwards tree_data_fd() is their tarballs, which stay open as long
 * as t and may be read by several threads. -ENOENT without a text.
 */
int tree_data_fetch(struct tree *t, const char *path, struct tree_totals *ret,
		    struct err *err);
int tree_data_fd(const struct tree *t, uint32_t layer);
