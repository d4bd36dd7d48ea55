/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The differences found so far, and which of them are one file that moved. */

#include "util/buf.h"
#include "volume/diff.h"

/* Beyond so many files that vanished or appeared none are matched, and each of
 * them is compared with so many of its size. */
#define DIFF_MATCH_MAX 10000
#define DIFF_MATCH_TRIES 16

struct diff_found {
	struct diff_item item; /* its strings are set when it is handed out */
	size_t path;	       /* offset in text */
	size_t from;	       /* likewise, of a renamed file */
	struct tree_part part; /* of an added or removed object */
	bool matched;	       /* a removed file that was found again */
};

struct diff_items {
	struct diff_found *items;
	size_t n, alloc;
	struct buf text;
};

/* Copies item; node is of what was added or removed, else NULL. */
int diff_items_add(struct diff_items *d, const struct diff_item *item,
		   const struct tree_node *node, struct err *err);

/* Turns removed and added files of equal content into renamed ones. */
int diff_items_match(struct diff_items *d, struct tree *before,
		     struct tree *after, struct err *err);
