/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Carries a plan out, with the mount API of Linux 5.2 and later (fsopen(2),
 * fsconfig(2), fsmount(2), move_mount(2), open_tree(2)).
 *
 * EROFS images are mounted once on a host and stay attached below the lower
 * root, shared by every overlay that uses them: detached lowers fail before
 * 6.15. The overlay itself is handed out detached.
 */

#include "mount/plan.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Read-ahead of the mounts, see DESIGN section 5. */
#define MOUNT_READ_AHEAD_KB 4096

/*
 * Mounts the images that are not mounted yet, marking them, and makes the
 * overlay, returned as a detached mount in *ret_fd. Errors name the step and
 * the path; -EPERM, -EOPNOTSUPP and -ENOTBLK are explained.
 */
int mount_plan_apply(struct mount_plan *plan, int *ret_fd, struct err *err);

/* Attaches the detached mount fd to the directory path. */
int mount_attach(int fd, const char *path, struct err *err);

/*
 * A detached copy of what is mounted at path: of all of it where root is "/",
 * else of the file or directory root in it, whose symlinks are not followed.
 */
int mount_copy(const char *path, const char *root, int *ret_fd,
	       struct err *err);

/* Sets attributes (MOUNT_ATTR_*) of a detached mount, clears none but other
 * settings for access times where one is set. */
int mount_restrict(int fd, uint64_t attributes, struct err *err);

/* Whether path is the root of a mount. -errno when it cannot be examined. */
int mount_is_root(const char *path);

/*
 * Makes path a mount of its own that neither sends nor receives mount events,
 * so that what is mounted below stays out of other namespaces. Repeating it is
 * fine.
 */
int mount_make_private(const char *path, struct err *err);

/* Unmounts path lazily if something is mounted there. What the kernel keeps of
 * it is cleared away by a thread, on which nobody waits. */
int mount_drop(const char *path, struct err *err);

/*
 * Attaches or detaches in the mount namespace of the process pid, through a
 * short-lived child. lazy: MNT_DETACH. Errors as of umount2(2) and
 * move_mount(2); path may come from anybody, and nothing but the file system
 * device is detached: -EINVAL. namespace is the inode of the one that is meant:
 * -ESRCH when the process is in another one by now, or gone.
 */
int mount_attach_in(pid_t pid, ino_t namespace, int fd, const char *path);
int mount_detach_in(pid_t pid, dev_t device, const char *path, bool lazy);
