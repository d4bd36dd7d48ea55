/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/tree-data.h"

#include "util/cleanup.h"
#include "util/fd.h"
#include "volume/mounting.h"
#include "volume/tree-private.h"
#include "volume/tree-walk.h"

#include <errno.h>
#include <string.h>

#define PIECE (256u << 10)

static int open_tar(struct tree *t, uint32_t layer, struct err *err)
{
	struct tree_index *x = t->indexes[layer];

	return x->cached.tar_fd >= 0
		       ? 0
		       : mounting_open_layer(t->host, &t->layers[layer],
					     t->progress, &x->cached, err);
}

static int read_tar(struct tree *t, uint32_t layer, uint64_t offset, void *to,
		    size_t size, struct err *err)
{
	int r = open_tar(t, layer, err);

	if (r < 0)
		return r;
	r = pread_full(t->indexes[layer]->cached.tar_fd, to, size, offset);
	return r < 0 ? err_errno(err, r, "cannot read a layer in the cache")
		     : 0;
}

/*
 * The run of data at or behind offset: *ret is where it begins in the file,
 * *ret_tar in the tarball. The length; 0 when only a hole is left.
 */
static uint64_t find_run(const struct entry *e, uint64_t offset, uint64_t *ret,
			 uint64_t *ret_tar)
{
	uint64_t tar = e->payload;

	*ret = offset;
	*ret_tar = tar + offset;
	if (!e->sparse)
		return e->size - offset;
	for (size_t i = 0; i < e->n_extents; i++) {
		const struct extent *x = &e->extents[i];

		if (offset < x->offset + x->length) {
			*ret = MAX(offset, x->offset);
			*ret_tar = tar + (*ret - x->offset);
			return x->offset + x->length - *ret;
		}
		tar += x->length;
	}
	return 0;
}

ssize_t tree_data_read(struct tree *t, const struct tree_node *node,
		       const struct entry *e, uint64_t offset, void *to,
		       size_t size, struct err *err)
{
	struct draft *draft = t->indexes[node->part.layer]->draft;
	uint64_t done = 0, end;

	if (draft)
		return draft_read(draft, e->path, offset, to, size, err);
	if (offset >= e->size)
		return 0;
	end = MIN(e->size - offset, (uint64_t)size);
	while (done < end) {
		uint64_t at, tar;
		uint64_t length = find_run(e, offset + done, &at, &tar);
		uint64_t hole = length ? at - (offset + done) : end - done;
		uint64_t n;
		int r;

		n = MIN(hole, end - done);
		memset((uint8_t *)to + done, 0, n);
		done += n;
		n = MIN(length, end - done);
		if (!n)
			continue;
		r = read_tar(t, node->part.layer, tar, (uint8_t *)to + done, n,
			     err);
		if (r < 0)
			return r;
		done += n;
	}
	return (ssize_t)end;
}

static int get_chunks(struct tree *t, uint32_t layer,
		      const struct layer_object **ret, struct err *err)
{
	struct tree_index *x = t->indexes[layer];
	int r = 0;

	if (!x->has_chunks)
		r = cache_get_object(
			t->host->cache, t->host->store, &t->layers[layer].tar,
			&t->layers[layer].object, &x->object, NULL, err);
	if (r < 0)
		return r;
	x->has_chunks = true;
	*ret = &x->object;
	return 0;
}

static bool same_extents(const struct entry *a, const struct entry *b)
{
	if (a->sparse != b->sparse || a->n_extents != b->n_extents)
		return false;
	for (size_t i = 0; i < a->n_extents; i++)
		if (a->extents[i].offset != b->extents[i].offset ||
		    a->extents[i].length != b->extents[i].length)
			return false;
	return true;
}

/* The first chunk of a payload, when chunks begin and end with it. NULL: they
 * do not. */
static const struct layer_chunk *payload_chunks(const struct layer_object *o,
						const struct entry *e,
						size_t *ret_n)
{
	uint64_t end = e->payload + entry_data_size(e);
	size_t first = layer_object_find(o, e->payload);
	size_t last = layer_object_find(o, end - 1);

	if (first >= o->n_chunks || last >= o->n_chunks ||
	    o->chunks[first].offset != e->payload ||
	    o->chunks[last].offset + o->chunks[last].size != end)
		return NULL;
	*ret_n = last - first + 1;
	return &o->chunks[first];
}

/* 1 or 0 when the chunks tell whether two files are equal; -ENODATA if not. */
static int compare_chunks(struct tree *t, uint32_t layer, const struct entry *e,
			  struct tree *other, uint32_t their_layer,
			  const struct entry *o, struct err *err)
{
	const struct layer_object *a, *b;
	const struct layer_chunk *x, *y;
	size_t n, m;
	int r = get_chunks(t, layer, &a, err);

	if (r == 0)
		r = get_chunks(other, their_layer, &b, err);
	if (r < 0)
		return r;
	x = payload_chunks(a, e, &n);
	y = payload_chunks(b, o, &m);
	if (!x || !y)
		return -ENODATA;
	if (n != m)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!digest_equal(&x[i].digest, &y[i].digest))
			return 0;
	return 1;
}

/* A regular file in a tree. */
struct file {
	struct tree *tree;
	struct tree_node node;
	struct entry entry;
};

static int compare_run(const struct file *a, const struct file *b,
		       uint64_t from, uint64_t length, uint8_t *x, uint8_t *y,
		       bool *ret, struct err *err)
{
	const struct tree *t = a->tree;

	for (uint64_t at = 0; *ret && at < length; at += PIECE) {
		size_t want = (size_t)MIN(length - at, (uint64_t)PIECE);
		ssize_t n, m;
		int r = progress_report(t->host, t->progress, "compare", at,
					length, 0);

		if (r < 0)
			return r;
		n = tree_data_read(a->tree, &a->node, &a->entry, from + at, x,
				   want, err);
		m = n < 0 ? n
			  : tree_data_read(b->tree, &b->node, &b->entry,
					   from + at, y, want, err);
		if (m < 0)
			return (int)m;
		*ret = n == m && memcmp(x, y, (size_t)n) == 0;
	}
	return 0;
}

/* Holes that both have are not read. */
static int compare_bytes(const struct file *a, const struct file *b, bool *ret,
			 struct err *err)
{
	const struct extent whole = {.length = a->entry.size};
	bool runs = a->entry.sparse && same_extents(&a->entry, &b->entry);
	const struct extent *extents = runs ? a->entry.extents : &whole;
	size_t n = runs ? a->entry.n_extents : 1;
	_cleanup_free_ uint8_t *x = malloc(PIECE);
	_cleanup_free_ uint8_t *y = malloc(PIECE);
	int r = 0;

	if (!x || !y)
		return err_oom(err);
	*ret = true;
	for (size_t i = 0; r == 0 && *ret && i < n; i++)
		r = compare_run(a, b, extents[i].offset, extents[i].length, x,
				y, ret, err);
	return r;
}

/* Goes to where the data of a live file is that was not copied up. */
static int follow(struct file *f, struct err *err)
{
	struct draft *draft = f->tree->indexes[f->node.part.layer]->draft;
	int r = 0;

	if (draft)
		r = draft_find_data(draft, f->entry.path, f->entry.size,
				    &f->tree, &f->node, &f->entry, err);
	return MIN(r, 0);
}

static bool is_live(const struct file *f)
{
	return f->tree->indexes[f->node.part.layer]->draft;
}

int tree_data_equal(struct tree *t, const struct tree_node *node,
		    const struct entry *e, struct tree *other,
		    const struct tree_node *theirs, const struct entry *o,
		    bool *ret, struct err *err)
{
	struct file a = {t, *node, *e}, b = {other, *theirs, *o};
	int r;

	*ret = e->size == o->size;
	if (!*ret || e->size == 0)
		return 0;
	r = follow(&a, err);
	if (r == 0)
		r = follow(&b, err);
	if (r < 0 || tree_same(a.tree, &a.node, b.tree, &b.node))
		return r;
	if (!is_live(&a) && !is_live(&b) && entry_data_size(&a.entry) &&
	    same_extents(&a.entry, &b.entry)) {
		r = compare_chunks(a.tree, a.node.part.layer, &a.entry, b.tree,
				   b.node.part.layer, &b.entry, err);
		if (r >= 0)
			*ret = r > 0;
		if (r != -ENODATA)
			return MIN(r, 0);
	}
	return compare_bytes(&a, &b, ret, err);
}

struct fetch {
	struct tree *tree;
	struct tree_totals totals;
};

static int count(const struct tree_node *node, const struct entry *e, void *ctx,
		 struct err *err)
{
	struct fetch *f = ctx;
	uint64_t size = entry_data_size(e);

	f->totals.entries++;
	f->totals.bytes += size;
	return size ? open_tar(f->tree, node->part.layer, err) : 0;
}

int tree_data_fetch(struct tree *t, const char *path, struct tree_totals *ret,
		    struct err *err)
{
	struct fetch f = {.tree = t};
	int r = tree_walk(t, path, true, count, &f, err);

	if (r == 0)
		*ret = f.totals;
	return r;
}

int tree_data_fd(const struct tree *t, uint32_t layer)
{
	return t->indexes[layer]->cached.tar_fd;
}
