/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A moved file is one that vanished and whose size and content appeared under
 * another name. Of several with equal content those of the same name, then the
 * first by path, are taken, and each only once. Empty files are never matched.
 */
#include "volume/diff-items.h"

#include "util/cleanup.h"
#include "volume/tree-data.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct diff_items *diff_items_free(struct diff_items *d)
{
	if (!d)
		return NULL;
	free(d->items);
	buf_release(&d->text);
	free(d);
	return NULL;
}

void diff_items_freep(struct diff_items **d)
{
	*d = diff_items_free(*d);
}

int diff_items_add(struct diff_items *d, const struct diff_item *item,
		   const struct tree_node *node, struct err *err)
{
	if (d->n == d->alloc) {
		size_t n = d->alloc ? d->alloc * 2 : 64;
		struct diff_found *items;

		items = reallocarray(d->items, n, sizeof(*items));
		if (!items)
			return err_oom(err);
		d->items = items;
		d->alloc = n;
	}
	d->items[d->n] =
		(struct diff_found){.item = *item, .path = d->text.size};
	if (node)
		d->items[d->n].part = node->part;
	if (buf_add(&d->text, item->path, strlen(item->path) + 1) < 0)
		return err_oom(err);
	d->n++;
	return 0;
}

static const char *path_of(const struct diff_items *d,
			   const struct diff_found *f)
{
	return (const char *)d->text.data + f->path;
}

static const char *name_of(const struct diff_items *d,
			   const struct diff_found *f)
{
	const char *path = path_of(d, f);
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_candidate(const struct diff_found *f, enum diff_kind kind)
{
	const struct diff_item *i = &f->item;

	if (i->kind != kind || f->matched)
		return false;
	return kind == DIFF_ADDED ? S_ISREG(i->after) && i->after_size
				  : S_ISREG(i->before) && i->before_size;
}

static uint64_t size_of(const struct diff_found *f)
{
	return f->item.kind == DIFF_ADDED ? f->item.after_size
					  : f->item.before_size;
}

/* By size; then in the order they were found. */
static int compare_sizes(const void *a, const void *b, void *ctx)
{
	const size_t *x = a, *y = b;
	const struct diff_items *d = ctx;
	uint64_t m = size_of(&d->items[*x]), n = size_of(&d->items[*y]);

	return m != n ? (m > n) - (m < n) : (*x > *y) - (*x < *y);
}

/* The indexes of all candidates of a kind, by size. */
static int collect(const struct diff_items *d, enum diff_kind kind,
		   size_t **ret, size_t *ret_n)
{
	size_t n = 0;
	size_t *list;

	for (size_t i = 0; i < d->n; i++)
		n += is_candidate(&d->items[i], kind);
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	*ret_n = n;
	n = 0;
	for (size_t i = 0; i < d->n; i++)
		if (is_candidate(&d->items[i], kind))
			list[n++] = i;
	qsort_r(list, n, sizeof(*list), compare_sizes, (void *)d);
	*ret = list;
	return 0;
}

struct match {
	struct diff_items *items;
	struct tree *before, *after;
	struct err *err;
};

static int is_same_file(struct match *m, const struct diff_found *removed,
			const struct diff_found *added, bool *ret)
{
	struct tree_node a = {.part = removed->part,
			      .mode = removed->item.before};
	struct tree_node b = {.part = added->part, .mode = added->item.after};
	struct entry x, y;
	int r = tree_entry(m->before, &a, path_of(m->items, removed), &x,
			   m->err);

	if (r == 0)
		r = tree_entry(m->after, &b, path_of(m->items, added), &y,
			       m->err);
	if (r == 0)
		r = tree_data_equal(m->before, &a, &x, m->after, &b, &y, ret,
				    m->err);
	return r;
}

static void join(struct diff_found *removed, struct diff_found *added)
{
	removed->matched = true;
	added->item.kind = DIFF_RENAMED;
	added->item.before = removed->item.before;
	added->item.before_size = removed->item.before_size;
	added->from = removed->path;
	if ((removed->item.before & 07777) != (added->item.after & 07777))
		added->item.what |= DIFF_MODE;
}

/* Finds where an added file was, among n removed ones of its size. */
static int match_one(struct match *m, size_t added, const size_t *removed,
		     size_t n, bool same_name)
{
	struct diff_items *d = m->items;
	struct diff_found *to = &d->items[added];
	unsigned tries = 0;

	for (size_t i = 0; i < n && tries < DIFF_MATCH_TRIES; i++) {
		struct diff_found *from = &d->items[removed[i]];
		bool same;
		int r;

		if (from->matched || (strcmp(name_of(d, from),
					     name_of(d, to)) == 0) != same_name)
			continue;
		tries++;
		r = is_same_file(m, from, to, &same);
		if (r < 0)
			return r;
		if (same) {
			join(from, to);
			return 0;
		}
	}
	return 0;
}

static int match_all(struct match *m, const size_t *added, size_t n_added,
		     const size_t *removed, size_t n_removed, bool same_name)
{
	const struct diff_found *items = m->items->items;
	size_t low = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n_added; i++) {
		uint64_t size = items[added[i]].item.after_size;
		size_t high;

		if (items[added[i]].item.kind != DIFF_ADDED)
			continue;
		r = tree_report(m->after, "compare", i);
		if (r < 0)
			return r;
		while (low < n_removed && size_of(&items[removed[low]]) < size)
			low++;
		for (high = low; high < n_removed &&
				 size_of(&items[removed[high]]) == size;)
			high++;
		r = match_one(m, added[i], removed + low, high - low,
			      same_name);
	}
	return r;
}

int diff_items_match(struct diff_items *d, struct tree *before,
		     struct tree *after, struct err *err)
{
	struct match m = {
		.items = d, .before = before, .after = after, .err = err};
	_cleanup_free_ size_t *added = NULL;
	_cleanup_free_ size_t *removed = NULL;
	size_t n_added, n_removed;
	int r = collect(d, DIFF_ADDED, &added, &n_added);

	if (r == 0)
		r = collect(d, DIFF_REMOVED, &removed, &n_removed);
	if (r < 0)
		return err_oom(err);
	if (n_added > DIFF_MATCH_MAX || n_removed > DIFF_MATCH_MAX)
		return 0;
	r = match_all(&m, added, n_added, removed, n_removed, true);
	if (r == 0)
		r = match_all(&m, added, n_added, removed, n_removed, false);
	return r;
}

int diff_items_each(const struct diff_items *d, diff_fn fn, void *ctx,
		    struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->n; i++) {
		const struct diff_found *f = &d->items[i];
		struct diff_item item = f->item;

		if (f->matched)
			continue;
		item.path = path_of(d, f);
		if (item.kind == DIFF_RENAMED)
			item.from = (const char *)d->text.data + f->from;
		r = fn(&item, ctx, err);
	}
	return r;
}
