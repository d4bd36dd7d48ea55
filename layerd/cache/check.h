/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The cache looked at without belief, for checking it and for finding what the
 * store has lost. Nothing here changes the cache but cache_drop(). */

#include "cache/cache.h"

#include <stdatomic.h>

/* The layers that have a directory, whole or not; *ret is the caller's. */
int cache_list(struct cache *c, struct digest **ret, size_t *ret_n,
	       struct err *err);

/*
 * Whether a layer is what its marker says: the files those that it was made
 * for, the layer object of its digest, the index the object's, and with
 * read_data the tarball of its digest, which reads it. stop (may be NULL) ends
 * that: -ECANCELED. CACHE_E_MISSING: it is not there, or of another boot.
 * -EBADMSG with a sentence.
 */
int cache_check_layer(struct cache *c, const struct digest *tar, bool read_data,
		      const atomic_bool *stop, struct err *err);

/* Appends the layer object, as stored. True: it is there, and of its digest. */
bool cache_read_object(struct cache *c, const struct digest *tar,
		       const struct digest *object, struct buf *raw);

/* A descriptor of whatever stands for a layer's tarball, or a negative errno.
 * What is read from it must be checked. */
int cache_open_tar(struct cache *c, const struct digest *tar);

/* Takes a layer out of the cache; who has it open keeps it. */
int cache_drop(struct cache *c, const struct digest *tar, struct err *err);
