/* SPDX-License-Identifier: Apache-2.0 */
#include "format/erofs-directory.h"

#include <errno.h>
#include <string.h>

int erofs_directory_read(const struct erofs_view *v, uint64_t nid,
			 struct erofs_object *ret, struct err *err)
{
	int r = erofs_object_read(v, nid, ret, err);

	if (r == 0 && !S_ISDIR(ret->mode))
		r = erofs_damaged(err, nid, "is not a directory");
	return r;
}

/* The block by its first name, then the name. */
int erofs_directory_find(const struct erofs_view *v,
			 const struct erofs_object *directory, const char *name,
			 size_t length, struct erofs_item *ret, struct err *err)
{
	uint64_t low = 0, high = erofs_block_count(directory);
	struct erofs_block b = {0};
	int r;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct erofs_block m;
		struct erofs_item item;

		r = erofs_block_read(v, directory, middle, &m, err);
		if (r < 0)
			return r;
		item = erofs_block_item(&m, 0);
		if (erofs_name_compare(item.name, item.length, name, length) >
		    0) {
			high = middle;
		} else {
			b = m;
			low = middle + 1;
		}
	}
	for (uint32_t i = 0; i < b.n; i++) {
		*ret = erofs_block_item(&b, i);
		if (ret->length == length &&
		    memcmp(ret->name, name, length) == 0)
			return 0;
	}
	return -ENOENT;
}

bool erofs_directory_is_dots(const char *name, size_t length)
{
	return name[0] == '.' &&
	       (length == 1 || (length == 2 && name[1] == '.'));
}

int erofs_cursor_open(struct erofs_cursor *c, const struct erofs_view *v,
		      uint64_t nid, struct err *err)
{
	*c = (struct erofs_cursor){.view = v};
	return erofs_directory_read(v, nid, &c->directory, err);
}

static int next_block(struct erofs_cursor *c, struct err *err)
{
	int r;

	if (c->next_block == erofs_block_count(&c->directory))
		return 0;
	r = erofs_block_read(c->view, &c->directory, c->next_block, &c->block,
			     err);
	if (r < 0)
		return r;
	c->next_block++;
	c->next_item = 0;
	return 1;
}

int erofs_cursor_next(struct erofs_cursor *c, struct err *err)
{
	do {
		struct erofs_item item;

		if (c->next_item == c->block.n) {
			int r = next_block(c, err);

			if (r <= 0)
				return r;
		}
		item = erofs_block_item(&c->block, c->next_item++);
		if (c->item.name &&
		    erofs_name_compare(c->item.name, c->item.length, item.name,
				       item.length) >= 0)
			return erofs_damaged(err, c->directory.nid,
					     "is a directory out of order");
		c->item = item;
	} while (erofs_directory_is_dots(c->item.name, c->item.length));
	return 1;
}
