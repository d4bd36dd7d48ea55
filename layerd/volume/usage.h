/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What volumes and versions take: bytes of their files, of their layers, and
 * what of the store they need, alone or with others. Manifests, indexes and
 * what frames packs are not counted.
 */

#include "volume/host.h"
#include "volume/shares.h"

struct usage_item {
	char *reference;   /* NAME of a whole volume, else a version's */
	char *volume;	   /* NULL for a version by its digest or tag */
	uint64_t sequence; /* 0 unless it is NAME@SEQUENCE */
	bool has_version;
	struct digest version; /* of a volume the newest */

	uint64_t versions; /* that it stands for */
	uint64_t files;	   /* in the version: see volume/tree-size.h */
	uint64_t size;	   /* of these */
	uint64_t layers;   /* bytes of its tarballs, each once */
	struct share share;
};

struct usage {
	struct usage_item *items;
	size_t n, alloc;
	uint64_t stored; /* bytes that the items need together */
	uint64_t shared; /* those of them that are unique to none */
	uint64_t total;	 /* bytes that all volumes need */
};

#define _cleanup_usage_ __attribute__((cleanup(usage_release)))
void usage_release(struct usage *u);

/*
 * Measures each volume or, with references, each version of a volume that is
 * given by its NAME, and each other reference as it is. What is needed alone is
 * told by all versions of the store. Blocks; every layer object and its places
 * are read once. Memory: see volume/shares.h.
 */
int usage_measure(struct host *h, const char *const *references, size_t n,
		  const struct progress *progress, struct usage *ret,
		  struct err *err);
