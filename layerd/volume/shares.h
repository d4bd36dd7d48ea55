/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How many stored bytes each of several owners needs, and how many of them
 * nobody else does. Owners (volumes, versions) need layers, layers need chunks;
 * a chunk counts once, in however many layers and owners it occurs.
 *
 * Memory: 24 bytes for each chunk of each layer, grown by a quarter at a time
 * (10 million: at most 300 MB), 8 and a table slot for each layer of each
 * owner. Time: that of sorting the chunks.
 */

#include "util/digest.h"

#include <stddef.h>
#include <stdint.h>

struct shares;

struct shares *shares_new(void);
struct shares *shares_free(struct shares *s);
void shares_freep(struct shares **s);

/* That owner needs layer; 1 when this is new, 0 when it was said before. Both
 * are numbers that the caller gives out from 0. -ENOMEM. */
int shares_add_layer(struct shares *s, uint32_t owner, uint32_t layer);

/* That layer has a chunk of so many stored bytes. Repeating it is fine. -ENOMEM
 */
int shares_add_chunk(struct shares *s, uint32_t layer,
		     const struct digest *chunk, uint32_t stored);

struct share {
	uint64_t stored; /* what the owner needs */
	uint64_t unique; /* of that what no other owner needs */
};

/*
 * Fills ret for owners 0 to n - 1 and *ret_total with the bytes that all owners
 * need together. Chunks of layers that no owner needs do not count. Once only.
 */
int shares_finish(struct shares *s, struct share *ret, uint32_t n,
		  uint64_t *ret_total);
