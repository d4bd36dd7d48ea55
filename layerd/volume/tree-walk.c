/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/tree-walk.h"

#include "util/buf.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct frame {
	struct tree_names names;
	size_t path_size;
};

struct walk {
	struct tree *tree;
	bool recursive;
	tree_fn fn;
	void *ctx;
	struct buf path;
	struct frame *frames;
	size_t depth, alloc;
	struct err *err;
};

static int enter(struct walk *w, const struct tree_node *node)
{
	struct frame *f;

	if (w->depth == w->alloc) {
		size_t n = w->alloc ? w->alloc * 2 : 16;

		f = reallocarray(w->frames, n, sizeof(*f));
		if (!f)
			return err_oom(w->err);
		w->frames = f;
		w->alloc = n;
	}
	f = &w->frames[w->depth++];
	f->path_size = w->path.size;
	return tree_names_open(&f->names, w->tree, &node->directory, w->err);
}

static int visit(struct walk *w, const struct tree_node *node)
{
	struct entry e;
	int r = tree_entry(w->tree, node, (char *)w->path.data, &e, w->err);

	return r < 0 ? r : w->fn(node, &e, w->ctx, w->err);
}

static int step(struct walk *w)
{
	struct frame *f = &w->frames[w->depth - 1];
	struct tree_node node;
	int r = tree_names_next(&f->names, &node, w->err);

	if (r < 0)
		return r;
	if (r == 0) {
		tree_names_release(&f->names);
		w->depth--;
		return 0;
	}
	w->path.size = f->path_size;
	if (buf_printf(&w->path, "%s%s", f->path_size ? "/" : "",
		       f->names.name) < 0 ||
	    !buf_str(&w->path))
		return err_oom(w->err);
	r = visit(w, &node);
	if (r == 0 && w->recursive && S_ISDIR(node.mode))
		r = enter(w, &node);
	return r;
}

static int start(struct walk *w, const char *path)
{
	struct tree_node node;
	int r = tree_find(w->tree, path, &node, w->err);

	if (r < 0)
		return r;
	if (buf_add_str(&w->path, path) < 0 || !buf_str(&w->path))
		return err_oom(w->err);
	if (w->recursive || !S_ISDIR(node.mode))
		r = visit(w, &node);
	if (r == 0 && S_ISDIR(node.mode))
		r = enter(w, &node);
	return r;
}

int tree_walk(struct tree *t, const char *path, bool recursive, tree_fn fn,
	      void *ctx, struct err *err)
{
	struct walk w = {.tree = t,
			 .recursive = recursive,
			 .fn = fn,
			 .ctx = ctx,
			 .err = err};
	int r = start(&w, path);

	while (r == 0 && w.depth)
		r = step(&w);
	while (w.depth)
		tree_names_release(&w.frames[--w.depth].names);
	buf_release(&w.path);
	free(w.frames);
	return r;
}
