/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What this host holds of the store: for each layer a directory
 * cache/<tar hex>/ with
 *   tar      the tarball, which EROFS mounts read directly
 *   index    its EROFS image, uncompressed, checked by our reader
 *   layer    the layer object, as stored
 *   present  what of the tarball is there; present.h has the byte table
 * Always safe to delete as a whole when nothing is mounted.
 *
 * Invariants
 *  1. A layer directory appears under its digest only when tar, index and layer
 *     were verified against the digests (or made from the data at a seal).
 *  2. "present" says complete-in-this-boot with the kernel's boot id, or
 *     complete-and-synced. A layer that is only the former is worth nothing
 *     after a reboot and is dropped when it is opened then.
 *  3. A tarball or an index that is not the very file that the marker was made
 *     for (by inode number and ctime) is not believed: layers can be swapped or
 *     copied over by hand, and a mount would show wrong bytes.
 *  4. Unfinished work is in cache/stage-* and is removed when the cache is
 *     opened.
 */

#include "format/layer-object.h"
#include "store/store.h"
#include "util/buf.h"
#include "util/digest.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

struct cache;

/* Opens (creating) the cache directory at path. One process at a time. */
int cache_open(struct cache **ret, const char *path, struct err *err);
struct cache *cache_free(struct cache *c);
void cache_freep(struct cache **c);
const char *cache_path(const struct cache *c);

/* A layer that is wholly in the cache. The descriptors are O_RDONLY and stay
 * valid if the layer is evicted. Two layer objects can describe one tarball and
 * differ in their index: a caller that was given a pinned object compares, and
 * lets cache_fill() replace what is there. */
struct cache_layer {
	struct digest tar;
	struct digest object;
	uint64_t tar_size;
	int tar_fd;
	int index_fd;
};
#define CACHE_LAYER_INIT                                                       \
	(struct cache_layer)                                                   \
	{                                                                      \
		.tar_fd = -1, .index_fd = -1                                   \
	}
#define _cleanup_cache_layer_ __attribute__((cleanup(cache_layer_release)))
void cache_layer_release(struct cache_layer *l);

/*
 * Opens a complete layer. CACHE_E_MISSING: it is not in the cache (or what is
 * there cannot be believed and was removed). Reads the marker and compares the
 * files' sizes, inode numbers and ctimes with it; does not read the data.
 */
#define CACHE_E_MISSING 1
int cache_layer_open(struct cache *c, const struct digest *tar,
		     struct cache_layer *ret, struct err *err);

/* Called now and then with bytes done and to do. A negative result stops. */
typedef int (*cache_progress_fn)(uint64_t done, uint64_t total, void *ctx);

/*
 * Brings a whole layer from the store: layer object (checked against object),
 * index (checked by erofs_reader_check()), chunks (each verified), on several
 * threads; the places are only hints and a damaged pack is an error that names
 * layer, chunk and pack. One layer is filled once at a time; concurrent callers
 * wait for it. A layer that is complete already is left alone, unless it was
 * made from another layer object: then nothing of it is believed and it is
 * replaced.
 */
int cache_fill(struct cache *c, struct store *s, const struct digest *tar,
	       const struct digest *object, cache_progress_fn progress,
	       void *ctx, struct err *err);

/* The layer object from cache or store, checked against its digest and that it
 * describes tar. index may be NULL. */
int cache_get_object(struct cache *c, struct store *s, const struct digest *tar,
		     const struct digest *object, struct layer_object *ret,
		     struct buf *index, struct err *err);

/*
 * A layer that is being sealed on this host: the seal writes tar_fd and
 * index_fd, then publishes with the encoded layer object. Publishing a layer
 * that is there already with the same layer object drops the stage. The layer
 * is complete in this boot; cache_sync_layer() makes it durable, in the
 * background.
 */
struct cache_stage {
	struct cache *cache;
	char name[64];
	int dir_fd;
	int tar_fd;
	int index_fd;
};
int cache_stage_new(struct cache *c, struct cache_stage **ret, struct err *err);
int cache_stage_publish(struct cache_stage *s, const struct digest *tar,
			uint64_t tar_size, const struct buf *object,
			struct err *err);
struct cache_stage *cache_stage_free(struct cache_stage *s);
void cache_stage_freep(struct cache_stage **s);

/* Syncs a complete layer and marks it so. */
int cache_sync_layer(struct cache *c, const struct digest *tar,
		     struct err *err);

/* Calls fn for each layer that is there, believed or not, with its bytes on
 * disk. */
typedef int (*cache_fn)(const struct digest *tar, uint64_t bytes, void *ctx);
int cache_each(struct cache *c, cache_fn fn, void *ctx, struct err *err);

/* Removes a layer; a missing one is fine. Who has it open or mounted goes on
 * reading. *ret_bytes: what it had on disk. */
int cache_remove_layer(struct cache *c, const struct digest *tar,
		       uint64_t *ret_bytes, struct err *err);

/* Bytes and number of layers in the cache, complete ones. */
int cache_totals(struct cache *c, uint64_t *ret_layers, uint64_t *ret_bytes,
		 struct err *err);
