/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: an item's parent comes before it, the root is item 0. */
#include "volume/changes.h"

#include "util/cleanup.h"

#include <errno.h>

void changes_release(struct changes *c)
{
	free(c->items);
	buf_release(&c->names);
	*c = CHANGES_INIT;
}

int changes_add(struct changes *c, uint32_t parent, const char *name,
		enum change_kind kind, uint8_t flags, uint64_t captured,
		uint32_t *ret)
{
	size_t offset = c->names.size;
	struct change *items;

	if (c->n == c->alloc) {
		size_t n = c->alloc ? c->alloc + c->alloc / 2 : 256;

		items = reallocarray(c->items, n, sizeof(*items));
		if (!items)
			return -ENOMEM;
		c->items = items;
		c->alloc = n;
	}
	if (c->n >= CHANGE_NONE || offset > UINT32_MAX - 65536)
		return -EOVERFLOW;
	if (buf_add(&c->names, name, strlen(name) + 1) < 0)
		return -ENOMEM;
	c->items[c->n] = (struct change){
		.parent = parent,
		.name = (uint32_t)offset,
		.kind = (uint8_t)kind,
		.flags = flags & (uint8_t)~CHANGE_NEEDED,
		.captured = captured,
	};
	*ret = (uint32_t)c->n++;
	if (flags & CHANGE_NEEDED)
		changes_need(c, *ret);
	return 0;
}

void changes_need(struct changes *c, uint32_t item)
{
	for (; item != CHANGE_NONE; item = c->items[item].parent) {
		struct change *change = &c->items[item];

		if (change->flags & CHANGE_NEEDED)
			return;
		change->flags |= CHANGE_NEEDED;
		c->needed++;
		if (change->kind != CHANGE_DIRECTORY)
			c->changed++;
		if (change->flags & CHANGE_LINKED)
			c->has_links = true;
	}
}

int change_path(const struct changes *c, uint32_t item, struct buf *b)
{
	size_t size = 0;
	char *end;

	for (uint32_t i = item; c->items[i].parent != CHANGE_NONE;
	     i = c->items[i].parent)
		size += strlen(change_name(c, i)) + 1;
	b->size = 0;
	if (buf_reserve(b, size + 1) < 0)
		return -ENOMEM;
	b->size = size ? size - 1 : 0;
	end = (char *)b->data + b->size;
	*end = 0;
	for (uint32_t i = item; c->items[i].parent != CHANGE_NONE;
	     i = c->items[i].parent) {
		size_t n = strlen(change_name(c, i));

		end -= n;
		memcpy(end, change_name(c, i), n);
		if (end > (char *)b->data)
			*--end = '/';
	}
	return 0;
}
