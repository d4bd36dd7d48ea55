/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Running a program for somebody, and being told apart from it by nobody. */

#include "util/error.h"

/* As of shells: 128 and the number of the signal that ended it, and these for a
 * program that could not be run. */
#define EXEC_SIGNAL 128
#define EXEC_CANNOT_RUN 126
#define EXEC_NOT_FOUND 127

/*
 * Moves this process into a mount namespace of its own, which receives what is
 * mounted outside but lets nothing out, and which does not have the daemon's
 * own mounts: they would keep sessions busy that are none of ours.
 */
int exec_enter_namespace(struct err *err);

/*
 * Runs argv, found as execvp(3) does, in directory and waits for it. SIGINT,
 * SIGTERM, SIGHUP and SIGQUIT that come meanwhile are passed on, except those
 * that the terminal sent: it has them already. *ret_status is what the shell
 * would call its exit status. A program that cannot be run is an error, with
 * *ret_status set all the same.
 */
int exec_run(char *const *argv, const char *directory, int *ret_status,
	     struct err *err);
