/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Collecting: what no version, session or mount needs any more is deleted from
 * the store and from the cache. gc.c says why nobody is harmed by it.
 */

#include "volume/host.h"

struct gc_result {
	uint64_t versions, layers, packs;
	uint64_t bytes; /* of the store */
	uint64_t cached_layers;
	uint64_t cached; /* bytes on disk */
	/* Packs that are kept, their bytes, and those of them that are not
	 * needed. */
	uint64_t kept_packs, kept, dead;
};

/*
 * Blocks for as long as the longest call that is at hand, seals among them,
 * which go on meanwhile. -EBUSY: it runs already. Whatever ends it, nothing
 * that is needed is gone and it can be run again. With dry_run only counts. The
 * store must have no other daemon.
 */
int gc_run(struct host *h, bool dry_run, const struct progress *progress,
	   struct gc_result *ret, struct err *err);

/*
 * To be called by who is about to publish something that relies on a version,
 * be it a number, a tag, a session or a mount: takes the version and all that
 * it needs back from a collector. -ENOENT with a sentence when it is too late.
 * Costs nothing while nobody collects; else it reads the layers' places.
 */
int gc_keep_version(struct host *h, const struct digest *version,
		    struct err *err);
