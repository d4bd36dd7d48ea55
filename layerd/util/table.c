/* SPDX-License-Identifier: Apache-2.0 */
#include "util/table.h"

#include "util/cleanup.h"

#include <errno.h>

struct table_slot {
	uint32_t hash;	/* upper half of the caller's hash */
	uint32_t index; /* index + 1; 0 is a free slot */
};

void table_release(struct table *t)
{
	free(t->slots);
	*t = TABLE_INIT;
}

uint32_t table_find(const struct table *t, uint64_t hash, const void *key,
		    table_equal_fn equal, void *ctx)
{
	uint32_t tag = (uint32_t)(hash >> 32);

	if (!t->capacity)
		return TABLE_NONE;
	for (size_t i = tag & (t->capacity - 1); t->slots[i].index;
	     i = (i + 1) & (t->capacity - 1))
		if (t->slots[i].hash == tag &&
		    equal(key, t->slots[i].index - 1, ctx))
			return t->slots[i].index - 1;
	return TABLE_NONE;
}

static void place(struct table_slot *slots, size_t capacity, uint32_t tag,
		  uint32_t index)
{
	size_t i = tag & (capacity - 1);

	while (slots[i].index)
		i = (i + 1) & (capacity - 1);
	slots[i].hash = tag;
	slots[i].index = index;
}

static int grow(struct table *t)
{
	size_t capacity = t->capacity ? t->capacity * 2 : 64;
	struct table_slot *slots = calloc(capacity, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->capacity; i++)
		if (t->slots[i].index)
			place(slots, capacity, t->slots[i].hash,
			      t->slots[i].index);
	free(t->slots);
	t->slots = slots;
	t->capacity = capacity;
	return 0;
}

int table_add(struct table *t, uint64_t hash, uint32_t index)
{
	if (t->used + t->used / 2 >= t->capacity) {
		int r = grow(t);

		if (r < 0)
			return r;
	}
	place(t->slots, t->capacity, (uint32_t)(hash >> 32), index + 1);
	t->used++;
	return 0;
}

uint64_t table_hash_int(uint64_t v)
{
	v ^= v >> 32;
	v *= 0xd6e8feb86659fd93ULL;
	v ^= v >> 32;
	v *= 0xd6e8feb86659fd93ULL;
	v ^= v >> 32;
	return v;
}

uint64_t table_hash(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325ULL;

	while (size--)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return table_hash_int(h);
}
