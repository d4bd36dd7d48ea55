/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Looking into a directory that others may have filled: no call leaves dir_fd,
 * follows a link, reads what is no plain file, or waits for the other end of a
 * fifo.
 */

#include "store/store.h"

/* openat2() with O_CLOEXEC, O_NOCTTY and 0600 for a new file; a descriptor or a
 * negative errno. Links are -ELOOP. */
int beneath_open(int dir_fd, const char *path, int flags);

/* Opens a plain file for reading; -EBADMSG for anything else. */
int beneath_open_file(int dir_fd, const char *path, int *ret_fd,
		      uint64_t *ret_size);

struct beneath_walk {
	int fd;
	const char *top; /* names the store in sentences */
	store_key_fn fn;
	void *ctx;
	unsigned int levels; /* see beneath_walk() */
};

/*
 * Calls fn with the path and size of each plain file below path whose path is a
 * valid key; the first negative result ends the walk. A missing path is empty.
 * With levels path has to be there, with so many names to each file's: anything
 * else with the name of a part of a key is -EBADMSG with a sentence.
 */
int beneath_walk(const struct beneath_walk *w, const char *path,
		 struct err *err);

/* Calls fn for each name in path that is a plain file or leads to one. */
int beneath_names(const struct beneath_walk *w, const char *path,
		  struct err *err);
