/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where a file system is attached, and which processes use it, from /proc. */

#include "util/buf.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A place where the file system st_dev is attached. */
struct mount_place {
	pid_t pid;	 /* a process or thread in that mount namespace */
	ino_t namespace; /* the inode of its /proc/PID/ns/mnt */
	char *path;	 /* as that process sees it */
	char *root; /* what of the file system is there: "/", or a path in it */
	uint64_t attributes; /* MOUNT_ATTR_* */
	dev_t device;	     /* st_dev */
	char *options;	     /* of the file system itself */
};

struct mount_places {
	struct mount_place *items;
	size_t n;
};

#define _cleanup_mount_places_ __attribute__((cleanup(mount_places_release)))
void mount_places_release(struct mount_places *places);

/*
 * All places where st_dev is attached, in every mount namespace that some
 * process is in, each namespace once, first that of the process first. Places
 * at or below skip (in the daemon's own namespace) are left out; NULL for none.
 * Device 0 stands for all: what is attached anywhere, in one pass.
 */
int mount_places_find(dev_t device, pid_t first, const char *skip,
		      struct mount_places *ret, struct err *err);

/*
 * Appends a sentence part that names up to five processes whose working
 * directory, root, program or open files are on st_dev, e.g.
 * "bash (pid 12, working directory)". Returns how many there are.
 */
int mount_users_describe(dev_t device, struct buf *b);
