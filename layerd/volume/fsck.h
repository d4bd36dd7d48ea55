/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Checks a store, this host's cache and its catalog against one another, and
 * repairs what this host can supply. The store may be in use meanwhile.
 *
 *   volumes, sessions -> versions -> layers -> places -> packs
 *
 * each found from the one before, and each looked at once however many share
 * it. What nothing leads to is counted and left to the collector. With data,
 * the packs are read as well: layer by layer in the order of the tarballs, so
 * that their digests are checked too. A chunk that several layers have is
 * checked once and read again for the digest of each tarball it is in.
 */

#include "volume/host.h"

struct fsck_options {
	const char *reference; /* NULL: everything */
	bool read_data;
	bool repair;
	const struct progress *progress;
};

enum fsck_state {
	FSCK_LOST,	 /* nothing here can supply it */
	FSCK_REPAIRABLE, /* a repair would */
	FSCK_REPAIRED,
};

#define FSCK_PATHS_MAX 16
#define FSCK_VERSIONS_MAX 100

/* One object, and what its state means. Valid during the call. */
struct fsck_finding {
	const char *object; /* a key of the store, or a path in the state
			     * directory */
	const char *kind;   /* "missing", "damaged", "wrong" or "stale" */
	const char *message;
	enum fsck_state state;
	/* What it touches, the first of each and how many there are. Versions
	 * as NAME@SEQUENCE, NAME:TAG or "session ID"; paths inside layers. */
	const char *const *versions;
	size_t n_versions;
	uint64_t versions_total;
	const char *const *paths;
	size_t n_paths;
	uint64_t paths_total;
};

struct fsck_totals {
	uint64_t versions;
	uint64_t layers;
	uint64_t packs;
	uint64_t chunks; /* of layers, looked up */
	uint64_t bytes;	 /* of packs, read */
	uint64_t cached; /* layers in the cache */
	uint64_t findings;
	uint64_t repairable;
	uint64_t repaired;
	/* Objects of the store that no version and no session needs. */
	uint64_t orphans;
	uint64_t orphan_bytes;
	/* Numbers that were given out for seals that did not finish. */
	uint64_t unfinished;
};

typedef int (*fsck_fn)(const struct fsck_finding *f, void *ctx,
		       struct err *err);

/* Blocks for long. Damage is not an error: it goes to fn when all is known. */
int fsck(struct host *h, const struct fsck_options *options, fsck_fn fn,
	 void *ctx, struct fsck_totals *ret, struct err *err);
