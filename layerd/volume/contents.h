/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a pack in the store says is in it. */

#include "format/pack.h"
#include "store/store.h"
#include "volume/host.h"

/* Reads the contents of a pack from its end. Blocks. -ENOENT without a
 * sentence: the store has no such pack; -EBADMSG: it is damaged. */
int contents_read(struct store *s, const struct digest *pack,
		  struct pack_toc *ret, struct err *err);

/* Whether a check has marked the pack as damaged: no new layer may take chunks
 * from it. */
bool contents_is_marked(struct store *s, const struct digest *pack);

/*
 * Takes the packs that a layer's places name out of the catalog, when some of
 * its data turned out to be damaged or lost: whoever seals the same data again
 * then writes it anew instead of pointing at the damage once more.
 */
void contents_forget_layer(struct host *h, const struct digest *tar);
