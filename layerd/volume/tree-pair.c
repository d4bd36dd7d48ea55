/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: the heap holds the stack, a frame for each directory that is
 * entered on either side. */
#include "volume/tree-pair.h"

#include "util/buf.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* One side of a frame: the names of a directory, and the one it is at. */
struct side {
	bool present; /* the directory is there */
	bool ended;
	struct tree_names names;
	struct tree_node node;
};

struct frame {
	struct side sides[2];
	size_t path_size;
};

/* So many names are gone through before the progress is told. */
#define REPORT_NAMES 256

struct pairs {
	struct tree *const *trees;
	tree_pair_fn fn;
	void *ctx;
	struct frame *frames;
	size_t depth, alloc;
	uint64_t n; /* names so far */
	struct buf path;
	struct err *err;
};

static int advance(struct pairs *p, struct side *s)
{
	int r = tree_names_next(&s->names, &s->node, p->err);

	s->ended = r <= 0;
	return MIN(r, 0);
}

static void frame_release(struct frame *f)
{
	for (size_t i = 0; i < 2; i++)
		if (f->sides[i].present)
			tree_names_release(&f->sides[i].names);
}

/* Enters the directory at path; a node that is none leaves its side empty. */
static int enter(struct pairs *p, const struct tree_node *const nodes[2])
{
	struct frame *f;
	int r = 0;

	if (p->depth == p->alloc) {
		size_t n = p->alloc ? p->alloc * 2 : 16;

		f = reallocarray(p->frames, n, sizeof(*f));
		if (!f)
			return err_oom(p->err);
		p->frames = f;
		p->alloc = n;
	}
	f = &p->frames[p->depth++];
	memset(f, 0, sizeof(*f));
	f->path_size = p->path.size;
	for (size_t i = 0; r == 0 && i < 2; i++) {
		struct side *s = &f->sides[i];

		s->ended = true;
		if (!nodes[i] || !S_ISDIR(nodes[i]->mode))
			continue;
		s->present = true;
		r = tree_names_open(&s->names, p->trees[i],
				    &nodes[i]->directory, p->err);
		if (r == 0)
			r = advance(p, s);
	}
	return r;
}

/* The name at path, whose nodes may be NULL on one side. */
static int visit(struct pairs *p, const struct tree_node *const nodes[2])
{
	int r;

	if (nodes[0] && nodes[1] &&
	    tree_same(p->trees[0], nodes[0], p->trees[1], nodes[1]))
		return 0;
	r = p->fn(nodes, (char *)p->path.data, p->ctx, p->err);
	if (r == 0 && ((nodes[0] && S_ISDIR(nodes[0]->mode)) ||
		       (nodes[1] && S_ISDIR(nodes[1]->mode))))
		r = enter(p, nodes);
	return r;
}

static int set_path(struct pairs *p, size_t size, const char *name)
{
	p->path.size = size;
	if (buf_printf(&p->path, "%s%s", size ? "/" : "", name) < 0 ||
	    !buf_str(&p->path))
		return err_oom(p->err);
	return 0;
}

/* The next name of the innermost directory, or its end. */
static int step(struct pairs *p)
{
	struct frame *f = &p->frames[p->depth - 1];
	struct side *a = &f->sides[0], *b = &f->sides[1];
	struct tree_node copies[2];
	const struct tree_node *nodes[2] = {NULL, NULL};
	int order, r;

	if (a->ended && b->ended) {
		frame_release(f);
		p->depth--;
		return 0;
	}
	order = a->ended   ? 1
		: b->ended ? -1
			   : strcmp(a->names.name, b->names.name);
	r = p->n++ % REPORT_NAMES == 0
		    ? tree_report(p->trees[1], "compare", p->n)
		    : 0;
	if (r == 0)
		r = set_path(p, f->path_size,
			     order > 0 ? b->names.name : a->names.name);
	/* By value: entering moves the frames. */
	if (order <= 0) {
		copies[0] = a->node;
		nodes[0] = &copies[0];
		if (r == 0)
			r = advance(p, a);
	}
	if (order >= 0) {
		copies[1] = b->node;
		nodes[1] = &copies[1];
		if (r == 0)
			r = advance(p, b);
	}
	return r < 0 ? r : visit(p, nodes);
}

static int start(struct pairs *p, const char *path)
{
	struct tree_node found[2];
	const struct tree_node *nodes[2] = {NULL, NULL};
	int r = 0;

	for (size_t i = 0; i < 2 && (r == 0 || r == -ENOENT); i++) {
		r = tree_find(p->trees[i], path, &found[i], p->err);
		if (r == 0)
			nodes[i] = &found[i];
	}
	if (r < 0 && r != -ENOENT)
		return r;
	if (!nodes[0] && !nodes[1])
		return -ENOENT;
	if (buf_add_str(&p->path, path) < 0 || !buf_str(&p->path))
		return err_oom(p->err);
	return visit(p, nodes);
}

int tree_pairs(struct tree *const trees[2], const char *path, tree_pair_fn fn,
	       void *ctx, struct err *err)
{
	struct pairs p = {.trees = trees, .fn = fn, .ctx = ctx, .err = err};
	int r = start(&p, path);

	while (r == 0 && p.depth)
		r = step(&p);
	while (p.depth)
		frame_release(&p.frames[--p.depth]);
	buf_release(&p.path);
	free(p.frames);
	return r;
}
