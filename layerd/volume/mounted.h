/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The read-only mounts that this host has handed out and that are still there.
 */

#include "volume/host.h"

#include <sys/types.h>

/* path is where the mount is, as the process first sees it; attached is false
 * for one that its caller had no time to attach yet. */
typedef int (*mounted_fn)(const struct catalog_mount *m, const char *path,
			  bool attached, void *ctx);

/* Calls fn for each. Those that are gone (unmounted by hand, or by a reboot)
 * are forgotten. Reads the mount tables of all processes once for each mount.
 */
int mounted_each(struct host *h, pid_t first, mounted_fn fn, void *ctx,
		 struct err *err);

/* Takes the mounts that are gone off the record. Reads the mount tables once.
 */
int mounted_forget_gone(struct host *h, struct err *err);
