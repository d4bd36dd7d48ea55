/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A file that is written out of sight and appears under its name whole. Where
 * the file system has O_TMPFILE it has no name until then and vanishes with its
 * writer; elsewhere it is ".tmp-<random>" in the store's top directory.
 *
 *   staged_open -> write to fd -> staged_sync -> staged_link or staged_rename
 *
 * The caller syncs the directory that the file appeared in.
 */

#include <stdint.h>

#define STAGED_PREFIX ".tmp-"
#define STAGED_NAME_SIZE 24

struct staged {
	int fd;
	int top_fd; /* borrowed from the store */
	char name[STAGED_NAME_SIZE];
};

#define STAGED_INIT                                                            \
	(struct staged)                                                        \
	{                                                                      \
		.fd = -1, .top_fd = -1                                         \
	}
#define _cleanup_staged_ __attribute__((cleanup(staged_release)))

/* Opens st->fd for writing. */
int staged_open(struct staged *st, int top_fd);

/* Waits until the contents are on the disk. */
int staged_sync(struct staged *st);

/* Gives the file its name unless that is taken: -EEXIST. */
int staged_link(struct staged *st, int dir_fd, const char *name);

/* Gives the file its name, in place of what has it. */
int staged_rename(struct staged *st, int dir_fd, const char *name);

/* Closes, and removes the temporary name if there is one. */
void staged_release(struct staged *st);

/*
 * Removes temporary names that writers left behind when they were killed: those
 * that were not written to for so many seconds and that no process has open for
 * writing. Locks are not seen from other hosts everywhere, so whoever does not
 * know that there are none waits a day. What was freed is added to *files and
 * *bytes (may be NULL).
 */
#define STAGED_STALE_SECONDS ((int64_t)24 * 3600)
#define STAGED_ENDED_SECONDS 60
void staged_collect(int top_fd, int64_t seconds, uint64_t *files,
		    uint64_t *bytes);
