/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* mount --exec: mount, run, seal, unmount. */

#include "tool.h"

/* Refuses options that contradict one another, or, readonly, what is mounted.
 */
int mount_exec_check(const struct tool *t, bool readonly, struct err *err);

/* Before the mount: connects to the daemon where the caller is, and goes to a
 * mount namespace where nobody else sees what is mounted. */
int mount_exec_prepare(struct tool *t, struct err *err);

/* Runs the command at path, where reply says what is mounted, and does with the
 * session what its end asks for. t->status becomes the status to exit with. */
int mount_exec(struct tool *t, const char *path, const json_t *reply,
	       struct err *err);
