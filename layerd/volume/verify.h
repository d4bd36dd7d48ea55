/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Checks a layer in the store, from its packs to its index. */

#include "volume/host.h"

struct verified {
	uint64_t tar_size;
	uint64_t chunks;
	uint64_t packs;
	uint64_t entries;
};

/*
 * Reads every chunk from the store (not from the cache), checks it and the
 * tarball's digest, makes the index anew from the tarball alone and compares
 * it. -EBADMSG says what is wrong with which object. Blocks.
 */
int layer_verify(struct host *h, const struct digest *tar,
		 const struct digest *object, const struct progress *progress,
		 struct verified *ret, struct err *err);
