/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Finds what a seal has to write: walks the upper directory and compares it
 * with what the last seal captured. Nothing is read but names, attributes and
 * overlayfs' own marks.
 */

#include "volume/captured.h"
#include "volume/changes.h"
#include "volume/host.h"

#include <stdbool.h>

struct scan_request {
	const struct host *host;
	const struct progress *progress;
	int root_fd;   /* upper directory, or a plain one */
	int merged_fd; /* root of the merged mount; -1: a plain directory */
	/* What the last seal captured, NULL to take everything. Consumed. */
	struct captured_reader *before;
	/* Receives what this one captures; NULL if nothing follows. */
	struct captured_writer *after;
	/* Whether a change always changes ctime (multigrain timestamps). */
	bool fine_times;
	/* Whether a lower layer has an object at path. */
	bool (*lower_has)(const char *path, void *ctx);
	void *lower_ctx;
};

/* Nanoseconds, two clock ticks of the slowest kernel (CONFIG_HZ=100). */
#define SCAN_RACY_NS 20000000

/* Names must be read with the change list's directories: see volume/emit.h.
 * Blocks; -ECANCELED when it was stopped. */
int scan_upper(const struct scan_request *request, struct changes *ret,
	       struct err *err);

/* Whether the file system of fd, on this kernel, has multigrain timestamps:
 * ext4, XFS, btrfs and tmpfs since Linux 6.13. */
bool scan_has_fine_times(int fd);
