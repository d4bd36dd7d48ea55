/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The catalog's entries: one for each number of a volume that has a version,
 * with what versions are searched by and what is told of many. They are made
 * from the store when they are first wanted (volume/find.h) and may be behind
 * it, or ahead of a version that was removed: who uses one looks whether the
 * store still says so.
 */

#include "catalog/catalog.h"

#define CATALOG_PAGE 256

struct catalog_entry {
	char *volume;
	uint64_t sequence;
	struct digest version;
	int64_t created;
	uint32_t nsec;
	char *message;
	struct buf labels; /* of the manifest: key, NUL, value, NUL, ... */
	bool has_parent;
	struct digest parent;
	char *origin; /* where the version was sealed, and as what */
	uint64_t number;
	char *consistency;
	uint64_t changed;
	uint64_t added;
	uint64_t size; /* of all layers */
};

struct catalog_page {
	struct catalog_entry items[CATALOG_PAGE];
	size_t n;
};

#define _cleanup_catalog_page_ __attribute__((cleanup(catalog_page_release)))
void catalog_page_release(struct catalog_page *p);
void catalog_entry_release(struct catalog_entry *e);

/* Up to which number the entries of a volume were made, and what its head was
 * then. -ENOENT without a text. */
int catalog_get_listed(struct catalog *c, const char *volume,
		       uint64_t *ret_sequence, struct digest *ret_head,
		       struct err *err);

/* Adds entries of one volume, or puts them in the place of those with their
 * numbers, and says up to which number all are there: in one transaction. */
int catalog_add_entries(struct catalog *c, const char *volume,
			uint64_t sequence, const struct digest *head,
			const struct catalog_entry *entries, size_t n,
			struct err *err);

/* The entry of a number. -ENOENT without a text. */
int catalog_get_entry(struct catalog *c, const char *volume, uint64_t sequence,
		      struct catalog_entry *ret, struct err *err);

/* Forgets a volume's entries. */
int catalog_forget_entries(struct catalog *c, const char *volume,
			   struct err *err);

/*
 * The next entries, newest first, made from since to until, in seconds; those
 * of one version follow each other. volume NULL: of all. after NULL: the first
 * ones. p must be empty; it is again when there are no more.
 */
int catalog_next_entries(struct catalog *c, const char *volume, int64_t since,
			 int64_t until, const struct catalog_entry *after,
			 struct catalog_page *p, struct err *err);

/* Calls fn for all that have a version, by name and number. The catalog is
 * locked meanwhile. */
typedef int (*catalog_place_fn)(const char *volume, uint64_t sequence,
				void *ctx);
int catalog_each_entry_of(struct catalog *c, const struct digest *version,
			  catalog_place_fn fn, void *ctx, struct err *err);

/* The same for all volumes that share a version with one, or with one that
 * does, and so on; itself is one of them. The numbers are 0. */
int catalog_each_related(struct catalog *c, const char *volume,
			 catalog_place_fn fn, void *ctx, struct err *err);
