/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both trees are followed side by side, a frame for each directory; then files
 * that vanished are matched with files of equal content that appeared.
 */
#include "volume/diff.h"

#include "util/cleanup.h"
#include "volume/diff-items.h"
#include "volume/tree-data.h"

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

struct diff {
	struct tree *trees[2];
	struct frame *frames;
	size_t depth, alloc;
	struct buf path;
	struct diff_items *items;
	struct err *err;
};

static int advance(struct diff *d, struct side *s)
{
	int r = tree_names_next(&s->names, &s->node, d->err);

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
static int enter(struct diff *d, const struct tree_node *const nodes[2])
{
	struct frame *f;
	int r = 0;

	if (d->depth == d->alloc) {
		size_t n = d->alloc ? d->alloc * 2 : 16;

		f = reallocarray(d->frames, n, sizeof(*f));
		if (!f)
			return err_oom(d->err);
		d->frames = f;
		d->alloc = n;
	}
	f = &d->frames[d->depth++];
	memset(f, 0, sizeof(*f));
	f->path_size = d->path.size;
	for (size_t i = 0; r == 0 && i < 2; i++) {
		struct side *s = &f->sides[i];

		s->ended = true;
		if (!nodes[i] || !S_ISDIR(nodes[i]->mode))
			continue;
		s->present = true;
		r = tree_names_open(&s->names, d->trees[i],
				    &nodes[i]->directory, d->err);
		if (r == 0)
			r = advance(d, s);
	}
	return r;
}

static bool same_xattrs(const struct entry *a, const struct entry *b)
{
	if (a->n_xattrs != b->n_xattrs)
		return false;
	for (size_t i = 0; i < a->n_xattrs; i++) {
		const struct xattr *x = &a->xattrs[i], *y = &b->xattrs[i];

		if (strcmp(x->name, y->name) != 0 || x->size != y->size ||
		    memcmp(x->value, y->value, x->size) != 0)
			return false;
	}
	return true;
}

static bool same_target(const struct entry *a, const struct entry *b)
{
	const char *x = a->target ? a->target : "";
	const char *y = b->target ? b->target : "";

	return strcmp(x, y) == 0 && a->rdev_major == b->rdev_major &&
	       a->rdev_minor == b->rdev_minor;
}

static uint32_t compare_attributes(const struct entry *a, const struct entry *b)
{
	uint32_t what = 0;

	if ((a->mode & 07777) != (b->mode & 07777))
		what |= DIFF_MODE;
	if (a->uid != b->uid || a->gid != b->gid)
		what |= DIFF_OWNER;
	if (!S_ISDIR(a->mode) &&
	    (a->mtime != b->mtime || a->mtime_nsec != b->mtime_nsec))
		what |= DIFF_TIME;
	if (!same_xattrs(a, b))
		what |= DIFF_XATTR;
	return what;
}

/* What differs between two objects of one name, DIFF_* flags. */
static int compare(struct diff *d, const struct tree_node *a,
		   const struct tree_node *b, uint32_t *ret_what,
		   uint64_t sizes[2])
{
	const char *path = (char *)d->path.data;
	struct entry x, y;
	bool same = true;
	int r = tree_entry(d->trees[0], a, path, &x, d->err);

	if (r == 0)
		r = tree_entry(d->trees[1], b, path, &y, d->err);
	if (r < 0)
		return r;
	sizes[0] = S_ISREG(x.mode) ? x.size : 0;
	sizes[1] = S_ISREG(y.mode) ? y.size : 0;
	*ret_what = compare_attributes(&x, &y);
	if ((x.mode & S_IFMT) != (y.mode & S_IFMT)) {
		*ret_what = DIFF_TYPE;
		return 0;
	}
	if (S_ISREG(x.mode))
		r = tree_data_equal(d->trees[0], a, &x, d->trees[1], b, &y,
				    &same, d->err);
	else
		same = same_target(&x, &y);
	if (!same)
		*ret_what |= DIFF_CONTENT;
	return r;
}

static int add_one(struct diff *d, size_t i, const struct tree_node *node)
{
	struct diff_item item = {.kind = i ? DIFF_ADDED : DIFF_REMOVED,
				 .path = (char *)d->path.data};
	struct entry e;
	int r = tree_entry(d->trees[i], node, "", &e, d->err);

	if (r < 0)
		return r;
	*(i ? &item.after : &item.before) = e.mode;
	if (S_ISREG(e.mode))
		*(i ? &item.after_size : &item.before_size) = e.size;
	return diff_items_add(d->items, &item, node, d->err);
}

static int add_changed(struct diff *d, const struct tree_node *const nodes[2])
{
	struct diff_item item = {.kind = DIFF_CHANGED,
				 .path = (char *)d->path.data,
				 .before = nodes[0]->mode,
				 .after = nodes[1]->mode};
	uint64_t sizes[2];
	int r = compare(d, nodes[0], nodes[1], &item.what, sizes);

	if (r < 0 || !item.what)
		return r;
	item.before_size = sizes[0];
	item.after_size = sizes[1];
	return diff_items_add(d->items, &item, NULL, d->err);
}

/* The name at path, whose nodes may be NULL on one side. */
static int visit(struct diff *d, const struct tree_node *const nodes[2])
{
	int r;

	if (nodes[0] && nodes[1]) {
		if (tree_same(d->trees[0], nodes[0], d->trees[1], nodes[1]))
			return 0;
		r = add_changed(d, nodes);
	} else {
		size_t i = nodes[0] ? 0 : 1;

		r = add_one(d, i, nodes[i]);
	}
	if (r == 0 && ((nodes[0] && S_ISDIR(nodes[0]->mode)) ||
		       (nodes[1] && S_ISDIR(nodes[1]->mode))))
		r = enter(d, nodes);
	return r;
}

static int set_path(struct diff *d, size_t size, const char *name)
{
	d->path.size = size;
	if (buf_printf(&d->path, "%s%s", size ? "/" : "", name) < 0 ||
	    !buf_str(&d->path))
		return err_oom(d->err);
	return 0;
}

/* The next name of the innermost directory, or its end. */
static int step(struct diff *d)
{
	struct frame *f = &d->frames[d->depth - 1];
	struct side *a = &f->sides[0], *b = &f->sides[1];
	struct tree_node copies[2];
	const struct tree_node *nodes[2] = {NULL, NULL};
	int order, r;

	if (a->ended && b->ended) {
		frame_release(f);
		d->depth--;
		return 0;
	}
	order = a->ended   ? 1
		: b->ended ? -1
			   : strcmp(a->names.name, b->names.name);
	r = set_path(d, f->path_size,
		     order > 0 ? b->names.name : a->names.name);
	/* By value: entering moves the frames. */
	if (order <= 0) {
		copies[0] = a->node;
		nodes[0] = &copies[0];
		if (r == 0)
			r = advance(d, a);
	}
	if (order >= 0) {
		copies[1] = b->node;
		nodes[1] = &copies[1];
		if (r == 0)
			r = advance(d, b);
	}
	return r < 0 ? r : visit(d, nodes);
}

static int start(struct diff *d, const char *path)
{
	struct tree_node found[2];
	const struct tree_node *nodes[2] = {NULL, NULL};
	int r = 0;

	for (size_t i = 0; i < 2 && (r == 0 || r == -ENOENT); i++) {
		r = tree_find(d->trees[i], path, &found[i], d->err);
		if (r == 0)
			nodes[i] = &found[i];
	}
	if (r < 0 && r != -ENOENT)
		return r;
	if (!nodes[0] && !nodes[1])
		return err_set(d->err, ENOENT, "neither version has \"%s\"",
			       path);
	if (buf_add_str(&d->path, path) < 0 || !buf_str(&d->path))
		return err_oom(d->err);
	return visit(d, nodes);
}

int diff_trees(struct diff_items **ret, struct tree *before, struct tree *after,
	       const char *path, bool renames, struct err *err)
{
	_cleanup_(diff_items_freep) struct diff_items *items =
		calloc(1, sizeof(*items));
	struct diff d = {.trees = {before, after}, .items = items, .err = err};
	int r = items ? start(&d, path) : err_oom(err);

	while (r == 0 && d.depth)
		r = step(&d);
	while (d.depth)
		frame_release(&d.frames[--d.depth]);
	if (r == 0 && renames)
		r = diff_items_match(items, before, after, err);
	buf_release(&d.path);
	free(d.frames);
	if (r == 0)
		*ret = TAKE_PTR(items);
	return r;
}
