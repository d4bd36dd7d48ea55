/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What stands between a stored image and the kernel; private to the reader. */

#include "format/erofs-object.h"

/*
 * Whether the image is the one that the writer makes from its own entries:
 * each inode and each block exactly where the layout puts it, and zeros
 * everywhere else. That leaves no room for inodes that overlap, are shared, or
 * form a cycle. -EBADMSG.
 */
int erofs_check(const struct erofs_view *v, const struct erofs_head *head,
		struct err *err);
