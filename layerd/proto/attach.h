/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The caller's half of the method Mount: a detached mount comes from the daemon
 * and goes to a directory in the caller's mount namespace.
 */

#include "util/error.h"
#include "util/mount-options.h"

#include <jansson.h>

#define ATTACH_DEFAULT "/workspace"

/*
 * Checks that the caller may mount and that path can be mounted on: a directory
 * that is no mount point. NULL stands for ATTACH_DEFAULT, which is created when
 * it is missing. *ret is the absolute path; free() it.
 */
int attach_check(const char *path, char **ret, struct err *err);

/*
 * What is mounted at path, if that is the root of a mount: its source as in
 * mountinfo, e.g. "my-data@3"; free() it. 0, or -ENOENT without a text when
 * path is no such root or cannot be examined.
 */
int attach_source(const char *path, char **ret);

/* The parameters of Mount; NULL without memory. */
json_t *attach_parameters(const char *reference, const char *path,
			  const struct mount_options *options);

/*
 * Attaches the mount *fd that came with the reply of Mount to path, as options
 * say, and closes it in any case: it would keep the mount busy. A session that
 * cannot be attached stays, as the error says: by now somebody else may have
 * taken it up.
 */
int attach_reply(const json_t *reply, int *fd, const char *reference,
		 const char *path, const struct mount_options *options,
		 struct err *err);
