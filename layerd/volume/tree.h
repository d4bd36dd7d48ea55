/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a version shows, read from the indexes of its layers without a mount.
 * Whiteouts and opaque directories act as overlayfs lets them act, so a tree
 * has the names and attributes that a mount of the version would show. Only
 * indexes are read, from the cache or the store, never file data.
 */

#include "format/entry.h"
#include "format/erofs-directory.h"
#include "format/manifest.h"
#include "volume/host.h"

struct session;
struct tree;

/* The layers of a version, and what a live tree has on top of them. */
#define TREE_LAYERS_MAX (VERSION_LAYERS_MAX + 1)

/* A directory: in which layers it shows, the topmost first. Two directories of
 * equal parts in the same layers have the same contents, all the way down. */
struct tree_directory {
	uint32_t n;
	struct tree_part {
		uint32_t layer; /* index in the version, 0 is the lowest */
		uint64_t nid;
	} parts[TREE_LAYERS_MAX];
};

struct tree_node {
	struct tree_part part;		 /* whose attributes show */
	uint32_t mode;			 /* as in st_mode */
	struct tree_directory directory; /* n is 0 for what is none */
};

/* Reads and checks the indexes of v. Blocks; progress is also told later, when
 * data is fetched, and must outlive the tree. */
int tree_open(struct tree **ret, struct host *h, const struct version *v,
	      const struct progress *progress, struct err *err);

/* The same of a version that has layers in common with like (may be NULL),
 * which need not be opened again. Of the two trees only one thread may make
 * use, and tree_entry() of one ends what it filled for the other. */
int tree_open_like(struct tree **ret, struct host *h, const struct version *v,
		   const struct tree *like, const struct progress *progress,
		   struct err *err);

/*
 * What a locked session shows now: the tree of the version that a seal would
 * make. Names and attributes are those of this moment, data is read from the
 * mount when it is asked for. The session must outlive the tree. -EAGAIN: the
 * mount changed its shape each time it was looked at.
 */
int tree_open_live(struct tree **ret, struct host *h, struct session *s,
		   const struct progress *progress, struct err *err);
struct tree *tree_free(struct tree *t);
void tree_freep(struct tree **t);

/* Tells the progress of what is done with t; negative: it is to end. */
int tree_report(const struct tree *t, const char *stage, uint64_t files);

size_t tree_n_layers(const struct tree *t);
const struct version_layer *tree_layer(const struct tree *t, uint32_t layer);

/* The root; a version without layers has an empty one. */
int tree_root(struct tree *t, struct tree_node *ret, struct err *err);

/* What is at path, relative to the root; symlinks are not followed. -ENOENT
 * without a text. */
int tree_find(struct tree *t, const char *path, struct tree_node *ret,
	      struct err *err);

/* Attributes of a node under path (borrowed), valid until the next call on t;
 * the data of a live file is looked for under path. A hard link is an entry
 * like its first name: see tree_node's part. */
int tree_entry(struct tree *t, const struct tree_node *node, const char *path,
	       struct entry *ret, struct err *err);

/* The same into the caller's memory and by part alone, so that several threads
 * may read one tree. */
int tree_read(const struct tree *t, const struct tree_part *part,
	      const char *path, struct erofs_entry_buf *ret, struct err *err);

/* How many names the object has in its layer, 1 for a directory: no other can
 * be hard linked. For several threads, too. */
int tree_links(const struct tree *t, const struct tree_part *part,
	       uint32_t *ret, struct err *err);

/* Whether two nodes, of t and of other, are the same inode of the same layer,
 * or directories of the same contents. other may be t. */
bool tree_same(const struct tree *t, const struct tree_node *node,
	       const struct tree *other, const struct tree_node *theirs);

/* The names of a directory, in order of bytes. */
struct tree_names {
	struct tree *tree;
	uint32_t n;
	struct tree_reading {
		uint32_t layer;
		bool ended;
		struct erofs_cursor cursor;
	} * readings;
	char name[ENTRY_NAME_MAX + 1]; /* where it is */
};
#define _cleanup_tree_names_ __attribute__((cleanup(tree_names_release)))
void tree_names_release(struct tree_names *names);

/* Starts before the first name. t must outlive names. Release names also when
 * this fails. */
int tree_names_open(struct tree_names *names, struct tree *t,
		    const struct tree_directory *directory, struct err *err);

/* Goes to the next name and fills ret with what it is: 1, or 0 at the end. */
int tree_names_next(struct tree_names *names, struct tree_node *ret,
		    struct err *err);
