/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: an index entry is only ever made from what the store has, and
 * a damaged object costs its own entries and no others. A caller who goes away
 * does not leave a catalog that is half made.
 */
#include "volume/rebuild.h"

#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "volume/contents.h"
#include "volume/volume.h"

#include <errno.h>

struct rebuild {
	struct host *host;
	const struct progress *progress;
	struct rebuilt count;
	struct err *err;
};

static int report(struct rebuild *b)
{
	(void)progress_report(b->host, b->progress, "rebuild", 0, 0,
			      b->count.packs + b->count.versions);
	return b->host->stopping ? -ECANCELED : 0;
}

static int add_pack(const char *key, uint64_t size, void *ctx, struct err *err)
{
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	struct err problem = ERR_INIT;
	struct rebuild *b = ctx;
	struct digest pack;
	int r;

	(void)size;
	if (store_key_digest(key, &pack) < 0)
		return 0;
	if (contents_is_marked(b->host->store, &pack) ||
	    contents_read(b->host->store, &pack, &toc, &problem) < 0) {
		b->count.skipped++;
		return 0;
	}
	r = catalog_add_pack(b->host->catalog, &pack, &toc, err);
	b->count.packs++;
	return r < 0 ? r : report(b);
}

static int add_version(struct rebuild *b, const struct volume *volume,
		       uint64_t sequence)
{
	_cleanup_(version_freep) struct version *v = NULL;
	struct err problem = ERR_INIT;
	struct host *h = b->host;
	struct digest digest;
	int r;

	r = volume_version_at(h, volume, sequence, &digest, &problem);
	/* Not every number has a version. */
	if (r == -ENOENT)
		return 0;
	if (r < 0 || version_load(h, &digest, &v, &problem) < 0) {
		b->count.skipped++;
		return 0;
	}
	r = catalog_add_version(h->catalog, &digest, volume->name, sequence,
				b->err);
	for (size_t i = 0; r == 0 && i < v->n_layers; i++)
		r = catalog_add_layer(h->catalog, &v->layers[i].tar,
				      &v->layers[i].object,
				      v->layers[i].tar_size, b->err);
	b->count.versions++;
	return r < 0 ? r : report(b);
}

static int add_volume(const char *name, const struct volume *volume,
		      const struct err *problem, void *ctx)
{
	struct rebuild *b = ctx;
	int r = 0;

	(void)name;
	(void)problem;
	if (!volume)
		return 0;
	for (uint64_t i = 1; r == 0 && i <= volume->sequence; i++)
		r = add_version(b, volume, i);
	return r;
}

int host_fill_catalog(struct host *h, const struct progress *progress,
		      struct rebuilt *ret, struct err *err)
{
	struct rebuild b = {.host = h, .progress = progress, .err = err};
	int r = store_list(h->store, "packs/", add_pack, &b, err);

	if (r == 0)
		r = volume_each(h, add_volume, &b, err);
	if (r == 0)
		r = fault_point("catalog.rebuilt");
	if (r == 0)
		r = catalog_set_meta(h->catalog, "store-id", store_id(h->store),
				     err);
	if (r == 0)
		*ret = b.count;
	return r;
}

int host_rebuild_catalog(struct host *h, const struct progress *progress,
			 struct rebuilt *ret, struct err *err)
{
	int cleared = catalog_clear(h->catalog, err);
	int r = cleared;

	if (r >= 0)
		r = fault_point("catalog.cleared");
	if (r == 0)
		r = host_fill_catalog(h, progress, ret, err);
	if (r == 0)
		ret->damaged = cleared == CATALOG_E_CORRUPT;
	return r;
}

bool host_complete_catalog(struct host *h)
{
	struct rebuild b = {.host = h};

	if (atomic_exchange(&h->completed, true))
		return false;
	return volume_each(h, add_volume, &b, NULL) == 0;
}
