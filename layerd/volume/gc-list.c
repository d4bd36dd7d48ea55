/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/gc-list.h"

#include "format/manifest.h"
#include "util/cleanup.h"
#include "util/fault.h"

#include <errno.h>

void gc_list_release(struct gc_list *l)
{
	free(l->items);
	free(l->cached);
	*l = (struct gc_list){0};
}

static int add_item(struct gc_list *l, enum store_kind kind,
		    const struct digest *d, uint64_t size)
{
	struct condemned_item *last = l->n ? &l->items[l->n - 1] : NULL;

	/* Files of one layer are listed one after the other. */
	if (last && last->kind == kind && digest_equal(&last->digest, d)) {
		last->size += size;
		return 0;
	}
	if (l->n == l->alloc) {
		size_t alloc = l->alloc ? l->alloc * 2 : 256;
		struct condemned_item *items;

		items = reallocarray(l->items, alloc, sizeof(*items));
		if (!items)
			return -ENOMEM;
		l->items = items;
		l->alloc = alloc;
	}
	l->items[l->n++] = (struct condemned_item){
		.digest = *d, .size = size, .kind = (uint8_t)kind};
	return 0;
}

static int add_key(const char *key, uint64_t size, void *ctx, struct err *err)
{
	struct gc_list *l = ctx;
	enum store_kind kind;
	struct digest d;

	/* Whatever else there is, is not ours. */
	if (!store_key_parse(key, &kind, &d))
		return 0;
	return add_item(l, kind, &d, size) < 0 ? err_oom(err) : 0;
}

static int add_cached(const struct digest *tar, uint64_t bytes, void *ctx)
{
	struct gc_list *l = ctx;

	if (l->n_cached == l->cached_alloc) {
		size_t alloc = l->cached_alloc ? l->cached_alloc * 2 : 64;
		struct gc_cached *cached;

		cached = reallocarray(l->cached, alloc, sizeof(*cached));
		if (!cached)
			return -ENOMEM;
		l->cached = cached;
		l->cached_alloc = alloc;
	}
	l->cached[l->n_cached++] =
		(struct gc_cached){.tar = *tar, .bytes = bytes};
	return 0;
}

static int compare_cached(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_SIZE);
}

/* Layers that only the cache has. */
static int add_lost(struct gc_list *l)
{
	_cleanup_digest_set_ struct digest_set stored = {0};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < l->n; i++)
		if (l->items[i].kind == STORE_LAYER)
			r = digest_set_add(&stored, &l->items[i].digest, NULL);
	for (size_t i = 0; r >= 0 && i < l->n_cached; i++)
		if (!digest_set_has(&stored, &l->cached[i].tar))
			r = add_item(l, STORE_LAYER, &l->cached[i].tar, 0);
	return MIN(r, 0);
}

int gc_list_make(struct host *h, struct gc_list *l, struct err *err)
{
	static const char *const prefixes[] = {"blobs/sha256/", "layers/",
					       "packs/"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(prefixes); i++) {
		r = fault_point("gc.list");
		if (r == 0)
			r = store_list(h->store, prefixes[i], add_key, l, err);
	}
	if (r == 0)
		r = cache_each(h->cache, add_cached, l, err);
	if (r == 0 && add_lost(l) < 0)
		r = err_oom(err);
	if (r == 0 && l->n_cached)
		qsort(l->cached, l->n_cached, sizeof(*l->cached),
		      compare_cached);
	return r;
}

bool gc_is_live(const struct live *live, const struct condemned_item *item)
{
	switch (item->kind) {
	case STORE_BLOB:
		return digest_set_has(&live->blobs, &item->digest);
	case STORE_LAYER:
		return digest_set_has(&live->layers, &item->digest);
	default:
		return digest_set_has(&live->packs, &item->digest);
	}
}

/* What is damaged is no manifest that anybody could ask for. */
static int find_blob_role(struct host *h, struct condemned_item *item,
			  struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct err problem = ERR_INIT;
	char key[STORE_KEY_MAX], first = 0;
	struct digest config;
	int r = 0;

	item->role = GC_BLOB;
	if (item->size == 0 || item->size > VERSION_BLOB_MAX)
		return 0;
	store_key_blob(key, &item->digest);
	r = store_get_range(h->store, key, 0, 1, &first, &problem);
	/* A layer object may be large. */
	if (r == 0 && first != '{')
		return 0;
	if (r == 0)
		r = store_get(h->store, key, VERSION_BLOB_MAX, &b, &problem);
	if (r == 0)
		r = version_config_digest(b.data, b.size, &config, &problem);
	if (r == 0)
		item->role = GC_MANIFEST;
	if (r == 0 || r == -EBADMSG || r == -ENOENT)
		return 0;
	return err_set(err, r, "%s", problem.text);
}

static int find_role(struct host *h, struct condemned_item *item,
		     struct err *err)
{
	if (item->kind == STORE_BLOB)
		return find_blob_role(h, item, err);
	item->role = item->kind == STORE_LAYER ? GC_LAYER : GC_PACK;
	return 0;
}

int gc_list_keep_dead(struct host *h, struct gc_list *l,
		      const struct live *live, struct err *err)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		if (gc_is_live(live, &l->items[i]))
			continue;
		l->items[n] = l->items[i];
		r = find_role(h, &l->items[n++], err);
	}
	l->n = n;
	return r;
}
