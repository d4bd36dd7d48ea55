/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Running one prepared statement: locked, bound, stepped, and given back.
 *
 *   _cleanup_query_ struct query q = query_start(c, QUERY_META_GET);
 *   query_text(&q, 1, key);
 *   r = query_step(&q, err);
 *
 * Binding remembers its first error, which stepping reports. Bound memory must
 * stay until the query ends. The lock may be taken again by its holder, so that
 * transactions are queries around queries.
 */

#include "catalog/catalog.h"
#include "catalog/schema.h"

#include <pthread.h>
#include <sqlite3.h>

struct catalog {
	sqlite3 *db;
	char *path;
	pthread_mutex_t lock;
	sqlite3_stmt *queries[QUERY_COUNT];
};

struct query {
	struct catalog *catalog;
	sqlite3_stmt *statement;
	int code; /* of SQLite */
};

#define _cleanup_query_ __attribute__((cleanup(query_end)))
struct query query_start(struct catalog *c, enum schema_query which);
void query_end(struct query *q);

void query_text(struct query *q, int n, const char *text);
void query_blob(struct query *q, int n, const void *data, size_t size);
void query_digest(struct query *q, int n, const struct digest *d);
/* Numbers beyond INT64_MAX come back as they were. */
void query_number(struct query *q, int n, uint64_t v);

/* 1 for a row, 0 at the end, a negative errno with a sentence. */
int query_step(struct query *q, struct err *err);

/* A column of the row. -EBADMSG with a sentence when it is none. */
int query_get_digest(struct query *q, int column, struct digest *ret,
		     struct err *err);
uint64_t query_get_number(struct query *q, int column);
/* Copies, the caller's. A text has no NUL in it. */
int query_get_text(struct query *q, int column, char **ret, struct err *err);
int query_get_blob(struct query *q, int column, struct buf *b, struct err *err);

/* A statement that returns no rows. */
int query_run(struct query *q, struct err *err);

/* BEGIN, COMMIT, ROLLBACK and others without parameters. */
int query_simple(struct catalog *c, enum schema_query which, struct err *err);

/* Ends a transaction; a failed one (r < 0) leaves nothing behind. Returns r or
 * the error of the end. With the lock held. */
int query_finish(struct catalog *c, int r, struct err *err);

/* Closes the database, which is damaged, puts it aside and opens a new one.
 * With the lock held. */
int catalog_renew(struct catalog *c, struct err *err);

/* 1 and the number that a pack has in the catalog, or 0. */
int catalog_find_pack(struct catalog *c, const struct digest *pack,
		      uint64_t *ret_id, struct err *err);

/* The recorded mounts, each owning its strings. Release also what failed. */
struct catalog_mounts {
	struct catalog_mount *all;
	size_t n;
};
void catalog_mounts_release(struct catalog_mounts *m);
int catalog_mounts_load(struct catalog *c, struct catalog_mounts *mounts,
			struct err *err);

/* Behind the catalog's path: a file that says that the catalog is damaged. */
#define CATALOG_DAMAGED ".damaged"

/* The negative errno for a code of SQLite, with a sentence. Makes the file
 * above where the code says so. */
int query_error(const struct catalog *c, int code, struct err *err);
