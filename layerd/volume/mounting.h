/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Mounts of versions and sessions: from layers to overlays. DESIGN section 5.
 */

#include "format/manifest.h"
#include "volume/host.h"
#include "volume/session.h"

/*
 * Brings layers into the cache and mounts them, with upper and work (NULL for
 * read-only) on top. *ret_fd is a detached mount.
 */
int mounting_make(struct host *h, const struct version_layer *layers, size_t n,
		  const char *source, const char *upper, const char *work,
		  bool restricted, const struct progress *progress, int *ret_fd,
		  struct err *err);

/* Opens a layer in the cache, bringing it there first if need be. */
int mounting_open_layer(struct host *h, const struct version_layer *layer,
			const struct progress *progress,
			struct cache_layer *ret, struct err *err);

/*
 * Unmounts the EROFS images that no session and no recorded mount uses. Nobody
 * has to at the end of a mount: whoever mounts the version again soon finds its
 * files in memory.
 */
int mounting_sweep(struct host *h, struct err *err);
