/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A file that appears under its name when it is whole. Until then it has no
 * name, where the file system can do that, and else a temporary one beside it,
 * which is removed when a signal ends the program. One at a time.
 */

#include "util/cleanup.h"
#include "util/error.h"

#include <stdbool.h>

struct outfile {
	int fd; /* to write to */
	char *path;
	char *temporary; /* NULL: it has no name */
	bool direct;	 /* the path is no file, and is written to as it is */
};

#define OUTFILE_INIT                                                           \
	(struct outfile)                                                       \
	{                                                                      \
		.fd = -1                                                       \
	}
#define _cleanup_outfile_ __attribute__((cleanup(outfile_release)))
/* Removes what has not got its name. */
void outfile_release(struct outfile *o);

/* -EEXIST when there is a file at path, unless replace is set. */
int outfile_open(const char *path, bool replace, struct outfile *ret,
		 struct err *err);

/* Gives the file its name once it is on the disk. */
int outfile_publish(struct outfile *o, bool replace, struct err *err);
