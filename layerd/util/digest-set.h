/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Digests, each once, numbered in the order in which they were added. About
 * 48 bytes for each. */

#include "util/digest.h"
#include "util/table.h"

#include <stdbool.h>

struct digest_set {
	struct digest *items;
	size_t n;
	size_t alloc;
	struct table table;
};

#define _cleanup_digest_set_ __attribute__((cleanup(digest_set_release)))
void digest_set_release(struct digest_set *s);

/* The number of d, or TABLE_NONE. */
uint32_t digest_set_find(const struct digest_set *s, const struct digest *d);

/* Adds d unless it is there. 1 when it is new, 0, or -ENOMEM. *ret (may be
 * NULL) is its number. */
int digest_set_add(struct digest_set *s, const struct digest *d, uint32_t *ret);

static inline bool digest_set_has(const struct digest_set *s,
				  const struct digest *d)
{
	return digest_set_find(s, d) != TABLE_NONE;
}
