/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The catalog's entries of a volume, made from the store. */

#include "catalog/entries.h"
#include "volume/volume.h"

/*
 * Adds the entries that are missing, or makes them anew where they are of
 * another volume that had the name. A version that cannot be read has none, and
 * is tried again the next time.
 */
int find_update_entries(struct host *h, const struct volume *v,
			struct err *err);

/* A version as its entry tells it: without layers. *ret_size is theirs. -ENOMEM
 * or -EBADMSG for an entry that cannot be. */
int find_decode_entry(const struct catalog_entry *e, struct version **ret,
		      uint64_t *ret_size);

/*
 * The version of a number as its entry tells it, or from the store, where there
 * is no entry of that version. Without layers in either case.
 */
int find_read_brief(struct host *h, const struct volume *v, uint64_t sequence,
		    const struct digest *version, struct version **ret,
		    uint64_t *ret_size, struct err *err);

/* The labels of an entry, which borrow from it; how many. */
size_t find_split_labels(const struct catalog_entry *e,
			 struct label labels[static VERSION_LABELS_MAX]);
