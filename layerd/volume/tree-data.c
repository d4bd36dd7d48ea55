/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/tree-data.h"

#include "util/cleanup.h"
#include "util/fd.h"
#include "volume/mounting.h"
#include "volume/tree-private.h"

#include <errno.h>
#include <string.h>

#define PIECE (256u << 10)

static int open_tar(struct tree *t, uint32_t layer, struct err *err)
{
	struct tree_index *x = &t->indexes[layer];

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
	r = pread_full(t->indexes[layer].cached.tar_fd, to, size, offset);
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
	uint64_t done = 0, end;

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
	struct tree_index *x = &t->indexes[layer];
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

static int compare_bytes(struct tree *t, const struct tree_node *node,
			 const struct entry *e, struct tree *other,
			 const struct tree_node *theirs, const struct entry *o,
			 bool *ret, struct err *err)
{
	_cleanup_free_ uint8_t *a = malloc(PIECE);
	_cleanup_free_ uint8_t *b = malloc(PIECE);

	if (!a || !b)
		return err_oom(err);
	*ret = true;
	for (uint64_t at = 0; *ret && at < e->size; at += PIECE) {
		ssize_t n = tree_data_read(t, node, e, at, a, PIECE, err);
		ssize_t m = n < 0 ? n
				  : tree_data_read(other, theirs, o, at, b,
						   PIECE, err);

		if (m < 0)
			return (int)m;
		*ret = n == m && memcmp(a, b, (size_t)n) == 0;
	}
	return 0;
}

int tree_data_equal(struct tree *t, const struct tree_node *node,
		    const struct entry *e, struct tree *other,
		    const struct tree_node *theirs, const struct entry *o,
		    bool *ret, struct err *err)
{
	*ret = e->size == o->size;
	if (!*ret || e->size == 0 || tree_same(t, node, other, theirs))
		return 0;
	if (same_extents(e, o) && entry_data_size(e)) {
		int r = compare_chunks(t, node->part.layer, e, other,
				       theirs->part.layer, o, err);

		if (r >= 0)
			*ret = r > 0;
		if (r != -ENODATA)
			return MIN(r, 0);
	}
	return compare_bytes(t, node, e, other, theirs, o, ret, err);
}
