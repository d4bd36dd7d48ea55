/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Keeps a version's stack of layers short: the small layers at its top become
 * one. Layers are joined from the top down as long as the next one is at most
 * twice as large as what was gathered; when that leaves little room for what
 * comes next, down to the lowest that is at most twice as large as all above
 * it. So a byte is rewritten once, and again only when the layer it is in grows
 * by half, and large bases stay as they are and stay shared.
 */

#include "format/manifest.h"
#include "volume/host.h"

/* The number of layers that stay when a stack is squashed. Pure. */
size_t squash_choose(const struct version_layer *layers, size_t n);

/* Replaces the layers above that by one; *n is how many there are. Blocks;
 * needs no mount. */
int squash_tail(struct host *h, struct version_layer *layers, size_t *n,
		const struct progress *progress, struct err *err);
