/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Archives that no index can point into become tarballs of our own: the same
 * archive gives the same tarball, in the archive's order. Nothing is unpacked.
 */

#include "format/archive-input.h"
#include "volume/layer-build.h"

/* Adds what is in a cpio archive to b. */
int convert_cpio(struct layer_build *b, struct archive_input *in,
		 struct err *err);

/*
 * Adds what is in a foreign tarball of size bytes, already whole in tar_fd, to
 * b. Holes that no index could have become smaller or zeros.
 */
int convert_tar(struct layer_build *b, int tar_fd, uint64_t size,
		const struct progress *progress, struct err *err);
