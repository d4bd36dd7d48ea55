/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the daemon is to write, as a descriptor of a directory: that of the
 * path if it is one, else of the directory it is, or will be, in.
 */

#include "util/cleanup.h"
#include "util/error.h"

#include <jansson.h>

struct destination {
	int fd;
	json_t *name; /* what to make there, as the API wants it; or NULL */
};

#define DESTINATION_INIT                                                       \
	(struct destination)                                                   \
	{                                                                      \
		.fd = -1                                                       \
	}
#define _cleanup_destination_ __attribute__((cleanup(destination_release)))
void destination_release(struct destination *d);

int destination_open(const char *path, struct destination *ret,
		     struct err *err);
