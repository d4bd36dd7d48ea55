/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From a tar stream to packs in the store:
 *
 *   emitter -> chunker -> [ workers: hash, look up, compress, cache ]
 *                      -> [ hasher: SHA-256 of the tarball, in order ]
 *                      -> [ packer: frames into packs, in order ]
 *                      -> [ closers: contents, fsync, publish a pack ]
 *
 * The emitter is the caller's thread; it blocks when the others are behind.
 * Memory is bounded by the ring of chunks in flight (PIPELINE_JOBS) and grows
 * by about 100 bytes for each chunk of the layer.
 */

#include "catalog/catalog.h"
#include "format/layer-object.h"
#include "format/places.h"
#include "store/store.h"
#include "util/digest.h"
#include "util/error.h"

#include <stddef.h>
#include <stdint.h>

#define PIPELINE_JOBS 48

struct pipeline;

/* tar_fd receives the stream, by pwrite; it stays the caller's. */
int pipeline_new(struct pipeline **ret, struct store *store,
		 struct catalog *catalog, int tar_fd, struct err *err);

/* Stops all threads; packs that were finished stay in the store and in the
 * catalog, so that the same seal finds their chunks again. */
struct pipeline *pipeline_free(struct pipeline *p);
void pipeline_freep(struct pipeline **p);

/* Appends a copy of data to the stream. */
int pipeline_write(struct pipeline *p, const void *data, size_t size,
		   struct err *err);
int pipeline_zeros(struct pipeline *p, size_t size, struct err *err);

/*
 * Appends without copying: the caller fills up to *ret_size bytes (at least
 * 64 KiB) at the returned address and says how many. NULL with err filled.
 */
void *pipeline_space(struct pipeline *p, size_t *ret_size, struct err *err);
int pipeline_advance(struct pipeline *p, size_t size, struct err *err);

/* A chunk boundary at this point. */
int pipeline_cut(struct pipeline *p, struct err *err);

/* A boundary, and waits until all up to it is in the tarball's file. */
int pipeline_flush(struct pipeline *p, struct err *err);

/* Bytes in the stream so far. */
uint64_t pipeline_offset(const struct pipeline *p);

/*
 * mark remembers this point of the stream and rewind goes back to the last
 * mark, as if nothing had been written since: for files that change while they
 * are read. rewind waits until no chunk is in flight.
 */
int pipeline_mark(struct pipeline *p, struct err *err);
int pipeline_rewind(struct pipeline *p, struct err *err);

struct pipeline_result {
	struct digest tar;
	uint64_t tar_size;
	struct layer_chunk *chunks;
	size_t n_chunks;
	struct places places;
	uint64_t stored; /* bytes of packs that were new */
};
void pipeline_result_release(struct pipeline_result *r);

/*
 * Ends the stream. All packs are durable then. -ESTALE: what the catalog knew
 * of the store is not so, as when a pack was lost; the catalog has been
 * corrected and the stream must be made again.
 */
int pipeline_finish(struct pipeline *p, struct pipeline_result *ret,
		    struct err *err);
