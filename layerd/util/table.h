/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A hash table from a 64-bit hash to indexes of an array that the caller keeps.
 * Eight bytes a slot; removal is not offered.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
	struct table_slot *slots;
	size_t used;
	size_t capacity;
};

#define TABLE_INIT                                                             \
	(struct table)                                                         \
	{                                                                      \
		0                                                              \
	}
#define TABLE_NONE UINT32_MAX

typedef bool (*table_equal_fn)(const void *key, uint32_t index, void *ctx);

void table_release(struct table *t);

/* The index whose entry equals key, or TABLE_NONE. */
uint32_t table_find(const struct table *t, uint64_t hash, const void *key,
		    table_equal_fn equal, void *ctx);

/* Adds index (below TABLE_NONE) under hash, without looking for an equal one.
 */
int table_add(struct table *t, uint64_t hash, uint32_t index);

/* A hash of bytes for use with the above (FNV-1a, then mixed). */
uint64_t table_hash(const void *data, size_t size);

/* Mixes an integer key into a hash. */
uint64_t table_hash_int(uint64_t v);
