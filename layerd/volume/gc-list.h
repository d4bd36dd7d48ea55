/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What there is in a store and in a cache that could be collected. */

#include "store/condemned.h"
#include "volume/live.h"

/* What an item is; they are removed in this order. */
enum gc_role {
	GC_MANIFEST, /* from then on nobody can ask for the rest */
	GC_BLOB,
	GC_LAYER,
	GC_PACK,
	GC_ROLES
};

struct gc_cached {
	struct digest tar;
	uint64_t bytes;
};

/* 48 bytes for each object. */
struct gc_list {
	struct condemned_item *items;
	size_t n, alloc;
	struct gc_cached *cached;
	size_t n_cached, cached_alloc;
};

void gc_list_release(struct gc_list *l);

/* Manifests, configs, layer objects, layers and packs; a layer's size is that
 * of all its files, and 0 for one that only the cache has. */
int gc_list_make(struct host *h, struct gc_list *l, struct err *err);

/* Leaves those out that are needed, and finds out the roles of the others. */
int gc_list_keep_dead(struct host *h, struct gc_list *l,
		      const struct live *live, struct err *err);

bool gc_is_live(const struct live *live, const struct condemned_item *item);
