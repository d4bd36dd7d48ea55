/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane is a column that waits for the node it leads to. A node takes the
 * leftmost lane that waits for it, and the others that do are led there before
 * it, one line each, from the right. A lane keeps its column until it ends; its
 * column is free for the next line then.
 */
#include "graph.h"

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/table.h"

#include <errno.h>
#include <string.h>

#define UNKNOWN SIZE_MAX

struct index {
	struct graph_node *nodes;
	struct table table;
	size_t *parents; /* UNKNOWN: none */
};

static bool has_id(const void *key, uint32_t i, void *ctx)
{
	const struct index *index = ctx;

	return strcmp(index->nodes[i].id, key) == 0;
}

static size_t find(struct index *index, const char *id)
{
	uint32_t i = id ? table_find(&index->table, table_hash(id, strlen(id)),
				     id, has_id, index)
			: TABLE_NONE;

	return i == TABLE_NONE ? UNKNOWN : i;
}

static int fill(struct index *index, size_t n)
{
	int r = n < TABLE_NONE ? 0 : -ENOMEM;

	index->parents = calloc(n + 1, sizeof(*index->parents));
	if (!index->parents)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *id = index->nodes[i].id;

		r = table_add(&index->table, table_hash(id, strlen(id)),
			      (uint32_t)i);
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		index->parents[i] = find(index, index->nodes[i].parent);
	return r;
}

static void release(struct index *index)
{
	table_release(&index->table);
	free(index->parents);
}

/* Each node is looked at twice: on the way up to one whose depth is known, and
 * on the way back. trail has room for all. */
static int find_depths(struct index *index, size_t n, size_t *trail)
{
	for (size_t i = 0; i < n; i++)
		index->nodes[i].depth = UNKNOWN;
	for (size_t i = 0; i < n; i++) {
		size_t length = 0, at = i, depth;

		while (at != UNKNOWN && index->nodes[at].depth == UNKNOWN) {
			if (length == n)
				return -EINVAL;
			trail[length++] = at;
			at = index->parents[at];
		}
		depth = at == UNKNOWN ? 0 : index->nodes[at].depth + 1;
		while (length)
			index->nodes[trail[--length]].depth = depth++;
	}
	return 0;
}

static int compare_depth(const void *a, const void *b, void *ctx)
{
	const struct graph_node *nodes = ctx;
	size_t x = nodes[*(const size_t *)a].depth;
	size_t y = nodes[*(const size_t *)b].depth;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* No node is newer than what was made of it. */
static void mend_times(struct index *index, size_t n, size_t *order)
{
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	if (n)
		qsort_r(order, n, sizeof(*order), compare_depth, index->nodes);
	for (size_t i = 0; i < n; i++) {
		const struct graph_node *node = &index->nodes[order[i]];
		size_t parent = index->parents[order[i]];

		if (parent != UNKNOWN)
			index->nodes[parent].time =
				MIN(index->nodes[parent].time, node->time);
	}
}

static int compare(const void *a, const void *b, void *ctx)
{
	const struct graph_node *nodes = ctx;
	size_t i = *(const size_t *)a, k = *(const size_t *)b;
	const struct graph_node *x = &nodes[i], *y = &nodes[k];

	if (x->time != y->time)
		return x->time < y->time ? 1 : -1;
	/* With equal times what was made of others goes first. */
	if (x->depth != y->depth)
		return x->depth < y->depth ? 1 : -1;
	return i < k ? -1 : i > k;
}

/* nodes as order says. */
static int rearrange(struct graph_node *nodes, size_t n, const size_t *order)
{
	_cleanup_free_ struct graph_node *sorted = NULL;

	sorted = calloc(n + 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = nodes[order[i]];
	if (n)
		memcpy(nodes, sorted, n * sizeof(*nodes));
	return 0;
}

int graph_order(struct graph_node *nodes, size_t n)
{
	struct index index = {.nodes = nodes, .table = TABLE_INIT};
	_cleanup_free_ size_t *order = calloc(n + 1, sizeof(*order));
	int r = order ? fill(&index, n) : -ENOMEM;

	if (r == 0)
		r = find_depths(&index, n, order);
	if (r == 0) {
		mend_times(&index, n, order);
		if (n)
			qsort_r(order, n, sizeof(*order), compare, nodes);
		r = rearrange(nodes, n, order);
	}
	release(&index);
	return r;
}

struct lanes {
	size_t *items; /* the node that each waits for, or UNKNOWN: free */
	size_t n;
};

/* The first lane from i on that waits for a node; n when none does. */
static size_t next_lane(const struct lanes *l, size_t i, size_t node)
{
	while (i < l->n && l->items[i] != node)
		i++;
	return i;
}

static int add_lane(struct lanes *l, size_t node)
{
	size_t i = next_lane(l, 0, UNKNOWN);
	size_t *items;

	if (i == l->n) {
		items = reallocarray(l->items, l->n + 1, sizeof(*items));
		if (!items)
			return -ENOMEM;
		l->items = items;
		l->n++;
	}
	l->items[i] = node;
	return 0;
}

static void trim(struct lanes *l)
{
	while (l->n && l->items[l->n - 1] == UNKNOWN)
		l->n--;
}

/*
 * One line: lanes as bars, with star (UNKNOWN: none) instead in that lane, and
 * with the lane from (UNKNOWN: none) led to the left, to the lane to.
 */
static int draw_line(const struct lanes *l, size_t star, size_t from, size_t to,
		     struct buf *b)
{
	int r = 0;

	b->size = 0;
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		bool led = from != UNKNOWN && i >= to && i < from;
		char bar = l->items[i] == UNKNOWN ? ' ' : '|';
		char gap = ' ';

		if (i == star)
			bar = '*';
		else if (i == from)
			bar = ' ';
		else if (led && i > to && bar == ' ')
			bar = '_';
		if (led)
			gap = i + 1 == from ? '/' : '_';
		r = buf_printf(b, "%c%c", bar, gap);
	}
	while (b->size && b->data[b->size - 1] == ' ')
		b->size--;
	return r < 0 || !buf_str(b) ? -ENOMEM : 0;
}

static int draw_node(struct index *index, size_t node, struct lanes *l,
		     struct buf *b, graph_line_fn fn, void *ctx)
{
	size_t lane = next_lane(l, 0, node);
	int r = 0;

	if (lane == l->n) {
		r = add_lane(l, node);
		lane = next_lane(l, 0, node);
	}
	for (size_t i = l->n; r == 0 && i-- > lane + 1;) {
		if (l->items[i] != node)
			continue;
		r = draw_line(l, UNKNOWN, i, lane, b);
		if (r == 0)
			r = fn((char *)b->data, NULL, ctx);
		l->items[i] = UNKNOWN;
	}
	trim(l);
	if (r == 0)
		r = draw_line(l, lane, UNKNOWN, 0, b);
	if (r == 0)
		r = fn((char *)b->data, &index->nodes[node], ctx);
	if (r == 0)
		l->items[lane] = index->parents[node];
	trim(l);
	return r;
}

int graph_draw(const struct graph_node *nodes, size_t n, graph_line_fn fn,
	       void *ctx)
{
	struct index index = {.nodes = (struct graph_node *)nodes,
			      .table = TABLE_INIT};
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct lanes lanes = {0};
	int r = fill(&index, n);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = draw_node(&index, i, &lanes, &b, fn, ctx);
	free(lanes.items);
	release(&index);
	return r;
}
