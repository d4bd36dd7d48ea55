/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whole reads and writes, and files that are published all at once. */

#include "util/buf.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * All of size bytes or an error. read_full() and pread_full() answer -ENODATA
 * when the file ends early. EINTR and short transfers are handled. They block.
 */
int read_full(int fd, void *data, size_t size);
int pread_full(int fd, void *data, size_t size, uint64_t offset);
int write_full(int fd, const void *data, size_t size);
int pwrite_full(int fd, const void *data, size_t size, uint64_t offset);

/* Appends a whole file of at most max bytes to b; -EFBIG when it is larger. */
int read_file_at(int dirfd, const char *path, size_t max, struct buf *b);

/* Whether the file holds these bytes and no others: 1, 0, or a negative errno.
 */
int file_has(int fd, const void *data, size_t size);

/*
 * Publishes data under path: written to a temporary name beside it, synced,
 * renamed over path, and the directory synced. Readers see the old file or the
 * whole new one, also after a power cut.
 */
int write_file_at(int dirfd, const char *path, const void *data, size_t size,
		  mode_t mode);

/* Syncs the directory that holds path, so that its entry is durable. */
int fsync_parent_at(int dirfd, const char *path);

/* Creates the missing directories of path itself, each with mode. */
int mkdir_parents_at(int dirfd, const char *path, mode_t mode);

/* Whether a directory has nothing in it: 1 or 0. */
int is_empty_directory(int fd);

/* Removes a file or an empty directory; missing is fine. -ENOTEMPTY. */
int remove_one_at(int dirfd, const char *name);

/* Removes a file or a whole tree, never crossing mounts; missing is fine. */
int remove_tree_at(int dirfd, const char *path);

/* The same, until *stop (may be NULL) is set: -ECANCELED, with a part removed.
 */
int remove_tree_until(int dirfd, const char *path, const atomic_bool *stop);

/* An exclusive lock on an open file, held until it is closed. -EWOULDBLOCK
 * when another open file holds it and wait is false. */
int lock_fd(int fd, bool wait);
