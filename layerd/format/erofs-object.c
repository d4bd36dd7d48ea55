/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Single inodes and directory blocks of an image. Offsets are 64 bits wide and
 * compared by subtraction, so that no sum of hostile values can wrap.
 */

#include "format/erofs-object.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int erofs_damaged(struct err *err, uint64_t nid, const char *what)
{
	return err_set(err, EBADMSG,
		       "the index is damaged or not ours: inode %" PRIu64
		       " %s; remove it from the cache to have it fetched again",
		       nid, what);
}

bool erofs_is_zero(const uint8_t *p, uint64_t size)
{
	for (uint64_t i = 0; i < size; i++)
		if (p[i])
			return false;
	return true;
}

/* Whether size bytes from offset on are in the image. */
static bool within(const struct erofs_view *v, uint64_t offset, uint64_t size)
{
	return offset <= v->size && size <= v->size - offset;
}

static int read_flat(const struct erofs_view *v, struct erofs_object *o,
		     unsigned layout, uint32_t u, uint64_t at, struct err *err)
{
	uint64_t start = (uint64_t)u * EROFS_BLOCK;
	uint64_t bytes;

	if (o->size == 0 || (S_ISLNK(o->mode) && o->size > ENTRY_TARGET_MAX))
		return erofs_damaged(err, o->nid, "has an impossible size");
	if (o->size > v->size)
		return erofs_damaged(err, o->nid, "is larger than the image");
	o->flat = erofs_flat(o->mode, o->size, o->xattr_bytes);
	o->block = u;
	if (layout != (o->flat.tail ? EROFS_FLAT_INLINE : EROFS_FLAT_PLAIN))
		return erofs_damaged(err, o->nid, "has the wrong layout");
	if (!within(v, at, o->flat.tail) ||
	    at % EROFS_BLOCK + o->flat.tail > EROFS_BLOCK)
		return erofs_damaged(err, o->nid,
				     "has inline data across a block");
	o->inline_data = v->data + at;
	o->end = at + o->flat.tail;
	bytes = o->flat.blocks * EROFS_BLOCK;
	if (bytes == 0)
		return u ? erofs_damaged(err, o->nid, "has a stray block") : 0;
	if (u == 0 || !within(v, start, bytes))
		return erofs_damaged(err, o->nid,
				     "has blocks outside of the image");
	return 0;
}

static int read_chunked(const struct erofs_view *v, struct erofs_object *o,
			unsigned layout, uint32_t u, uint64_t at,
			struct err *err)
{
	uint64_t start = erofs_align(at, sizeof(struct erofs_chunk));

	if (o->size > INT64_MAX)
		return erofs_damaged(err, o->nid, "has an impossible size");
	if (o->size == 0) {
		if (layout != EROFS_FLAT_PLAIN || u)
			return erofs_damaged(err, o->nid,
					     "is empty and has data");
		return 0;
	}
	if (layout != EROFS_CHUNK_BASED ||
	    u & ~(EROFS_CHUNK_INDEXES | EROFS_CHUNK_BITS_MAX) ||
	    !(u & EROFS_CHUNK_INDEXES))
		return erofs_damaged(err, o->nid, "has the wrong layout");
	o->chunk_bits = u & EROFS_CHUNK_BITS_MAX;
	o->n_chunks = ((o->size - 1) >> EROFS_BLOCK_BITS >> o->chunk_bits) + 1;
	if (o->n_chunks > ENTRY_CHUNKS_MAX ||
	    !within(v, start, o->n_chunks * sizeof(struct erofs_chunk)))
		return erofs_damaged(err, o->nid,
				     "has chunks outside of the image");
	if (!erofs_is_zero(v->data + at, start - at))
		return erofs_damaged(err, o->nid, "has bytes in a gap");
	o->inline_data = v->data + start;
	o->end = start + o->n_chunks * sizeof(struct erofs_chunk);
	return 0;
}

static int read_special(struct erofs_object *o, unsigned layout, uint32_t u,
			struct err *err)
{
	if (layout != EROFS_FLAT_PLAIN || o->size)
		return erofs_damaged(err, o->nid, "has data and is no file");
	if (S_ISFIFO(o->mode) && u)
		return erofs_damaged(err, o->nid,
				     "is a fifo with a device number");
	o->rdev = u;
	/* A whiteout is nothing but its name. */
	if (erofs_object_is_whiteout(o) &&
	    (o->mode != S_IFCHR || o->uid || o->gid || o->mtime ||
	     o->mtime_nsec || o->nlink != 1 || o->xattr_bytes))
		return erofs_damaged(err, o->nid,
				     "is a whiteout with attributes");
	return 0;
}

int erofs_object_read(const struct erofs_view *v, uint64_t nid,
		      struct erofs_object *ret, struct err *err)
{
	struct erofs_inode disk;
	unsigned layout;
	uint64_t at;

	if (nid < EROFS_FIRST_NID || nid > v->size / EROFS_SLOT ||
	    !within(v, nid * EROFS_SLOT, sizeof(disk)))
		return erofs_damaged(err, nid, "is outside of the image");
	at = nid * EROFS_SLOT;
	memcpy(&disk, v->data + at, sizeof(disk));
	at += sizeof(disk);
	*ret = (struct erofs_object){
		.nid = nid,
		.mode = le16toh(disk.mode),
		.uid = le32toh(disk.uid),
		.gid = le32toh(disk.gid),
		.nlink = le32toh(disk.nlink),
		.mtime = (int64_t)le64toh(disk.mtime),
		.mtime_nsec = le32toh(disk.mtime_nsec),
		.size = le64toh(disk.size),
	};
	layout = le16toh(disk.format) >> 1;
	if (le16toh(disk.format) != EROFS_FORMAT(layout) || disk.reserved ||
	    disk.ino || !erofs_is_zero(disk.reserved2, sizeof(disk.reserved2)))
		return erofs_damaged(err, nid, "is of an unknown format");
	if (!erofs_file_type(ret->mode) || ret->mtime_nsec >= 1000000000 ||
	    ret->nlink == 0)
		return erofs_damaged(err, nid,
				     "has an impossible mode, time or link "
				     "count");
	if (disk.xattr_count) {
		ret->xattr_bytes = EROFS_XATTR_HEADER +
				   4 * (le16toh(disk.xattr_count) - 1u);
		if (!within(v, at, ret->xattr_bytes))
			return erofs_damaged(err, nid,
					     "has attributes outside of the "
					     "image");
	}
	at += ret->xattr_bytes;
	ret->end = at;
	if (S_ISDIR(ret->mode) || S_ISLNK(ret->mode))
		return read_flat(v, ret, layout, le32toh(disk.u), at, err);
	if (S_ISREG(ret->mode))
		return read_chunked(v, ret, layout, le32toh(disk.u), at, err);
	return read_special(ret, layout, le32toh(disk.u), err);
}

uint64_t erofs_block_count(const struct erofs_object *directory)
{
	return directory->flat.blocks + !!directory->flat.tail;
}

struct erofs_item erofs_block_item(const struct erofs_block *b, uint32_t i)
{
	struct erofs_dirent d[2];
	uint32_t at, end = b->used;

	memcpy(&d[0], b->data + i * sizeof(d[0]), sizeof(d[0]));
	if (i + 1 < b->n) {
		memcpy(&d[1], b->data + (i + 1) * sizeof(d[0]), sizeof(d[0]));
		end = le16toh(d[1].name_offset);
	}
	at = le16toh(d[0].name_offset);
	return (struct erofs_item){
		.name = (const char *)b->data + at,
		.length = end - at,
		.type = d[0].type,
		.nid = le64toh(d[0].nid),
	};
}

/* Whether the names follow one another and the last ends at used. */
static bool names_are_whole(const struct erofs_block *b)
{
	uint32_t before = b->n * (uint32_t)sizeof(struct erofs_dirent);

	for (uint32_t i = 0; i < b->n; i++) {
		struct erofs_dirent d;
		uint32_t at;

		memcpy(&d, b->data + i * sizeof(d), sizeof(d));
		at = le16toh(d.name_offset);
		if (d.reserved || at >= b->used)
			return false;
		if (i == 0 ? at != before
			   : at <= before || at - before > ENTRY_NAME_MAX)
			return false;
		before = at;
	}
	if (b->used - before > ENTRY_NAME_MAX)
		return false;
	before = b->n * (uint32_t)sizeof(struct erofs_dirent);
	return !memchr(b->data + before, 0, b->used - before) &&
	       !memchr(b->data + before, '/', b->used - before);
}

int erofs_block_read(const struct erofs_view *v,
		     const struct erofs_object *directory, uint64_t index,
		     struct erofs_block *ret, struct err *err)
{
	bool last = index + 1 == erofs_block_count(directory);
	uint64_t size =
		last ? directory->size - index * EROFS_BLOCK : EROFS_BLOCK;
	uint32_t stored = EROFS_BLOCK;
	struct erofs_dirent d;
	struct erofs_block b;

	if (index < directory->flat.blocks) {
		b.data = v->data +
			 (directory->block + index) * (uint64_t)EROFS_BLOCK;
	} else {
		b.data = directory->inline_data;
		stored = directory->flat.tail;
	}
	if (size <= sizeof(d))
		return erofs_damaged(err, directory->nid,
				     "is a directory with a short block");
	memcpy(&d, b.data, sizeof(d));
	b.n = le16toh(d.name_offset) / sizeof(d);
	b.used = (uint32_t)size;
	if (!last)
		while (b.used && !b.data[b.used - 1])
			b.used--;
	if (b.n == 0 || b.n > EROFS_BLOCK_NAMES || !names_are_whole(&b) ||
	    !erofs_is_zero(b.data + b.used, stored - b.used))
		return erofs_damaged(err, directory->nid,
				     "is a directory with a broken block");
	*ret = b;
	return 0;
}
