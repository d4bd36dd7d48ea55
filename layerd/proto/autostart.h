/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Starting the daemon from a client, as gpg and tmux do. */

#include "util/error.h"

/* What `layerd --daemonize` exits with when another daemon runs already or is
 * about to: sysexits.h, EX_TEMPFAIL. */
#define AUTOSTART_RUNNING 75

/* Another daemon is being started; it will listen soon. */
#define AUTOSTART_E_RUNNING 1

/*
 * Runs `layerd --daemonize`, which returns once the daemon listens and
 * otherwise says why on standard error. The program is $LAYERD_PROGRAM; without
 * it, the first of: the one beside this executable, in ../sbin or (of a build)
 * ../layerd beside it, in $PATH, in /usr/libexec, in /usr/sbin. 0,
 * AUTOSTART_E_RUNNING, or -ECONNREFUSED. Blocks.
 */
int autostart(struct err *err);
