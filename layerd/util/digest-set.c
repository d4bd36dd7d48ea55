/* SPDX-License-Identifier: Apache-2.0 */
#include "util/digest-set.h"

#include "util/cleanup.h"

#include <errno.h>

void digest_set_release(struct digest_set *s)
{
	free(s->items);
	table_release(&s->table);
	*s = (struct digest_set){0};
}

static bool item_is(const void *key, uint32_t index, void *ctx)
{
	const struct digest_set *s = ctx;

	return digest_equal(key, &s->items[index]);
}

uint32_t digest_set_find(const struct digest_set *s, const struct digest *d)
{
	return table_find(&s->table, digest_hash(d), d, item_is, (void *)s);
}

int digest_set_add(struct digest_set *s, const struct digest *d, uint32_t *ret)
{
	uint32_t i = digest_set_find(s, d);

	if (i != TABLE_NONE) {
		if (ret)
			*ret = i;
		return 0;
	}
	if (s->n == s->alloc) {
		size_t n = s->alloc ? s->alloc * 2 : 64;
		struct digest *items =
			reallocarray(s->items, n, sizeof(*items));

		if (!items)
			return -ENOMEM;
		s->items = items;
		s->alloc = n;
	}
	if (s->n >= TABLE_NONE ||
	    table_add(&s->table, digest_hash(d), (uint32_t)s->n) < 0)
		return -ENOMEM;
	s->items[s->n] = *d;
	if (ret)
		*ret = (uint32_t)s->n;
	s->n++;
	return 1;
}
