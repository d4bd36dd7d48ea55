/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Versions and what they were made from, drawn as lines of text: each version
 * is a star in the lane of its line, newest first; lanes that go back to the
 * same version meet there.
 *
 *   * c        the newest, made of a
 *   | * b      made of a, too
 *   |/
 *   * a
 */

#include <stddef.h>
#include <stdint.h>

struct graph_node {
	const char *id;
	const char *parent; /* NULL: none; may be of no node */
	int64_t time;
	void *data;

	/* Set by graph_order(). */
	size_t depth; /* how many ancestors are nodes */
};

/*
 * Puts nodes into the order in which they are drawn: newest first, but no node
 * before one that was made of it, whatever the clocks said; nodes of one time
 * stay in their order otherwise. Ids must differ. -ENOMEM; -EINVAL for nodes
 * that are their own ancestors.
 */
int graph_order(struct graph_node *nodes, size_t n);

/* art is what stands left of a node, without blanks at its end, or a line of
 * its own when node is NULL. A negative result ends the drawing. */
typedef int (*graph_line_fn)(const char *art, const struct graph_node *node,
			     void *ctx);

/* Draws nodes that are in order. -ENOMEM, or what fn returned. */
int graph_draw(const struct graph_node *nodes, size_t n, graph_line_fn fn,
	       void *ctx);
