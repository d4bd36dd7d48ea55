/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The catalog's entries of a volume, made from the store. */

#include "volume/volume.h"

/*
 * Adds the entries that are missing, or makes them anew where they are of
 * another volume that had the name. A version that cannot be read has none, and
 * is tried again the next time.
 */
int find_update_entries(struct host *h, const struct volume *v,
			struct err *err);
