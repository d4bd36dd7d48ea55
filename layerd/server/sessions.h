/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What several methods do with a session. */

#include "mount/users.h"
#include "server/call.h"
#include "volume/session.h"

/* The locked session of a target. -ENOENT without a text: a path that belongs
 * to no session. */
int find_target_session(struct call *c, const struct target *t,
			struct session **ret);

/* The same, with a sentence for a path that belongs to none. */
int need_target_session(struct call *c, const struct target *t,
			struct session **ret);

/* Appends what the absolute path of the caller leads to inside the session's
 * mount, without '/' at either end: "" is its root. A C string. */
int session_inside(struct call *c, const struct session *s, const char *path,
		   struct buf *b);

/*
 * Detaches a session from everywhere, or from one path only, and says where it
 * was. When one place is busy (-EBUSY names who uses it) it is attached again
 * where it was already detached.
 */
int unmount_session(struct call *c, struct session *s, const char *only,
		    bool lazy, struct mount_places *ret);

/* Whoever keeps a file of a detached mount open can still write: -EBUSY. */
int refuse_users(struct call *c, struct session *s);

/* Attaches a session's mount again where it was. */
int reattach_session(struct call *c, struct session *s,
		     const struct mount_places *places);
