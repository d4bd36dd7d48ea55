/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What to mount for a version, decided without a system call, so that it is
 * tested without root: which EROFS images at which directories, and one overlay
 * with which lowers in which order. mount/apply.h carries it out.
 */

#include "util/digest.h"
#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>

/* A layer of the version, as the cache has it. */
struct plan_source {
	struct digest object; /* layer object: tells two indexes of one tarball
				 apart */
	const char *index;    /* path of the EROFS image */
	const char *data;     /* path of the tarball */
};

struct plan_request {
	const char *source;	/* what findmnt shows, e.g. "my-data@3" */
	const char *lower_root; /* directory for the EROFS mounts */
	const char *empty;	/* an empty directory */
	const struct plan_source *layers; /* bottom first */
	size_t n_layers;
	const char *upper; /* NULL for a read-only mount */
	const char *work;
	bool restricted; /* nosuid, nodev: for callers that are not root */
};

struct plan_image {
	char *index;
	char *data;
	char *directory; /* LOWER_ROOT/<layer object hex> */
	struct digest object;
	bool mounted; /* set by mount_plan_apply(): it was not before */
};

struct mount_plan {
	char *source;
	/* Each image once, in no particular order. */
	struct plan_image *images;
	size_t n_images;
	/* overlayfs' order: topmost first; borrowed from images or empty. */
	const char **lowers;
	size_t n_lowers;
	char *empty;
	char *upper;
	char *work;
	bool restricted;
};

#define MOUNT_PLAN_INIT                                                        \
	(struct mount_plan)                                                    \
	{                                                                      \
		0                                                              \
	}
#define _cleanup_mount_plan_ __attribute__((cleanup(mount_plan_release)))
void mount_plan_release(struct mount_plan *plan);

/*
 * A layer that occurs twice is listed once, where it is topmost: overlayfs
 * answers ELOOP otherwise. An overlay needs one lower with an upper and two
 * without; the empty directory fills in. -ENOMEM; -EINVAL for more lowers than
 * overlayfs takes (500) and for a read-only mount of nothing.
 */
int mount_plan_make(const struct plan_request *request, struct mount_plan *ret,
		    struct err *err);
