/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both trees are followed side by side; then files that vanished are matched
 * with files of equal content that appeared.
 */
#include "volume/diff.h"

#include "util/cleanup.h"
#include "volume/diff-items.h"
#include "volume/tree-data.h"
#include "volume/tree-pair.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct diff {
	struct tree *trees[2];
	const char *path; /* where the walk is */
	struct diff_items *items;
	struct err *err;
};

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
	struct entry x, y;
	bool same = true;
	int r = tree_entry(d->trees[0], a, d->path, &x, d->err);

	if (r == 0)
		r = tree_entry(d->trees[1], b, d->path, &y, d->err);
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
				 .path = d->path};
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
				 .path = d->path,
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

static int visit(const struct tree_node *const nodes[2], const char *path,
		 void *ctx, struct err *err)
{
	struct diff *d = ctx;
	size_t i = nodes[0] ? 0 : 1;

	d->path = path;
	d->err = err;
	return nodes[0] && nodes[1] ? add_changed(d, nodes)
				    : add_one(d, i, nodes[i]);
}

int diff_trees(struct diff_items **ret, struct tree *before, struct tree *after,
	       const char *path, bool renames, struct err *err)
{
	_cleanup_(diff_items_freep) struct diff_items *items =
		calloc(1, sizeof(*items));
	struct diff d = {.trees = {before, after}, .items = items};
	int r = items ? tree_pairs(d.trees, path, visit, &d, err)
		      : err_oom(err);

	if (r == -ENOENT && (!err || !err->code))
		return err_set(err, ENOENT, "neither version has \"%s\"", path);
	if (r == 0 && renames)
		r = diff_items_match(items, before, after, err);
	if (r == 0)
		*ret = TAKE_PTR(items);
	return r;
}
