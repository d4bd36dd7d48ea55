/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The whole image is walked as the writer laid it out, and the place of each
 * thing is computed again. The place of the first block is not known before
 * the end of the inodes, so it is believed first and checked last.
 */

#include "format/erofs-check.h"

#include "format/erofs-walk.h"

#include <errno.h>
#include <inttypes.h>

struct check {
	const struct erofs_view *view;
	uint64_t cursor;      /* end of the last inode */
	uint64_t first_block; /* 0: none yet */
	uint64_t next_block;
	uint64_t inodes;
};

static int check_place(const struct entry *e, const struct erofs_object *o,
		       bool first, void *ctx, struct err *err)
{
	struct check *c = ctx;
	uint64_t at = o->nid * EROFS_SLOT;

	if (!first)
		return 0;
	if (at != erofs_place(c->cursor, o->xattr_bytes, o->flat.tail))
		return erofs_damaged(err, o->nid,
				     "is not where it belongs, or has two "
				     "names and one link");
	if (!erofs_is_zero(c->view->data + c->cursor, at - c->cursor))
		return erofs_damaged(err, o->nid, "has bytes in front of it");
	if (o->flat.blocks) {
		if (!c->first_block)
			c->first_block = c->next_block = o->block;
		if (o->block != c->next_block)
			return erofs_damaged(err, o->nid,
					     "has blocks that are not where "
					     "they belong");
		c->next_block += o->flat.blocks;
	}
	c->cursor = o->end;
	c->inodes++;
	return 0;
}

int erofs_check(const struct erofs_view *v, const struct erofs_head *head,
		struct err *err)
{
	struct check c = {.view = v, .cursor = EROFS_HEAD_SIZE};
	struct erofs_object root;
	uint64_t base, end;
	int r;

	r = erofs_object_read(v, v->root_nid, &root, err);
	if (r < 0)
		return r;
	if (!S_ISDIR(root.mode))
		return erofs_damaged(err, root.nid,
				     "is the root and not a directory");
	r = erofs_walk(v, v->root_nid, v->root_nid, "", true, false,
		       check_place, &c, err);
	if (r < 0)
		return r;
	base = erofs_align(c.cursor, EROFS_BLOCK);
	if (c.first_block && c.first_block != base / EROFS_BLOCK)
		return err_set(err, EBADMSG,
			       "the index is damaged or not ours: its first "
			       "block is %" PRIu64 " and should be %" PRIu64,
			       c.first_block, base / EROFS_BLOCK);
	end = c.first_block ? c.next_block * EROFS_BLOCK : base;
	if (c.inodes != head->inodes ||
	    erofs_align(end, EROFS_IMAGE_ALIGN) != v->size)
		return err_set(err, EBADMSG,
			       "the index is damaged or not ours: its "
			       "superblock says %" PRIu64 " inodes in %" PRIu64
			       " bytes, found are %" PRIu64 " in %" PRIu64,
			       head->inodes, v->size, c.inodes,
			       erofs_align(end, EROFS_IMAGE_ALIGN));
	if (!erofs_is_zero(v->data + c.cursor, base - c.cursor) ||
	    !erofs_is_zero(v->data + end, v->size - end))
		return err_set(err, EBADMSG,
			       "the index is damaged or not ours: there are "
			       "bytes where nothing belongs");
	return 0;
}
