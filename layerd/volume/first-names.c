/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/first-names.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

void first_names_release(struct first_names *f)
{
	free(f->items);
	buf_release(&f->paths);
	table_release(&f->table);
	*f = (struct first_names){0};
}

static bool equal(const void *key, uint32_t index, void *ctx)
{
	const struct tree_part *want = key;
	const struct first_names *f = ctx;

	return f->items[index].part.layer == want->layer &&
	       f->items[index].part.nid == want->nid;
}

static int add(struct first_names *f, uint64_t hash,
	       const struct tree_part *part, const char *path)
{
	if (f->n == f->alloc) {
		size_t alloc = f->alloc ? f->alloc * 2 : 64;
		struct first_name *items;

		items = reallocarray(f->items, alloc, sizeof(*items));
		if (!items)
			return -ENOMEM;
		f->items = items;
		f->alloc = alloc;
	}
	f->items[f->n] =
		(struct first_name){.part = *part, .path = f->paths.size};
	if (buf_add(&f->paths, path, strlen(path) + 1) < 0)
		return -ENOMEM;
	return table_add(&f->table, hash, (uint32_t)f->n++);
}

int first_names_take(struct first_names *f, const struct tree_part *part,
		     const char *path, const char **ret)
{
	uint64_t hash =
		table_hash_int(part->nid * VERSION_LAYERS_MAX + part->layer);
	uint32_t found = table_find(&f->table, hash, part, equal, f);

	*ret = NULL;
	if (found == TABLE_NONE)
		return add(f, hash, part, path);
	*ret = (char *)f->paths.data + f->items[found].path;
	return 0;
}
