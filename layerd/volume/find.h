/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Versions of all volumes that have some things in common, newest first. They
 * are searched for in the catalog, whose entries are first made to say what the
 * store has now; what is found is what the store has.
 */

#include "volume/volume.h"

struct find_request {
	const struct label *labels; /* all of these; value NULL: any value */
	size_t n_labels;
	const char *volume; /* NULL: any */
	/* Also of the volumes that share versions with that one, or with one
	 * that does, and so on. */
	bool related;
	const char *message; /* a part of it; NULL: any */
	int64_t since;	     /* made in this second or later */
	int64_t until;	     /* and in this one or earlier */
	uint64_t limit;	     /* no more than so many */
	bool brief; /* versions without layers, which is much quicker */
};

/* A number of a volume; the volume is borrowed. */
struct find_place {
	const struct volume *volume;
	uint64_t sequence;
};

/* A version that matches, under the place that does: the one it was sealed at,
 * if that is among several. */
struct find_found {
	const struct version *version;
	uint64_t size; /* of the layers of a brief one */
	struct find_place place;
	/* All that have this version, by name and number. */
	const struct find_place *places;
	size_t n_places;
};

/* 0, or an error that ends the search. */
typedef int (*find_fn)(const struct find_found *found, void *ctx,
		       struct err *err);

/* -ENOENT with a sentence for a volume that is not there. Versions, and volumes
 * where others are meant as well, that cannot be read are left out. */
int volume_find(struct host *h, const struct find_request *request, find_fn fn,
		void *ctx, struct err *err);
