/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An archive from outside becomes a volume's first version. A tarball, whatever
 * it is compressed with, is the layer, byte for byte: its SHA-256 is the
 * layer's digest. Other archives are converted into a tarball.
 */

#include "volume/seal.h"

struct import_source {
	int fd; /* a file from its current offset on, a pipe or a socket */
	const char *name; /* for sentences */
};

struct import_result {
	struct seal_result sealed;
	const char *format;	 /* "tar" or "cpio" */
	const char *compression; /* NULL: none */
	bool converted;
};

/*
 * Makes the volume name. Memory is bounded and nothing but the tarball gets to
 * the disk. -EEXIST; -EINVAL for what is no archive or has what no layer can
 * have; -EBADMSG for a damaged one. On any failure there is no volume, and what
 * was stored is garbage. Blocks as the source does; progress_report() is called
 * several times a second meanwhile.
 */
int import_archive(struct host *h, const char *name,
		   const struct import_source *source,
		   const struct seal_options *options,
		   struct import_result *ret, struct err *err);
