/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From an inode of an image to the entry it was made from: attributes lose
 * overlayfs's escapes and marks, chunk indexes become data runs.
 */

#include "format/erofs-object.h"

#include <errno.h>
#include <string.h>

void erofs_entry_buf_release(struct erofs_entry_buf *b)
{
	buf_release(&b->text);
	buf_release(&b->xattrs);
	buf_release(&b->extents);
	*b = (struct erofs_entry_buf){0};
}

/* One stored attribute. */
struct raw_xattr {
	const struct erofs_prefix *prefix;
	const char *name; /* behind the prefix */
	uint32_t name_length;
	const uint8_t *value;
	uint32_t value_size;
};

/* Takes the next attribute off p; false when it is not whole. */
static bool next_xattr(const uint8_t **p, uint32_t *left, struct raw_xattr *ret)
{
	struct erofs_xattr head;
	uint32_t size, used;

	if (*left < sizeof(head))
		return false;
	memcpy(&head, *p, sizeof(head));
	*ret = (struct raw_xattr){
		.prefix = erofs_prefix_at(head.index),
		.name = (const char *)*p + sizeof(head),
		.name_length = head.name_length,
		.value = *p + sizeof(head) + head.name_length,
		.value_size = le16toh(head.value_size),
	};
	size = erofs_xattr_size(ret->name_length, ret->value_size);
	used = (uint32_t)sizeof(head) + ret->name_length + ret->value_size;
	if (!ret->prefix || size > *left ||
	    !erofs_is_zero(*p + used, size - used) ||
	    memchr(ret->name, 0, ret->name_length) ||
	    ret->prefix->exact != !ret->name_length)
		return false;
	*p += size;
	*left -= size;
	return true;
}

static bool is_mark(const struct raw_xattr *x, const char *mark)
{
	return x->name_length == strlen(mark) &&
	       memcmp(x->name, mark, x->name_length) == 0;
}

enum xattr_kind {
	XATTR_PLAIN,
	XATTR_MARK, /* was taken note of in the entry */
	XATTR_BAD,
};

/* Takes note of marks, removes the escape of nested overlayfs attributes. */
static enum xattr_kind sort_out(struct erofs_entry_buf *b, struct raw_xattr *x)
{
	struct entry *e = &b->entry;

	if (x->prefix->index != EROFS_XATTR_TRUSTED ||
	    x->name_length < EROFS_OVERLAY_LENGTH ||
	    memcmp(x->name, EROFS_OVERLAY, EROFS_OVERLAY_LENGTH) != 0)
		return XATTR_PLAIN;
	if (S_ISDIR(e->mode) && is_mark(x, EROFS_MARK_OPAQUE) &&
	    x->value_size == 1 && *x->value == 'y' && !b->origin &&
	    !(e->flags & ENTRY_OPAQUE)) {
		e->flags |= ENTRY_OPAQUE;
		return XATTR_MARK;
	}
	if (S_ISDIR(e->mode) && is_mark(x, EROFS_MARK_ORIGIN) &&
	    x->value_size == 0 && !b->origin) {
		b->origin = true;
		return XATTR_MARK;
	}
	x->name += EROFS_OVERLAY_LENGTH;
	x->name_length -= EROFS_OVERLAY_LENGTH;
	if (x->name_length < EROFS_OVERLAY_LENGTH ||
	    memcmp(x->name, EROFS_OVERLAY, EROFS_OVERLAY_LENGTH) != 0)
		return XATTR_BAD;
	return XATTR_PLAIN;
}

/* Appends x; its name is an offset in text until all are there. */
static int add_xattr(struct erofs_entry_buf *b, const struct raw_xattr *x)
{
	struct xattr out = {
		.name = (const char *)(uintptr_t)b->text.size,
		.value = x->value,
		.size = x->value_size,
	};

	if (buf_add(&b->text, x->prefix->text, x->prefix->length) < 0 ||
	    buf_add(&b->text, x->name, x->name_length) < 0 ||
	    buf_add_zero(&b->text, 1) < 0)
		return -ENOMEM;
	return buf_add(&b->xattrs, &out, sizeof(out));
}

static int read_xattrs(const struct erofs_view *v, const struct erofs_object *o,
		       struct erofs_entry_buf *b, struct err *err)
{
	const uint8_t *p =
		v->data + o->nid * EROFS_SLOT + sizeof(struct erofs_inode);
	uint32_t left = o->xattr_bytes - EROFS_XATTR_HEADER;
	struct xattr *list;
	size_t n = 0;

	if (!left || !erofs_is_zero(p, EROFS_XATTR_HEADER))
		return erofs_damaged(err, o->nid, "shares attributes");
	p += EROFS_XATTR_HEADER;
	while (left) {
		struct raw_xattr x;
		enum xattr_kind kind;

		if (!next_xattr(&p, &left, &x))
			return erofs_damaged(err, o->nid,
					     "has a broken attribute");
		kind = sort_out(b, &x);
		if (kind == XATTR_MARK && n == 0)
			continue;
		if (kind != XATTR_PLAIN || n == ENTRY_XATTRS_MAX ||
		    x.prefix->length + x.name_length > ENTRY_NAME_MAX)
			return erofs_damaged(err, o->nid,
					     "has an attribute that overlayfs "
					     "would act on, or too many");
		if (add_xattr(b, &x) < 0)
			return err_oom(err);
		n++;
	}
	list = (struct xattr *)b->xattrs.data;
	for (size_t i = 0; i < n; i++) {
		list[i].name = (char *)b->text.data + (uintptr_t)list[i].name;
		if (i && strcmp(list[i - 1].name, list[i].name) >= 0)
			return erofs_damaged(err, o->nid,
					     "has attributes out of order");
	}
	b->entry.xattrs = list;
	b->entry.n_xattrs = n;
	return 0;
}

/* Adds a chunk of data to the last run or starts one. */
static int add_run(struct buf *extents, uint64_t offset, uint64_t length)
{
	struct extent x = {offset, length};

	if (extents->size) {
		struct extent *last =
			(struct extent *)(extents->data + extents->size) - 1;

		if (last->offset + last->length == offset) {
			last->length += length;
			return 0;
		}
	}
	return buf_add(extents, &x, sizeof(x));
}

static int read_chunks(const struct erofs_view *v, const struct erofs_object *o,
		       struct erofs_entry_buf *b, struct err *err)
{
	uint64_t unit = (uint64_t)EROFS_BLOCK << o->chunk_bits;
	uint64_t first = 0, data = 0;
	struct entry *e = &b->entry;

	for (uint64_t i = 0; i < o->n_chunks; i++) {
		uint64_t offset = i * unit;
		uint64_t length = MIN(unit, o->size - offset);
		struct erofs_chunk c;
		uint64_t block;

		memcpy(&c, o->inline_data + i * sizeof(c), sizeof(c));
		block = le32toh(c.block);
		if (c.advise ||
		    le16toh(c.device) != (block != EROFS_NULL_BLOCK))
			return erofs_damaged(err, o->nid,
					     "has a chunk of another device");
		if (block == EROFS_NULL_BLOCK)
			continue;
		if (data == 0)
			first = block;
		if (block != first + data / EROFS_BLOCK ||
		    block + (length + EROFS_BLOCK - 1) / EROFS_BLOCK >
			    v->tar_blocks)
			return erofs_damaged(err, o->nid,
					     "has data out of order or "
					     "beyond the tarball");
		data += length;
		if (add_run(&b->extents, offset, length) < 0)
			return err_oom(err);
	}
	e->payload = first * EROFS_BLOCK;
	e->sparse = data != o->size;
	if (e->sparse) {
		e->extents = (struct extent *)b->extents.data;
		e->n_extents = b->extents.size / sizeof(struct extent);
	}
	if (o->chunk_bits !=
	    erofs_chunk_bits(o->size, e->sparse, e->extents, e->n_extents))
		return erofs_damaged(err, o->nid, "has the wrong chunk size");
	return 0;
}

static int read_target(const struct erofs_view *v, const struct erofs_object *o,
		       struct erofs_entry_buf *b, struct err *err)
{
	uint64_t stored = o->flat.blocks * EROFS_BLOCK;
	const uint8_t *p = o->inline_data;

	if (stored) {
		p = v->data + (uint64_t)o->block * EROFS_BLOCK;
		if (!erofs_is_zero(p + o->size, stored - o->size))
			return erofs_damaged(err, o->nid,
					     "has bytes behind its target");
	}
	if (memchr(p, 0, o->size))
		return erofs_damaged(err, o->nid, "has a NUL in its target");
	/* Attribute names are behind it by offset, which must not move. */
	if (buf_add(&b->text, p, o->size) < 0 || buf_add_zero(&b->text, 1) < 0)
		return err_oom(err);
	return 0;
}

int erofs_object_entry(const struct erofs_view *v, const struct erofs_object *o,
		       const char *path, struct erofs_entry_buf *b,
		       struct err *err)
{
	struct entry *e = &b->entry;
	int r = 0;

	b->text.size = 0;
	b->xattrs.size = 0;
	b->extents.size = 0;
	b->origin = false;
	*e = (struct entry){
		.path = path,
		.mode = o->mode,
		.uid = o->uid,
		.gid = o->gid,
		.mtime = o->mtime,
		.mtime_nsec = o->mtime_nsec,
		.rdev_major = o->rdev >> 8 & EROFS_MAJOR_MAX,
		.rdev_minor = (o->rdev & 0xff) | (o->rdev >> 12 & 0xfff00),
	};
	if (erofs_object_is_whiteout(o))
		e->flags = ENTRY_WHITEOUT;
	if (S_ISREG(o->mode)) {
		e->size = o->size;
		if (o->size)
			r = read_chunks(v, o, b, err);
	} else if (S_ISLNK(o->mode)) {
		r = read_target(v, o, b, err);
	}
	if (r < 0)
		return r;
	if (o->xattr_bytes) {
		r = read_xattrs(v, o, b, err);
		if (r < 0)
			return r;
	}
	if (S_ISLNK(o->mode))
		e->target = (const char *)b->text.data;
	return 0;
}
