/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Brings the bytes of a tarball from the packs of a store. */

#include "cache/cache.h"
#include "format/places.h"

/*
 * Writes all chunks of the tarball that object describes to fd, each verified,
 * on as many threads as there are processors (8 at most), with about 6 MiB of
 * memory each. places has a row for each chunk; they are hints and checked.
 * -EBADMSG names layer, chunk and pack. The first error ends the others; one of
 * progress has no sentence. c is for sentences. Blocks.
 */
int fill_tar(struct cache *c, struct store *s,
	     const struct layer_object *object, const struct places *places,
	     int fd, cache_progress_fn progress, void *ctx, struct err *err);
