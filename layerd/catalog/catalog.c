/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Opening and migrating the catalog.
 *
 * Opening takes milliseconds however large the file is: it reads the header and
 * the schema, prepares every statement, which proves that the tables are ours,
 * and reads a row of each. Damage further in shows when a page is read
 * (SQLITE_CORRUPT, -EBADMSG); it is remembered by a file beside the database,
 * PATH.damaged, and the next opening puts both away.
 * Losing the last transactions in a power cut is fine (synchronous=NORMAL), as
 * the store is the truth; writing to the wrong file is not, so a database with
 * another application_id is put aside like a damaged one.
 */

#include "catalog/catalog.h"

#include "catalog/query.h"
#include "util/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <time.h>

#define BUSY_TIMEOUT_MS 5000

#define STRING_(x) #x
#define STRING(x) STRING_(x)

/* Internal outcome: the file is damaged or not ours. */
#define DAMAGED 3

static int run(struct catalog *c, const char *sql)
{
	return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

/* The single number that sql answers. */
static int ask(struct catalog *c, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	int code;

	code = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);
	if (code == SQLITE_OK) {
		code = sqlite3_step(st);
		if (code == SQLITE_ROW) {
			*ret = sqlite3_column_int64(st, 0);
			code = SQLITE_OK;
		} else if (code == SQLITE_DONE) {
			code = SQLITE_CORRUPT;
		}
	}
	sqlite3_finalize(st);
	return code;
}

/* Changes nothing in the file, which may be somebody else's. It may be hostile
 * as well: its schema must not run anything. */
static int configure(struct catalog *c)
{
	(void)sqlite3_extended_result_codes(c->db, 1);
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
	return run(c, "PRAGMA synchronous = NORMAL;"
		      "PRAGMA cell_size_check = ON;"
		      "PRAGMA cache_size = -16384;"
		      "PRAGMA journal_size_limit = 16777216;");
}

/* Runs the steps that are missing, in one transaction. */
static int migrate(struct catalog *c, int64_t from)
{
	int code = run(c, "BEGIN IMMEDIATE");

	for (size_t i = (size_t)from; code == SQLITE_OK && i < schema_version;
	     i++) {
		char version[48];

		snprintf(version, sizeof(version), "PRAGMA user_version = %zu",
			 i + 1);
		code = run(c, schema_steps[i]);
		if (code == SQLITE_OK)
			code = run(c, version);
	}
	if (code == SQLITE_OK)
		code = run(c, "PRAGMA application_id = " STRING(
				      SCHEMA_APPLICATION_ID));
	if (code == SQLITE_OK)
		code = run(c, "COMMIT");
	if (code != SQLITE_OK)
		(void)run(c, "ROLLBACK");
	return code;
}

static int prepare(struct catalog *c)
{
	for (size_t i = 0; i < QUERY_COUNT; i++) {
		int code = sqlite3_prepare_v3(c->db, schema_queries[i], -1,
					      SQLITE_PREPARE_PERSISTENT,
					      &c->queries[i], NULL);

		if (code != SQLITE_OK)
			return code;
	}
	return SQLITE_OK;
}

/* The roots of the large tables, all of the small ones that a start needs. */
static int probe(struct catalog *c)
{
	return run(c, "SELECT * FROM meta; SELECT * FROM mount;"
		      "SELECT * FROM pack LIMIT 1; SELECT * FROM chunk LIMIT 1;"
		      "SELECT * FROM version LIMIT 1;"
		      "SELECT * FROM layer LIMIT 1;"
		      "SELECT * FROM cache LIMIT 1;"
		      "SELECT * FROM listed LIMIT 1;"
		      "SELECT * FROM entry LIMIT 1;");
}

/* 0, CATALOG_E_NEW, or -EBADMSG for a newer schema; *ret_code is SQLite's. */
static int open_schema(struct catalog *c, int *ret_code, struct err *err)
{
	int64_t application, version, objects;
	int code, r = 0;

	code = configure(c);
	if (code == SQLITE_OK)
		code = ask(c, "PRAGMA application_id", &application);
	if (code == SQLITE_OK)
		code = ask(c, "PRAGMA user_version", &version);
	if (code == SQLITE_OK)
		code = ask(c, "SELECT count(*) FROM sqlite_schema", &objects);
	if (code == SQLITE_OK && version == 0 && objects == 0)
		r = CATALOG_E_NEW;
	else if (code == SQLITE_OK &&
		 (application != SCHEMA_APPLICATION_ID || version < 1))
		code = SQLITE_NOTADB;
	if (code == SQLITE_OK && version > (int64_t)schema_version)
		return err_set(err, EBADMSG,
			       "the catalog %s has schema version %" PRId64
			       " and this layerd knows versions up to %zu; use "
			       "a newer layerd, or delete the file: it is "
			       "rebuilt from the store",
			       c->path, version, schema_version);
	if (code == SQLITE_OK)
		code = run(c, "PRAGMA journal_mode = WAL");
	if (code == SQLITE_OK && version < (int64_t)schema_version)
		code = migrate(c, version);
	if (code == SQLITE_OK)
		code = prepare(c);
	if (code == SQLITE_OK)
		code = probe(c);
	*ret_code = code;
	return r;
}

static int new_catalog(struct catalog **ret, const char *path)
{
	struct catalog *c = calloc(1, sizeof(*c));
	pthread_mutexattr_t attr;
	int r;

	if (!c)
		return -ENOMEM;
	c->path = strdup(path);
	r = c->path ? -pthread_mutexattr_init(&attr) : -ENOMEM;
	if (r == 0) {
		(void)pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
		r = -pthread_mutex_init(&c->lock, &attr);
		pthread_mutexattr_destroy(&attr);
	}
	if (r < 0) {
		free(c->path);
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

/* 0, CATALOG_E_NEW or DAMAGED. */
static int open_once(struct catalog **ret, const char *path, struct err *err)
{
	_cleanup_(catalog_freep) struct catalog *c = NULL;
	int code, r;

	r = new_catalog(&c, path);
	if (r < 0)
		return err_oom(err);
	code = sqlite3_open_v2(path, &c->db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				       SQLITE_OPEN_NOMUTEX,
			       NULL);
	if (code == SQLITE_OK) {
		r = open_schema(c, &code, err);
		if (r < 0)
			return r;
	}
	switch (code & 0xff) {
	case SQLITE_OK:
		*ret = TAKE_PTR(c);
		return r;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:
		return DAMAGED;
	default:
		return query_error(c, code, err);
	}
}

static int rename_with(const char *path, const char *aside, const char *suffix)
{
	char from[PATH_MAX], to[PATH_MAX];
	int a = snprintf(from, sizeof(from), "%s%s", path, suffix);
	int b = snprintf(to, sizeof(to), "%s%s", aside, suffix);

	if (a < 0 || a >= (int)sizeof(from) || b < 0 || b >= (int)sizeof(to))
		return -ENAMETOOLONG;
	if (rename(from, to) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* The log goes along: it belongs to this file and no other. */
static int put_aside(const char *path, struct err *err)
{
	char aside[PATH_MAX], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int n, r;

	if (!gmtime_r(&now, &tm) ||
	    !strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm))
		return err_set(err, EINVAL, "the clock is not set");
	n = snprintf(aside, sizeof(aside), "%s.corrupt-%s", path, when);
	if (n < 0 || n >= (int)sizeof(aside))
		return err_errno(err, ENAMETOOLONG, "the catalog %s", path);
	r = rename_with(path, aside, "");
	if (r == 0)
		r = rename_with(path, aside, "-wal");
	if (r == 0)
		r = rename_with(path, aside, "-shm");
	if (r < 0)
		return err_errno(err, r,
				 "the catalog %s is damaged and cannot be "
				 "renamed to %s",
				 path, aside);
	return 0;
}

static int mark_path(const char *path, char mark[static PATH_MAX],
		     struct err *err)
{
	int n = snprintf(mark, PATH_MAX, "%s" CATALOG_DAMAGED, path);

	if (n < 0 || n >= PATH_MAX)
		return err_errno(err, ENAMETOOLONG, "the catalog %s", path);
	return 0;
}

/* Puts the damaged file aside and opens a new one. */
static int replace(struct catalog **ret, const char *path, const char *mark,
		   struct err *err)
{
	int r = put_aside(path, err);

	if (r < 0)
		return r;
	if (unlink(mark) < 0 && errno != ENOENT)
		return err_errno(err, errno, "cannot remove %s", mark);
	r = open_once(ret, path, err);
	if (r == DAMAGED)
		return err_set(err, EIO, "cannot create a new catalog at %s",
			       path);
	return r < 0 ? r : CATALOG_E_CORRUPT;
}

int catalog_open(struct catalog **ret, const char *path, struct err *err)
{
	char mark[PATH_MAX];
	int r = mark_path(path, mark, err);

	if (r < 0)
		return r;
	r = access(mark, F_OK) == 0 ? DAMAGED : open_once(ret, path, err);
	return r == DAMAGED ? replace(ret, path, mark, err) : r;
}

static void close_database(struct catalog *c)
{
	for (size_t i = 0; i < QUERY_COUNT; i++) {
		sqlite3_finalize(c->queries[i]);
		c->queries[i] = NULL;
	}
	/* Cannot be busy: all statements are gone. */
	(void)sqlite3_close(c->db);
	c->db = NULL;
}

int catalog_renew(struct catalog *c, struct err *err)
{
	_cleanup_(catalog_freep) struct catalog *new = NULL;
	char mark[PATH_MAX];
	int r = mark_path(c->path, mark, err);

	if (r < 0)
		return r;
	/* Before it is renamed: closing removes the log by its name. */
	close_database(c);
	r = replace(&new, c->path, mark, err);
	if (r < 0)
		return r;
	c->db = TAKE_PTR(new->db);
	memcpy(c->queries, new->queries, sizeof(c->queries));
	memset(new->queries, 0, sizeof(new->queries));
	return 0;
}

struct catalog *catalog_free(struct catalog *c)
{
	if (!c)
		return NULL;
	close_database(c);
	pthread_mutex_destroy(&c->lock);
	free(c->path);
	free(c);
	return NULL;
}

void catalog_freep(struct catalog **c)
{
	*c = catalog_free(*c);
}

int catalog_get_meta(struct catalog *c, const char *key, struct buf *value,
		     struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_META_GET);
	const void *text;
	int r;

	query_text(&q, 1, key);
	r = query_step(&q, err);
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	text = sqlite3_column_text(q.statement, 0);
	if (!text || buf_add(value, text,
			     (size_t)sqlite3_column_bytes(q.statement, 0)) < 0)
		return err_oom(err);
	return 0;
}

int catalog_set_meta(struct catalog *c, const char *key, const char *value,
		     struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_META_SET);

	query_text(&q, 1, key);
	query_text(&q, 2, value);
	return query_run(&q, err);
}
