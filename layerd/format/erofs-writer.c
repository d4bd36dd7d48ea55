/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Takes entries into the tree of an index: each is checked against what EROFS
 * and our reader accept before anything is changed, so that what was added can
 * always be written.
 */

#include "format/erofs-writer.h"

#include "format/erofs-format.h"
#include "format/erofs-image.h"
#include "format/erofs-tree.h"
#include "util/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct erofs_writer {
	struct erofs_tree tree;
	uint64_t data_end; /* of the last payload in the tarball */
	struct buf xattrs; /* of the entry at hand */
};

int erofs_writer_new(struct erofs_writer **ret)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w =
		calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	r = erofs_tree_init(&w->tree);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(w);
	return 0;
}

struct erofs_writer *erofs_writer_free(struct erofs_writer *w)
{
	if (w) {
		erofs_tree_release(&w->tree);
		buf_release(&w->xattrs);
		free(w);
	}
	return NULL;
}

void erofs_writer_freep(struct erofs_writer **w)
{
	*w = erofs_writer_free(*w);
}

uint64_t erofs_writer_memory(const struct erofs_writer *w)
{
	const struct erofs_tree *t = &w->tree;

	return t->names_alloc * sizeof(*t->names) +
	       t->nodes_alloc * sizeof(*t->nodes) +
	       t->steps_alloc * sizeof(*t->steps) + t->text.alloc +
	       t->extents.alloc + t->xattrs.alloc +
	       (t->table.capacity + t->xattr_table.capacity) * sizeof(uint64_t);
}

uint64_t erofs_writer_count(const struct erofs_writer *w)
{
	return w->tree.live;
}

static int refuse(const struct entry *e, const char *why, struct err *err)
{
	return err_set(err, EINVAL, "\"%.512s\" cannot be indexed: %s", e->path,
		       why);
}

static int encode_xattr(struct buf *b, const struct erofs_prefix *prefix,
			const struct xattr *x)
{
	const char *name = x->name + prefix->length;
	size_t name_length = strlen(name);
	bool escape = prefix->index == EROFS_XATTR_TRUSTED &&
		      strncmp(name, EROFS_OVERLAY, EROFS_OVERLAY_LENGTH) == 0;
	uint32_t stored = (uint32_t)name_length;
	struct erofs_xattr head;
	uint32_t size;
	int r;

	if (escape)
		stored += EROFS_OVERLAY_LENGTH;
	head = (struct erofs_xattr){
		.name_length = (uint8_t)stored,
		.index = prefix->index,
		.value_size = htole16((uint16_t)x->size),
	};
	size = erofs_xattr_size(stored, (uint32_t)x->size);
	r = buf_reserve(b, size);
	if (r < 0)
		return r;
	(void)buf_add(b, &head, sizeof(head));
	if (escape)
		(void)buf_add(b, EROFS_OVERLAY, EROFS_OVERLAY_LENGTH);
	(void)buf_add(b, name, name_length);
	(void)buf_add(b, x->value, x->size);
	return buf_pad(b, 4);
}

/* Encodes what EROFS can name; other attributes are left out. */
static int encode_xattrs(struct erofs_writer *w, const struct entry *e,
			 struct err *err)
{
	/* Room for both of overlayfs's marks, which the image adds. */
	uint32_t max = EROFS_XATTR_BYTES_MAX - EROFS_XATTR_HEADER -
		       erofs_xattr_size(strlen(EROFS_MARK_OPAQUE), 1) -
		       erofs_xattr_size(strlen(EROFS_MARK_ORIGIN), 0);
	size_t stored = 0;

	w->xattrs.size = 0;
	for (size_t i = 0; i < e->n_xattrs; i++) {
		const struct xattr *x = &e->xattrs[i];
		const struct erofs_prefix *p = erofs_prefix_of(x->name);

		if (i && strcmp(x[-1].name, x->name) >= 0)
			return refuse(e, "its attributes are not in order",
				      err);
		if (!p)
			continue;
		if (strlen(x->name) > ENTRY_NAME_MAX)
			return refuse(e,
				      "an attribute's name is longer than 255 "
				      "bytes",
				      err);
		if (x->size > UINT16_MAX)
			return refuse(e,
				      "an attribute's value is longer than "
				      "65535 bytes",
				      err);
		if (++stored > ENTRY_XATTRS_MAX)
			return refuse(e, "it has more than 4096 attributes",
				      err);
		if (encode_xattr(&w->xattrs, p, x) < 0)
			return err_oom(err);
		if (w->xattrs.size > max)
			return refuse(e,
				      "its attributes take more than 256 KiB",
				      err);
	}
	return 0;
}

/* Runs as struct entry wants them, with edges that a chunk table can have. */
static int check_extents(const struct entry *e, uint64_t *ret_data,
			 struct err *err)
{
	uint64_t end = 0, data = 0;

	for (size_t i = 0; i < e->n_extents; i++) {
		const struct extent *x = &e->extents[i];

		if ((i && x->offset <= end) || x->offset >= e->size ||
		    x->length == 0 || x->length > e->size - x->offset)
			return refuse(e,
				      "its data runs overlap, touch, are "
				      "empty, or end beyond the file",
				      err);
		end = x->offset + x->length;
		if (x->offset % EROFS_BLOCK ||
		    (end % EROFS_BLOCK && end != e->size))
			return refuse(e,
				      "its data runs are not multiples of 512 "
				      "bytes",
				      err);
		data += x->length;
	}
	*ret_data = data;
	return 0;
}

/* Of a file that is not empty. */
static uint64_t table_rows(const struct entry *e)
{
	unsigned bits =
		erofs_chunk_bits(e->size, e->sparse, e->extents, e->n_extents);

	return ((e->size - 1) >> EROFS_BLOCK_BITS >> bits) + 1;
}

bool erofs_writer_takes_holes(const struct entry *e)
{
	uint64_t data;

	if (!S_ISREG(e->mode) || e->flags || !e->sparse || e->size == 0)
		return true;
	return check_extents(e, &data, NULL) == 0 &&
	       table_rows(e) <= ENTRY_CHUNKS_MAX;
}

static int check_file(struct erofs_writer *w, const struct entry *e,
		      struct erofs_node *node, struct err *err)
{
	uint64_t data = e->size, rows, end;
	int r;

	if (e->size > INT64_MAX)
		return refuse(e, "its size is absurd", err);
	if (e->size == 0)
		return 0;
	if (e->sparse) {
		r = check_extents(e, &data, err);
		if (r < 0)
			return r;
	}
	rows = table_rows(e);
	if (rows > ENTRY_CHUNKS_MAX)
		return err_set(err, EINVAL,
			       "\"%.512s\" cannot be indexed: its holes need "
			       "%" PRIu64 " table rows, at most %d are allowed",
			       e->path, rows, ENTRY_CHUNKS_MAX);
	node->size = e->size;
	if (data == 0) {
		node->flags |= EROFS_NODE_SPARSE;
		return 0;
	}
	if (e->payload % EROFS_BLOCK)
		return refuse(e,
			      "its data does not start on a multiple of 512 "
			      "bytes in the tarball",
			      err);
	/* The last block number is the one that stands for holes. */
	if (__builtin_add_overflow(e->payload, data, &end) ||
	    end > (uint64_t)EROFS_NULL_BLOCK * EROFS_BLOCK)
		return refuse(e, "its data is beyond 2 TiB in the tarball",
			      err);
	node->payload = e->payload;
	if (end > w->data_end)
		w->data_end = end;
	if (!e->sparse || (e->n_extents == 1 && data == e->size))
		return 0;
	node->flags |= EROFS_NODE_SPARSE;
	node->n_extents = (uint32_t)e->n_extents;
	r = erofs_tree_add_extents(&w->tree, e->extents, e->n_extents,
				   &node->first);
	return r < 0 ? err_oom(err) : 0;
}

static int check_symlink(struct erofs_writer *w, const struct entry *e,
			 struct erofs_node *node, struct err *err)
{
	size_t length = e->target ? strlen(e->target) : 0;

	if (length == 0 || length > ENTRY_TARGET_MAX)
		return refuse(e, "a symbolic link's target has 1 to 4095 bytes",
			      err);
	node->size = length;
	if (erofs_tree_add_text(&w->tree, e->target, length, &node->first) < 0)
		return err_oom(err);
	return 0;
}

static int check_device(const struct entry *e, struct erofs_node *node,
			struct err *err)
{
	if (S_ISCHR(e->mode) && !e->rdev_major && !e->rdev_minor)
		return refuse(e,
			      "a character device 0:0 would hide what is below "
			      "it",
			      err);
	if (e->rdev_major > EROFS_MAJOR_MAX || e->rdev_minor > EROFS_MINOR_MAX)
		return refuse(e, "its device number is too large", err);
	node->first = erofs_rdev_encode(e->rdev_major, e->rdev_minor);
	return 0;
}

/* The inode of an entry that is neither link nor whiteout. */
static int make_node(struct erofs_writer *w, const struct entry *e,
		     struct erofs_node *node, struct err *err)
{
	int r;

	*node = (struct erofs_node){
		.mtime = e->mtime,
		.mtime_nsec = e->mtime_nsec,
		.uid = e->uid,
		.gid = e->gid,
		.mode = (uint16_t)e->mode,
	};
	if (e->mtime_nsec >= 1000000000)
		return refuse(e, "its time has too many nanoseconds", err);
	if (e->mode > UINT16_MAX || !erofs_file_type(e->mode))
		return refuse(e,
			      "it is not a regular file, directory, symbolic "
			      "link, fifo or device",
			      err);
	r = encode_xattrs(w, e, err);
	if (r < 0)
		return r;
	if (S_ISREG(e->mode))
		r = check_file(w, e, node, err);
	else if (S_ISLNK(e->mode))
		r = check_symlink(w, e, node, err);
	else if (S_ISCHR(e->mode) || S_ISBLK(e->mode))
		r = check_device(e, node, err);
	else if (S_ISDIR(e->mode))
		node->first = EROFS_TREE_NONE;
	if (r < 0)
		return r;
	if (S_ISDIR(e->mode) && e->flags & ENTRY_OPAQUE)
		node->flags |= EROFS_NODE_OPAQUE;
	if (w->xattrs.size &&
	    erofs_tree_add_xattrs(&w->tree, w->xattrs.data,
				  (uint32_t)w->xattrs.size, &node->xattrs) < 0)
		return err_oom(err);
	return 0;
}

/* "Mark the directory that is there": the archive reader's opaque marker. */
static bool is_opaque_mark(const struct entry *e)
{
	return e->flags == ENTRY_OPAQUE && e->mode == 0;
}

static int add_root(struct erofs_writer *w, const struct entry *e,
		    struct err *err)
{
	struct erofs_node *root = erofs_tree_node(&w->tree, EROFS_TREE_ROOT);
	struct erofs_node node;
	int r;

	if (is_opaque_mark(e)) {
		root->flags |= EROFS_NODE_OPAQUE;
		return 0;
	}
	if (e->flags & (ENTRY_HARDLINK | ENTRY_WHITEOUT) || !S_ISDIR(e->mode))
		return err_set(err, EINVAL,
			       "the root of a layer must be a directory");
	r = make_node(w, e, &node, err);
	if (r < 0)
		return r;
	node.first = root->first;
	node.flags |= root->flags & EROFS_NODE_OPAQUE;
	*root = node;
	return 0;
}

/* Where an entry goes, and what is there. */
struct spot {
	uint32_t parent;
	const char *base;
	uint32_t existing;
};

static int put_node(struct erofs_writer *w, const struct spot *s,
		    const struct erofs_node *node, struct err *err)
{
	uint32_t inode;

	if (erofs_tree_add_node(&w->tree, node, &inode) < 0 ||
	    erofs_tree_put(&w->tree, s->parent, s->base, strlen(s->base),
			   s->existing, inode) < 0)
		return err_oom(err);
	return 0;
}

static int put_hardlink(struct erofs_writer *w, const struct spot *s,
			uint32_t target, struct err *err)
{
	if (target == s->existing)
		return 0;
	if (erofs_tree_put(&w->tree, s->parent, s->base, strlen(s->base),
			   s->existing, w->tree.names[target].inode) < 0)
		return err_oom(err);
	return 0;
}

static int find_target(struct erofs_writer *w, const struct entry *e,
		       uint32_t *ret, struct err *err)
{
	const struct erofs_node *node;

	*ret = e->target ? erofs_tree_lookup(&w->tree, e->target)
			 : EROFS_TREE_NONE;
	if (*ret == EROFS_TREE_NONE)
		return err_set(err, EINVAL,
			       "\"%.384s\" is a hard link to \"%.384s\", which "
			       "does not precede it in the layer",
			       e->path, e->target ? e->target : "");
	node = erofs_tree_node(&w->tree, *ret);
	if (S_ISDIR(node->mode) || node->flags & EROFS_NODE_WHITEOUT)
		return err_set(err, EINVAL,
			       "\"%.384s\" is a hard link to \"%.384s\", which "
			       "is not a file",
			       e->path, e->target);
	return 0;
}

static int put_directory(struct erofs_writer *w, const struct spot *s,
			 struct erofs_node *node, struct err *err)
{
	const struct erofs_node *old =
		s->existing == EROFS_TREE_NONE
			? NULL
			: erofs_tree_node(&w->tree, s->existing);

	if (old && S_ISDIR(old->mode))
		node->flags |= old->flags & EROFS_NODE_OPAQUE;
	/* What the whiteout hides must not show through the directory. */
	if (old && old->flags & EROFS_NODE_WHITEOUT)
		node->flags |= EROFS_NODE_OPAQUE;
	return put_node(w, s, node, err);
}

static int put_opaque_mark(struct erofs_writer *w, const struct spot *s,
			   struct err *err)
{
	struct erofs_node node = {
		.mode = S_IFDIR | 0755,
		.first = EROFS_TREE_NONE,
		.flags = EROFS_NODE_OPAQUE,
	};

	if (s->existing != EROFS_TREE_NONE) {
		struct erofs_node *old = erofs_tree_node(&w->tree, s->existing);

		if (S_ISDIR(old->mode)) {
			old->flags |= EROFS_NODE_OPAQUE;
			return 0;
		}
		if (!(old->flags & EROFS_NODE_WHITEOUT))
			return 0;
	}
	return put_node(w, s, &node, err);
}

int erofs_writer_add(struct erofs_writer *w, const struct entry *e,
		     struct err *err)
{
	struct erofs_node node = {
		.mode = S_IFCHR,
		.flags = EROFS_NODE_WHITEOUT,
	};
	bool whiteout = e->flags & ENTRY_WHITEOUT;
	bool hides = whiteout || is_opaque_mark(e);
	uint32_t target = EROFS_TREE_NONE;
	struct spot s;
	int r = 0;

	if (!*e->path)
		return add_root(w, e, err);
	if (e->flags & ENTRY_HARDLINK)
		r = find_target(w, e, &target, err);
	else if (!hides)
		r = make_node(w, e, &node, err);
	if (r < 0)
		return r;
	r = erofs_tree_parent(&w->tree, e->path, whiteout, &s.parent, &s.base,
			      err);
	if (r < 0)
		return r;
	if (r == EROFS_TREE_E_NOTDIR)
		return hides ? 0
			     : refuse(e,
				      "one of the directories on its way is "
				      "not a directory in this layer",
				      err);
	s.existing =
		erofs_tree_find(&w->tree, s.parent, s.base, strlen(s.base));
	if (is_opaque_mark(e))
		return put_opaque_mark(w, &s, err);
	if (e->flags & ENTRY_HARDLINK)
		return put_hardlink(w, &s, target, err);
	if (S_ISDIR(node.mode))
		return put_directory(w, &s, &node, err);
	return put_node(w, &s, &node, err);
}

int erofs_writer_finish(struct erofs_writer *w, const struct digest *tar,
			uint64_t tar_size, int fd, uint64_t *ret_size,
			struct err *err)
{
	uint64_t blocks = tar_size / EROFS_BLOCK + !!(tar_size % EROFS_BLOCK);
	struct erofs_head head = {.tar = *tar};

	if (blocks > EROFS_NULL_BLOCK)
		return err_set(err, EINVAL,
			       "the tarball is larger than 2 TiB, which is the "
			       "most that an index can point into");
	if (w->data_end > tar_size)
		return err_set(err, EINVAL,
			       "the tarball has %" PRIu64 " bytes, but its "
			       "entries reach to %" PRIu64,
			       tar_size, w->data_end);
	head.tar_blocks = (uint32_t)blocks;
	return erofs_image_write(&w->tree, &head, fd, ret_size, err);
}
