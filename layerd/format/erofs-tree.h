/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The tree that an index is made from, kept small: indexes instead of pointers,
 * 16 bytes a name, 64 bytes an inode, names one after another in one buffer,
 * and one hash table from (directory, name) to name. A million entries take
 * about 110 MB with their names.
 *
 * Names and inodes are apart, so that a hard link is one more name and an inode
 * outlives the name it came with. A name whose place was taken by another kind
 * of object is dead: it keeps its number, but no inode.
 */

#include "format/entry.h"
#include "util/buf.h"
#include "util/error.h"
#include "util/table.h"

#define EROFS_TREE_NONE UINT32_MAX
#define EROFS_TREE_ROOT 0u /* the root's name and its inode */

struct erofs_name {
	uint32_t parent; /* a name */
	uint32_t next;	 /* name in the same directory */
	uint32_t inode;	 /* EROFS_TREE_NONE: dead */
	uint32_t text;	 /* in text: a byte of length, then the name */
};

enum erofs_node_flags {
	EROFS_NODE_WHITEOUT = 1 << 0,
	EROFS_NODE_OPAQUE = 1 << 1,
	EROFS_NODE_SPARSE = 1 << 2,
	/* Directories: a whiteout is among its names. Set by sorting. */
	EROFS_NODE_WHITEOUTS = 1 << 3,
};

struct erofs_node {
	int64_t mtime;
	uint64_t size;	  /* bytes of file, target or directory */
	uint64_t payload; /* regular files: in the tarball */
	uint32_t mtime_nsec;
	uint32_t uid, gid;
	uint32_t nlink;	 /* set by sorting */
	uint32_t xattrs; /* in xattrs, see there; 0 for none */
	uint32_t slot;	 /* nid; 0 before the layout */
	uint32_t block;	 /* first own block, counted from the first of all */
	uint32_t first;	 /* directory: first name; symbolic link: target in
			  * text; sparse file: first run; device: number */
	uint32_t n_extents;
	uint16_t mode;
	uint16_t flags;
};
_Static_assert(sizeof(struct erofs_node) == 64, "one cache line");

struct erofs_tree_step {
	uint32_t end; /* of the component in path */
	uint32_t name;
};

struct erofs_tree {
	struct erofs_name *names;
	uint32_t n_names, names_alloc;
	struct erofs_node *nodes;
	uint32_t n_nodes, nodes_alloc;
	struct table table;

	struct buf text;
	struct buf extents; /* struct extent */

	/* Encoded attribute sets, each once: a 32-bit size, the entries. A
	 * set's number is its offset divided by 4. */
	struct buf xattrs;
	struct table xattr_table;

	uint64_t live; /* names, the root not counted */

	/* The directories on the way to the last path. */
	char *path;
	struct erofs_tree_step *steps;
	uint32_t n_steps, steps_alloc;
};

/* Starts with a root 0755 root:root of time 0. Both are safe on zeros. */
int erofs_tree_init(struct erofs_tree *t);
void erofs_tree_release(struct erofs_tree *t);

/*
 * Finds the directory that holds path, making what is missing; *ret_base is
 * the last component within path. Where a component is not a directory the
 * result is EROFS_TREE_E_NOTDIR, except that a whiteout is replaced by an
 * opaque directory unless keep_whiteouts is set. -EINVAL for a path that is not
 * relative and plain.
 */
#define EROFS_TREE_E_NOTDIR 1
int erofs_tree_parent(struct erofs_tree *t, const char *path,
		      bool keep_whiteouts, uint32_t *ret_parent,
		      const char **ret_base, struct err *err);

/* The name in a directory, or at a whole path; EROFS_TREE_NONE. */
uint32_t erofs_tree_find(const struct erofs_tree *t, uint32_t parent,
			 const char *name, size_t length);
uint32_t erofs_tree_lookup(const struct erofs_tree *t, const char *path);

/* Adds an inode, which no name has yet. -ENOMEM. */
int erofs_tree_add_node(struct erofs_tree *t, const struct erofs_node *node,
			uint32_t *ret);

/*
 * Makes name in the directory stand for inode. existing is what
 * erofs_tree_find() says; a directory there goes with all that is in it,
 * unless it is replaced by a directory, which takes its contents over.
 */
int erofs_tree_put(struct erofs_tree *t, uint32_t parent, const char *name,
		   size_t length, uint32_t existing, uint32_t inode);

/* Stores an encoded attribute set (not empty) or finds its equal. */
int erofs_tree_add_xattrs(struct erofs_tree *t, const void *set, uint32_t size,
			  uint32_t *ret);
const uint8_t *erofs_tree_xattrs(const struct erofs_tree *t, uint32_t set,
				 uint32_t *ret_size);

/* Stores bytes and a NUL in text, or runs in extents. */
int erofs_tree_add_text(struct erofs_tree *t, const char *s, size_t length,
			uint32_t *ret);
int erofs_tree_add_extents(struct erofs_tree *t, const struct extent *extents,
			   size_t n, uint32_t *ret);

/*
 * Sorts every directory, drops dead names from them, counts links and flags
 * directories that hold whiteouts. Nothing may be added afterwards.
 */
int erofs_tree_sort(struct erofs_tree *t);

/* The name after n in path order of a sorted tree, EROFS_TREE_NONE at the end.
 */
uint32_t erofs_tree_next(const struct erofs_tree *t, uint32_t n);

static inline struct erofs_node *erofs_tree_node(const struct erofs_tree *t,
						 uint32_t name)
{
	return &t->nodes[t->names[name].inode];
}

static inline const char *erofs_tree_text(const struct erofs_tree *t,
					  uint32_t name, size_t *ret_length)
{
	const uint8_t *p = t->text.data + t->names[name].text;

	*ret_length = *p;
	return (const char *)p + 1;
}
