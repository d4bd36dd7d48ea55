/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The directories of a store: locked, looked into, and removed. */

#include "store/durable.h"

#include <stdbool.h>

/* Held by who changes a record in its directory. */
#define DIRECTORY_LOCK ".lock"

/* Makes the directory at path and what is missing above it, all durable. */
int directory_make(const char *path);

/* Whether a directory has no names but those that ignored says. */
int directory_is_empty(int fd, bool (*ignored)(const char *name), bool *ret);

/* Makes dir, if need be, and locks it. Blocks. */
int directory_lock(struct durable *d, const char *dir, int *ret_fd);

/* Removes the directory at path with its lock, unless there is something else
 * in it or somebody holds the lock. Whoever waits for the lock finds the file
 * without a name then. */
int directory_drop(struct durable *d, const char *path);
