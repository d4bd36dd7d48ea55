/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: an index entry is only ever made from what the store has, and
 * a damaged object costs its own entries and no others.
 */
#include "volume/rebuild.h"

#include "util/cleanup.h"
#include "util/fault.h"
#include "volume/contents.h"
#include "volume/volume.h"

#include <errno.h>

static int add_pack(const char *key, uint64_t size, void *ctx, struct err *err)
{
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	struct err problem = ERR_INIT;
	const char *name = strrchr(key, '/');
	struct host *h = ctx;
	struct digest pack;

	(void)size;
	if (!name || digest_parse(name + 1, &pack) < 0)
		return 0;
	if (contents_read(h->store, &pack, &toc, &problem) < 0)
		return 0;
	return catalog_add_pack(h->catalog, &pack, &toc, err);
}

static int add_version(struct host *h, const struct volume *volume,
		       uint64_t sequence, struct err *err)
{
	_cleanup_(version_freep) struct version *v = NULL;
	struct err problem = ERR_INIT;
	struct digest digest;
	int r;

	if (volume_version_at(h, volume, sequence, &digest, &problem) < 0 ||
	    version_load(h, &digest, &v, &problem) < 0)
		return 0;
	r = catalog_add_version(h->catalog, &digest, volume->name, sequence,
				err);
	for (size_t i = 0; r == 0 && i < v->n_layers; i++)
		r = catalog_add_layer(h->catalog, &v->layers[i].tar,
				      &v->layers[i].object,
				      v->layers[i].tar_size, err);
	return r;
}

static int add_volume(const char *name, const struct volume *volume,
		      const struct err *problem, void *ctx)
{
	struct host *h = ctx;
	int r = 0;

	(void)name;
	(void)problem;
	if (!volume)
		return 0;
	for (uint64_t i = 1; r == 0 && i <= volume->sequence; i++)
		r = add_version(h, volume, i, NULL);
	return r;
}

int host_rebuild_catalog(struct host *h, struct err *err)
{
	int r = store_list(h->store, "packs/", add_pack, h, err);

	if (r == 0)
		r = volume_each(h, add_volume, h, err);
	if (r == 0)
		r = fault_point("catalog.rebuilt");
	if (r == 0)
		r = catalog_set_meta(h->catalog, "store-id", store_id(h->store),
				     err);
	return r;
}

bool host_complete_catalog(struct host *h)
{
	if (atomic_exchange(&h->completed, true))
		return false;
	return volume_each(h, add_volume, h, NULL) == 0;
}
