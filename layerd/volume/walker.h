/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Keeps the directories of the current name open while a change list is gone
 * through in order, so that paths of any length are reached and no path is
 * walked twice.
 */

#include "volume/changes.h"

#include <stdint.h>

struct walker {
	const struct changes *changes;
	int root_fd; /* borrowed */
	struct walker_step {
		uint32_t item;
		int fd;
	} * steps;
	size_t n, alloc;
};

void walker_release(struct walker *w);

/* A descriptor of the directory item, valid until the next call; negative
 * errno, -ENOENT and -ENOTDIR among them, when it is not there (any more). */
int walker_open(struct walker *w, uint32_t item);
