/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The catalog's index over the store, made anew from the store alone: chunk
 * places from the contents of the packs, versions from the volumes' sequence
 * objects, layers from the manifests. Packs and versions that cannot be read
 * are left out (their chunks are then stored again) and counted, as are packs
 * that a check of the store marked as damaged.
 */

#include "volume/host.h"

struct rebuilt {
	uint64_t packs;
	uint64_t versions; /* numbers of volumes */
	uint64_t skipped;  /* packs and versions that could not be read */
	bool damaged;	   /* the file was damaged and put aside */
};

/*
 * Adds versions and layers that the index lacks: the last commits before a
 * power cut, or one whose last step failed. Does so once for a daemon, for whom
 * something was not found; whether it did.
 */
bool host_complete_catalog(struct host *h);

/* Adds what the index lacks. progress may be NULL. */
int host_fill_catalog(struct host *h, const struct progress *progress,
		      struct rebuilt *ret, struct err *err);

/*
 * Throws the index away, and the file if it is damaged, and makes it anew.
 * Seals may go on meanwhile: what they do not find they store again. When it is
 * cut short the next start does it.
 */
int host_rebuild_catalog(struct host *h, const struct progress *progress,
			 struct rebuilt *ret, struct err *err);
