/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whoever asked for something that is done in their directories. Root's calls
 * are done as the daemon; everybody else's in threads that have their
 * credentials and no capability, so that the kernel decides what they may.
 */

#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct caller {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* owned */
	size_t n_groups;
};

#define _cleanup_caller_ __attribute__((cleanup(caller_release)))
void caller_release(struct caller *c);

static inline bool caller_is_root(const struct caller *c)
{
	return c->uid == 0;
}

/*
 * Gives the calling thread, which must be one of its own for this, the caller's
 * credentials for good. Those for files only: with the caller's other ids the
 * caller could send it signals, which would end the daemon.
 */
int caller_become(const struct caller *c);

/*
 * Whether that is of no use at fd (any descriptor, also with O_PATH): a FUSE
 * file system that was mounted without allow_other asks for all user ids of a
 * process and answers the daemon -EACCES. What a sentence says of it then.
 */
bool caller_is_kept_out(int fd);
#define CALLER_KEPT_OUT                                                        \
	"is on a FUSE file system that lets in only who mounted it and not "   \
	"the daemon; mount it with -o allow_other, or write elsewhere and "    \
	"copy it there"

/* Runs fn in a thread with the caller's credentials and waits for it. err is
 * what fn filled, or says why there was no thread. */
typedef int (*caller_fn)(void *ctx, struct err *err);
int caller_run(const struct caller *c, caller_fn fn, void *ctx,
	       struct err *err);
