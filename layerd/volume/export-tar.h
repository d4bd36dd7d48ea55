/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a version, or a directory in it, shows as one tarball in our form (see
 * format/tar-writer.h): without whiteouts, files with several names as hard
 * links to the first. Equal trees make equal bytes, and those of a version
 * with one layer that we sealed are that layer.
 */

#include "volume/caller.h"
#include "volume/tree.h"

struct export_tar {
	struct tree *tree;
	const char *path; /* becomes the root; what is no directory is the one
			     entry, under its own name */
	int fd;		  /* borrowed; see volume/sink.h */
	const struct caller *caller;
	const struct progress *progress;
};

struct export_tar_result {
	uint64_t entries;
	uint64_t size; /* of the tarball */
};

/* Blocks. Written with the caller's credentials. -ENOENT without a text: path
 * is not in the version. */
int export_tar(struct host *h, const struct export_tar *request,
	       struct export_tar_result *ret, struct err *err);
