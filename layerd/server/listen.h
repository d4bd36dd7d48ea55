/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The API's socket: made here, or handed over by systemd. */

#include "util/error.h"

/*
 * A listening socket at RUNTIME/layerd.sock, mode 0660, of group "layer" where
 * that exists; or the one that systemd passes (LISTEN_FDS, sd_listen_fds(3)).
 * A socket that a dead daemon left is replaced: the caller holds the state
 * lock, so nobody else serves it. *ret_activated: it is systemd's.
 */
int listen_open(const char *runtime_dir, int *ret_fd, int *ret_activated,
		struct err *err);

/* Removes the socket's name. */
void listen_remove(const char *runtime_dir);
