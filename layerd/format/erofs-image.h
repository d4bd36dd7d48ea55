/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lays a tree out as an image and writes it; private to the writer. */

#include "format/erofs-format.h"
#include "format/erofs-tree.h"
#include "util/error.h"

/* head has tar and tar_blocks set; the tree is sorted and cannot grow after.
 */
int erofs_image_write(struct erofs_tree *t, struct erofs_head *head, int fd,
		      uint64_t *ret_size, struct err *err);
