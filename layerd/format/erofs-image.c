/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From tree to image in three passes over the names in path order: the layout
 * gives each inode its place, the second writes inodes, the third the blocks of
 * directories and long symbolic links. Output only moves forward, so an inode
 * or a block whose place is behind it was written under an earlier name.
 */

#include "format/erofs-image.h"

#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <string.h>

#define OUT_SIZE (1u << 20)

struct image {
	struct erofs_tree *tree;
	struct erofs_head *head;
	uint64_t block_base; /* offset of the first block behind the inodes */

	int fd;
	uint8_t *out;
	size_t used;
	uint64_t written; /* bytes of the file before out */
	struct err *err;
};

static int flush(struct image *im)
{
	int r = pwrite_full(im->fd, im->out, im->used, im->written);

	if (r < 0)
		return err_errno(im->err, r, "cannot write a layer's index");
	im->written += im->used;
	im->used = 0;
	return 0;
}

/* Appends size bytes of data, or zeros without data. */
static int put(struct image *im, const void *data, uint64_t size)
{
	const uint8_t *from = data;

	while (size) {
		size_t n = MIN(size, (uint64_t)(OUT_SIZE - im->used));

		if (from) {
			memcpy(im->out + im->used, from, n);
			from += n;
		} else {
			memset(im->out + im->used, 0, n);
		}
		im->used += n;
		size -= n;
		if (im->used == OUT_SIZE) {
			int r = flush(im);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static uint64_t position(const struct image *im)
{
	return im->written + im->used;
}

static int put_zeros_to(struct image *im, uint64_t to)
{
	return put(im, NULL, to - position(im));
}

/* The names of a directory in order, "." and ".." in their places. */
struct names {
	const struct erofs_tree *tree;
	uint32_t directory; /* a name */
	uint32_t child;
	unsigned dots; /* of "." and "..", how many were given */
};

struct name {
	const char *text;
	size_t length;
	const struct erofs_node *node;
};

static bool peek_name(const struct names *names, struct name *ret, bool *dots)
{
	const struct erofs_tree *t = names->tree;
	struct name child;

	if (names->child != EROFS_TREE_NONE) {
		child.text = erofs_tree_text(t, names->child, &child.length);
		child.node = erofs_tree_node(t, names->child);
	}
	*dots = names->dots < 2 &&
		(names->child == EROFS_TREE_NONE ||
		 erofs_name_compare("..", names->dots + 1, child.text,
				    child.length) < 0);
	if (*dots) {
		uint32_t parent = t->names[names->directory].parent;

		ret->text = "..";
		ret->length = names->dots + 1;
		ret->node = erofs_tree_node(t, names->dots ? parent
							   : names->directory);
		return true;
	}
	if (names->child == EROFS_TREE_NONE)
		return false;
	*ret = child;
	return true;
}

/* Fills block with the next names; 0 bytes used at the end. */
static uint32_t next_block(struct names *names, uint8_t block[EROFS_BLOCK])
{
	struct name list[EROFS_BLOCK_NAMES];
	uint32_t n = 0, used = 0, at;
	bool dots;

	while (n < EROFS_BLOCK_NAMES && peek_name(names, &list[n], &dots)) {
		size_t more = sizeof(struct erofs_dirent) + list[n].length;

		if (used + more > EROFS_BLOCK)
			break;
		used += (uint32_t)more;
		n++;
		if (dots)
			names->dots++;
		else
			names->child = names->tree->names[names->child].next;
	}
	at = n * (uint32_t)sizeof(struct erofs_dirent);
	for (uint32_t i = 0; i < n; i++) {
		struct erofs_dirent d = {
			.nid = htole64(list[i].node->slot),
			.name_offset = htole16((uint16_t)at),
			.type = erofs_file_type(list[i].node->mode),
		};

		memcpy(block + i * sizeof(d), &d, sizeof(d));
		memcpy(block + at, list[i].text, list[i].length);
		at += (uint32_t)list[i].length;
	}
	memset(block + used, 0, EROFS_BLOCK - used);
	return used;
}

static struct names names_of(const struct erofs_tree *t, uint32_t directory)
{
	return (struct names){
		.tree = t,
		.directory = directory,
		.child = erofs_tree_node(t, directory)->first,
	};
}

static uint64_t directory_size(const struct erofs_tree *t, uint32_t directory)
{
	struct names names = names_of(t, directory);
	uint8_t block[EROFS_BLOCK];
	uint64_t full = 0;
	uint32_t used, last = 0;

	while ((used = next_block(&names, block))) {
		full += last ? EROFS_BLOCK : 0;
		last = used;
	}
	return full + last;
}

static uint32_t xattr_bytes(const struct erofs_tree *t,
			    const struct erofs_node *node)
{
	uint32_t size = 0;

	if (node->xattrs)
		(void)erofs_tree_xattrs(t, node->xattrs, &size);
	if (node->flags & EROFS_NODE_OPAQUE)
		size += erofs_xattr_size(strlen(EROFS_MARK_OPAQUE), 1);
	if (node->flags & EROFS_NODE_WHITEOUTS)
		size += erofs_xattr_size(strlen(EROFS_MARK_ORIGIN), 0);
	return size ? size + EROFS_XATTR_HEADER : 0;
}

static bool is_flat(const struct erofs_node *node)
{
	return S_ISDIR(node->mode) || S_ISLNK(node->mode);
}

static bool is_chunked(const struct erofs_node *node)
{
	return S_ISREG(node->mode) && node->size;
}

static unsigned chunk_bits(const struct erofs_tree *t,
			   const struct erofs_node *node)
{
	const struct extent *extents = (struct extent *)t->extents.data;
	bool sparse = node->flags & EROFS_NODE_SPARSE;

	return erofs_chunk_bits(node->size, sparse,
				node->n_extents ? extents + node->first : NULL,
				node->n_extents);
}

static uint64_t chunk_count(const struct erofs_node *node, unsigned bits)
{
	return ((node->size - 1) >> EROFS_BLOCK_BITS >> bits) + 1;
}

/* Places the inode behind cursor and returns where it ends. */
static uint64_t place_node(const struct erofs_tree *t, struct erofs_node *node,
			   uint64_t cursor, uint64_t *blocks)
{
	uint32_t xattrs = xattr_bytes(t, node);
	struct erofs_flat flat = {0};
	uint64_t at, end;

	if (is_flat(node))
		flat = erofs_flat(node->mode, node->size, xattrs);
	at = erofs_place(cursor, xattrs, flat.tail);
	end = at + sizeof(struct erofs_inode) + xattrs + flat.tail;
	if (is_chunked(node))
		end = erofs_align(end, sizeof(struct erofs_chunk)) +
		      chunk_count(node, chunk_bits(t, node)) *
			      sizeof(struct erofs_chunk);
	node->slot = (uint32_t)(at / EROFS_SLOT);
	node->block = (uint32_t)*blocks;
	*blocks += flat.blocks;
	return end;
}

static int lay_out(struct image *im, uint64_t *ret_size)
{
	struct erofs_tree *t = im->tree;
	uint64_t cursor = EROFS_HEAD_SIZE;
	uint64_t blocks = 0;

	for (uint32_t n = EROFS_TREE_ROOT; n != EROFS_TREE_NONE;
	     n = erofs_tree_next(t, n)) {
		struct erofs_node *node = erofs_tree_node(t, n);

		if (node->slot)
			continue;
		if (S_ISDIR(node->mode))
			node->size = directory_size(t, n);
		cursor = place_node(t, node, cursor, &blocks);
		if (cursor / EROFS_SLOT > UINT32_MAX || blocks > UINT32_MAX)
			return err_set(im->err, EINVAL,
				       "the layer has too many files for an "
				       "index (beyond 128 GiB of metadata)");
		im->head->inodes++;
	}
	im->head->root_nid =
		(uint16_t)erofs_tree_node(t, EROFS_TREE_ROOT)->slot;
	im->block_base = erofs_align(cursor, EROFS_BLOCK);
	*ret_size = erofs_align(im->block_base + blocks * EROFS_BLOCK,
				EROFS_IMAGE_ALIGN);
	if (*ret_size / EROFS_BLOCK > UINT32_MAX)
		return err_set(im->err, EINVAL,
			       "the layer has too many files for an index "
			       "(beyond 2 TiB of metadata)");
	im->head->blocks = (uint32_t)(*ret_size / EROFS_BLOCK);
	return 0;
}

static int put_inode(struct image *im, const struct erofs_node *node)
{
	const struct erofs_tree *t = im->tree;
	uint32_t xattrs = xattr_bytes(t, node);
	enum erofs_layout layout = EROFS_FLAT_PLAIN;
	struct erofs_inode disk = {
		.mode = htole16(node->mode),
		.uid = htole32(node->uid),
		.gid = htole32(node->gid),
		.mtime = htole64((uint64_t)node->mtime),
		.mtime_nsec = htole32(node->mtime_nsec),
		.nlink = htole32(node->nlink),
	};
	uint32_t u = 0;

	if (is_flat(node)) {
		struct erofs_flat flat =
			erofs_flat(node->mode, node->size, xattrs);

		if (flat.tail)
			layout = EROFS_FLAT_INLINE;
		if (flat.blocks)
			u = (uint32_t)(im->block_base / EROFS_BLOCK) +
			    node->block;
	} else if (is_chunked(node)) {
		layout = EROFS_CHUNK_BASED;
		u = chunk_bits(t, node) | EROFS_CHUNK_INDEXES;
	} else if (S_ISBLK(node->mode) || S_ISCHR(node->mode)) {
		u = node->first;
	}
	disk.format = htole16(EROFS_FORMAT(layout));
	if (xattrs)
		disk.xattr_count = htole16(
			(uint16_t)((xattrs - EROFS_XATTR_HEADER) / 4 + 1));
	disk.size =
		htole64(S_ISREG(node->mode) || is_flat(node) ? node->size : 0);
	disk.u = htole32(u);
	return put(im, &disk, sizeof(disk));
}

static int put_mark(struct image *im, const char *name, const char *value)
{
	uint8_t bytes[32] = {0};
	size_t length = strlen(name);
	size_t size = strlen(value);
	struct erofs_xattr head = {
		.name_length = (uint8_t)length,
		.index = EROFS_XATTR_TRUSTED,
		.value_size = htole16((uint16_t)size),
	};

	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + sizeof(head), name, length);
	memcpy(bytes + sizeof(head) + length, value, size);
	return put(im, bytes,
		   erofs_xattr_size((uint32_t)length, (uint32_t)size));
}

static int put_xattrs(struct image *im, const struct erofs_node *node)
{
	uint32_t size;
	const uint8_t *set;
	int r;

	if (!xattr_bytes(im->tree, node))
		return 0;
	r = put(im, NULL, EROFS_XATTR_HEADER);
	if (r < 0)
		return r;
	if (node->flags & EROFS_NODE_OPAQUE) {
		r = put_mark(im, EROFS_MARK_OPAQUE, "y");
		if (r < 0)
			return r;
	}
	if (node->flags & EROFS_NODE_WHITEOUTS) {
		r = put_mark(im, EROFS_MARK_ORIGIN, "");
		if (r < 0)
			return r;
	}
	if (!node->xattrs)
		return 0;
	set = erofs_tree_xattrs(im->tree, node->xattrs, &size);
	return put(im, set, size);
}

static int put_chunks(struct image *im, const struct erofs_node *node)
{
	const struct extent *run = (struct extent *)im->tree->extents.data;
	const struct extent whole = {0, node->size};
	bool sparse = node->flags & EROFS_NODE_SPARSE;
	uint32_t left = sparse ? node->n_extents : 1;
	unsigned bits = chunk_bits(im->tree, node);
	uint64_t unit = (uint64_t)EROFS_BLOCK << bits;
	uint64_t n = chunk_count(node, bits);
	uint64_t block = node->payload / EROFS_BLOCK;
	int r;

	run = !sparse ? &whole : left ? run + node->first : NULL;
	r = put_zeros_to(im,
			 erofs_align(position(im), sizeof(struct erofs_chunk)));
	for (uint64_t i = 0; i < n && r >= 0; i++) {
		struct erofs_chunk chunk = {.block = htole32(EROFS_NULL_BLOCK)};
		uint64_t offset = i * unit;

		if (left && offset >= run->offset + run->length) {
			run++;
			left--;
		}
		if (left && offset >= run->offset) {
			chunk.device = htole16(1);
			chunk.block = htole32((uint32_t)block);
			block += unit / EROFS_BLOCK;
		}
		r = put(im, &chunk, sizeof(chunk));
	}
	return r;
}

/* The part of a directory or symbolic link behind its inode. */
static int put_tail(struct image *im, uint32_t n, const struct erofs_node *node)
{
	struct erofs_flat flat =
		erofs_flat(node->mode, node->size, xattr_bytes(im->tree, node));
	struct names names;
	uint8_t block[EROFS_BLOCK];

	if (!flat.tail)
		return 0;
	if (S_ISLNK(node->mode))
		return put(im, im->tree->text.data + node->first, flat.tail);
	names = names_of(im->tree, n);
	for (uint64_t i = 0; i <= flat.blocks; i++)
		(void)next_block(&names, block);
	return put(im, block, flat.tail);
}

static int put_inodes(struct image *im)
{
	const struct erofs_tree *t = im->tree;

	for (uint32_t n = EROFS_TREE_ROOT; n != EROFS_TREE_NONE;
	     n = erofs_tree_next(t, n)) {
		const struct erofs_node *node = erofs_tree_node(t, n);
		uint64_t at = (uint64_t)node->slot * EROFS_SLOT;
		int r;

		if (at < position(im))
			continue;
		r = put_zeros_to(im, at);
		if (r >= 0)
			r = put_inode(im, node);
		if (r >= 0)
			r = put_xattrs(im, node);
		if (r >= 0 && is_chunked(node))
			r = put_chunks(im, node);
		if (r >= 0 && is_flat(node))
			r = put_tail(im, n, node);
		if (r < 0)
			return r;
	}
	return put_zeros_to(im, im->block_base);
}

static int put_directory_blocks(struct image *im, uint32_t n, uint64_t blocks)
{
	struct names names = names_of(im->tree, n);
	uint8_t block[EROFS_BLOCK];

	for (uint64_t i = 0; i < blocks; i++) {
		int r;

		(void)next_block(&names, block);
		r = put(im, block, sizeof(block));
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_blocks(struct image *im)
{
	const struct erofs_tree *t = im->tree;

	for (uint32_t n = EROFS_TREE_ROOT; n != EROFS_TREE_NONE;
	     n = erofs_tree_next(t, n)) {
		const struct erofs_node *node = erofs_tree_node(t, n);
		struct erofs_flat flat;
		int r;

		if (!is_flat(node))
			continue;
		flat = erofs_flat(node->mode, node->size, xattr_bytes(t, node));
		if (!flat.blocks ||
		    im->block_base + (uint64_t)node->block * EROFS_BLOCK <
			    position(im))
			continue;
		if (S_ISDIR(node->mode)) {
			r = put_directory_blocks(im, n, flat.blocks);
		} else {
			r = put(im, t->text.data + node->first, node->size);
			if (r >= 0)
				r = put_zeros_to(im, erofs_align(position(im),
								 EROFS_BLOCK));
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int erofs_image_write(struct erofs_tree *t, struct erofs_head *head, int fd,
		      uint64_t *ret_size, struct err *err)
{
	_cleanup_free_ uint8_t *out = malloc(OUT_SIZE);
	struct image im = {
		.tree = t,
		.head = head,
		.fd = fd,
		.out = out,
		.err = err,
	};
	uint8_t bytes[EROFS_HEAD_SIZE];
	uint64_t size = 0;
	int r;

	if (!out || erofs_tree_sort(t) < 0)
		return err_oom(err);
	r = lay_out(&im, &size);
	if (r < 0)
		return r;
	erofs_head_encode(head, bytes);
	r = put(&im, bytes, sizeof(bytes));
	if (r >= 0)
		r = put_inodes(&im);
	if (r >= 0)
		r = put_blocks(&im);
	if (r >= 0)
		r = put_zeros_to(&im, size);
	if (r >= 0)
		r = flush(&im);
	if (r < 0)
		return r;
	*ret_size = size;
	return 0;
}
