/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One new layer in the making: entries go in, a layer in store and cache comes
 * out. Used by seals and by squashing. A draft is the index alone of the layer
 * that a seal would make: nothing is read or stored, and payloads are places in
 * a tarball that is never written.
 */

#include "cache/cache.h"
#include "format/erofs-writer.h"
#include "format/manifest.h"
#include "volume/host.h"
#include "volume/pipeline.h"

struct layer_build {
	struct host *host;
	struct cache_stage *stage;
	struct pipeline *pipeline; /* NULL: a draft */
	struct erofs_writer *writer;
	struct buf header;  /* scratch */
	uint64_t draft_end; /* of the tarball that is not written */
};

#define _cleanup_layer_build_ __attribute__((cleanup(layer_build_release)))
int layer_build_init(struct layer_build *b, struct host *h, struct err *err);
int layer_build_init_draft(struct layer_build *b, struct host *h,
			   struct err *err);
void layer_build_release(struct layer_build *b);

/*
 * Writes e's header to the tarball and sets e->payload to where its data will
 * be. The caller then writes entry_data_size(e) bytes and calls
 * layer_build_end_data(), or nothing for an entry without data, and finally
 * layer_build_index().
 */
int layer_build_header(struct layer_build *b, struct entry *e, struct err *err);
int layer_build_end_data(struct layer_build *b, const struct entry *e,
			 struct err *err);
int layer_build_index(struct layer_build *b, const struct entry *e,
		      struct err *err);

/* All three for an entry without data. */
int layer_build_add(struct layer_build *b, struct entry *e, struct err *err);

/*
 * Completes the layer: packs, places and layer object are durable in the store,
 * in this order, and the layer is complete in the cache. -ESTALE: start again,
 * see pipeline_finish().
 */
int layer_build_finish(struct layer_build *b, struct version_layer *ret,
		       uint64_t *ret_stored, struct err *err);

/* Writes the index of a draft to fd, from its start. */
int layer_build_finish_draft(struct layer_build *b, int fd, struct err *err);
