/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The two roots: LAYERD_STATE_DIR (default /var/lib/layerd) and
 * LAYERD_RUNTIME_DIR (default /run/layerd). Both absolute.
 */

#include <limits.h>

const char *paths_state_dir(void);
const char *paths_runtime_dir(void);

/*
 * A path for connecting or binding a Unix socket named name in directory: as it
 * is when it fits into sun_path, else through /proc/self/fd and *ret_dirfd,
 * which the caller closes afterwards (-1 if unused). 0 or a negative errno.
 */
#define PATHS_SOCKET_MAX 108
int paths_socket(const char *directory, const char *name,
		 char path[static PATHS_SOCKET_MAX], int *ret_dirfd);
