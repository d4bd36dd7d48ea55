/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Keeps warm what is warm. A file in an EROFS mount has pages of its own in the
 * page cache, into which the kernel copies from those of the tarball when the
 * file is first read: the first pass over a version that was just sealed or
 * fetched here runs at a third of the speed of the others. A thread does that
 * copying ahead for the large files of an image that was just mounted. It reads
 * nothing from the disk and takes only memory that nobody else has used.
 */

#include "cache/cache.h"
#include "util/digest.h"
#include "util/error.h"

struct warmer;

/* lower_root: where images are mounted, each in a directory named by its layer
 * object. The thread starts with the first image. */
int warmer_new(struct warmer **ret, struct cache *c, const char *lower_root,
	       struct err *err);
/* Waits for the piece at hand, which takes a moment. */
struct warmer *warmer_free(struct warmer *w);

/* An image was mounted. Takes its turn; does not block and cannot fail: what is
 * not warmed is only slower. */
void warmer_add(struct warmer *w, const struct digest *tar,
		const struct digest *object);
