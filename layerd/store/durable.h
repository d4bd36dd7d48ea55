/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Objects that are durable when the call returns, below one directory. Keys are
 * valid ones. Errors are plain negative errnos; -ELOOP and its like as in
 * store/beneath.h.
 */

#include "store/staged.h"
#include "store/store-backend.h"

#include <pthread.h>

#define DURABLE_DIRS 256

struct durable {
	int fd; /* borrowed */
	/* Directories whose names are known to be durable, by hash. */
	pthread_mutex_t lock;
	char dirs[DURABLE_DIRS][STORE_KEY_MAX];
	uint64_t removals; /* of directories, counts up */
};

int durable_init(struct durable *d, int fd);
void durable_release(struct durable *d);

/* Splits off the last name; what is before it goes to dir, "" at the top. */
const char *durable_split(const char *key, char dir[static STORE_KEY_MAX]);

/* Opens a directory ("" for the top), making it and those above it durable if
 * need be. A descriptor, or a negative errno. */
int durable_open_dir(struct durable *d, const char *dir);

/* Removes an empty directory, dir, which is name in parent_fd. */
int durable_remove_dir(struct durable *d, int parent_fd, const char *name,
		       const char *dir);

/*
 * Whether key is there with this size and, where its last part is a digest,
 * with bytes of that digest, which are read; then its name is made durable. A
 * damaged object is thus written anew.
 */
int durable_settle(struct durable *d, const char *key, uint64_t size,
		   bool *ret);

/* Gives a file of size bytes, written in full, its key. -EEXIST for
 * STORE_WRITE_CREATE. */
int durable_publish(struct durable *d, struct staged *file, const char *key,
		    uint64_t size, enum store_write how);

/* Writes a new file and publishes it. */
int durable_write(struct durable *d, const char *key, const void *data,
		  size_t size, enum store_write how);
