/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a pack in the store says is in it. */

#include "format/pack.h"
#include "store/store.h"

/* Reads the contents of a pack from its end. Blocks. -ENOENT without a
 * sentence: the store has no such pack; -EBADMSG: it is damaged. */
int contents_read(struct store *s, const struct digest *pack,
		  struct pack_toc *ret, struct err *err);
