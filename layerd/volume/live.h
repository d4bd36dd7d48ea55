/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What of a store is needed: everything that can be reached from the volumes'
 * numbers, heads and tags, from the sessions of this host and from its
 * read-only mounts.
 *
 * Memory: 48 bytes for each version, config, layer object, layer and pack that
 * is needed, and 12 for each frame, that is, for each chunk. With 10 million
 * chunks (some 2.5 TiB of data) the array of frames has at most 150 MB, as it
 * grows by a quarter, and qsort() takes as much again for a moment; 1,000
 * versions with 100,000 layers in 40,000 packs take 15 MB. The places of one
 * layer are in memory besides.
 */

#include "util/digest-set.h"
#include "volume/host.h"

struct live_frame {
	uint32_t pack; /* index into packs */
	uint32_t offset, length;
};

struct live {
	struct digest_set versions;
	struct digest_set blobs; /* manifests, configs, layer objects */
	struct digest_set layers;
	struct digest_set packs;
	struct live_frame *frames; /* sorted by live_mark(), each once */
	size_t n_frames, frames_alloc;
	bool with_frames;
};

#define _cleanup_live_ __attribute__((cleanup(live_release)))
void live_release(struct live *l);

/*
 * Fills l, which is empty but for with_frames. Whatever cannot be read ends it:
 * -EBADMSG and others with a sentence that names the version, as nobody knows
 * then what else is needed. Blocks; reads manifests and places, no data.
 */
int live_mark(struct host *h, const struct progress *progress, struct live *l,
	      struct err *err);

/* Adds one version with what it needs. */
int live_add_version(struct host *h, struct live *l,
		     const struct digest *version, struct err *err);

/* Bytes of each pack that are needed, its contents among them; by index into
 * packs, for the caller to free. NULL: no memory. */
uint64_t *live_pack_bytes(const struct live *l);
