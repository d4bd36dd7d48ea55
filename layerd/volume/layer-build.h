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
	enum archive_origin origin; /* of the tarball; ours by default */
	uint64_t memory_max;	    /* for the index; 0: no bound */
	uint64_t files;		    /* in the index, without directories */
	uint64_t draft_end;	    /* of the tarball that is not written */
	struct buf header;	    /* scratch */
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
 * layer_build_index(). That is -EINVAL where the index would take more than
 * memory_max.
 */
int layer_build_header(struct layer_build *b, struct entry *e, struct err *err);
int layer_build_end_data(struct layer_build *b, const struct entry *e,
			 struct err *err);
int layer_build_index(struct layer_build *b, const struct entry *e,
		      struct err *err);

/* Writes size bytes of data from another tarball's file. */
int layer_build_copy(struct layer_build *b, int tar_fd, uint64_t from,
		     uint64_t size, struct err *err);

/* All three for an entry without data. */
int layer_build_add(struct layer_build *b, struct entry *e, struct err *err);

/*
 * For a tarball that is taken over as it is: the caller wrote all of it to the
 * pipeline. Reads its entries from the cache and calls fn for each, which adds
 * them to the index, or not.
 */
int layer_build_read(struct layer_build *b, archive_entry_fn fn, void *ctx,
		     struct err *err);

/* Ends a tarball of our own making. */
int layer_build_end(struct layer_build *b, struct err *err);

/*
 * Completes the layer: packs, places and layer object are durable in the store,
 * in this order, and the layer is complete in the cache. -ESTALE: start again,
 * see pipeline_finish().
 */
int layer_build_finish(struct layer_build *b, struct version_layer *ret,
		       uint64_t *ret_stored, struct err *err);

/* Writes the index of a draft to fd, from its start. */
int layer_build_finish_draft(struct layer_build *b, int fd, struct err *err);
