/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The names of files that have several. overlayfs keeps the names of a
 * copied-up file linked by its index, though only the name it was opened under
 * is in the upper directory; the tarball must hold them all.
 */

#include "format/erofs-reader.h"
#include "util/error.h"
#include "util/table.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* A set of inodes, told apart by file system and number: a directory that is
 * taken over may hold several file systems. */
struct inode_set {
	struct inode {
		uint64_t device, number;
	} * items;
	size_t n, alloc;
	struct table table;
};

void inode_set_release(struct inode_set *s);
/* The index of st's inode, added if it was not there; -ENOMEM. */
int inode_set_add(struct inode_set *s, const struct stat *st, uint32_t *ret);
uint32_t inode_set_find(const struct inode_set *s, const struct stat *st);

/* Names in layer order; directories above them are among them. */
struct link_names {
	struct link_name {
		char *path;
		bool directory;
	} * items;
	size_t n, alloc;
};

void link_names_release(struct link_names *l);

/* Opens the directory path, of any length, below root_fd and through no link.
 * Negative errno. */
int link_open_directory(int root_fd, const char *path);

/* The same for the directory that path is in; *ret_name is the name in it. */
int link_open_parent(int root_fd, const char *path, const char **ret_name);

/*
 * Whether overlayfs' index, in the work directory of a session, holds a file
 * that has lost its names in the upper directory and was changed at since_ns or
 * later: names that are only in the layers show it. 1, 0 or a negative errno.
 */
int link_index_changed(int session_fd, int64_t since_ns);

/*
 * All linked names of the layers that show a file in wanted in the merged
 * mount, or one that was changed at since_ns or later, with their directories.
 * A name hidden by now, or of another file, is left out. Each path once.
 */
int link_names_find(struct erofs_reader *const *layers, size_t n_layers,
		    int merged_fd, const struct inode_set *wanted,
		    int64_t since_ns, struct link_names *ret, struct err *err);
