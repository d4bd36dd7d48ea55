/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/query.h"

#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

/* Without the mark the same error shows again after the next start. */
static void mark_damaged(const struct catalog *c)
{
	_cleanup_close_ int fd = -1;
	char mark[PATH_MAX];
	int n = snprintf(mark, sizeof(mark), "%s" CATALOG_DAMAGED, c->path);

	if (n > 0 && n < (int)sizeof(mark))
		fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

int query_error(const struct catalog *c, int code, struct err *err)
{
	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:
	case SQLITE_MISMATCH:
		mark_damaged(c);
		return err_set(err, EBADMSG,
			       "the catalog %s is damaged (%s); nothing was "
			       "lost, restart layerd: it sets the file aside "
			       "and makes the catalog anew from the store",
			       c->path, sqlite3_errstr(code));
	case SQLITE_FULL:
		return err_set(err, ENOSPC,
			       "no space to write to the catalog %s; nothing "
			       "was lost, free some space there and run the "
			       "same command again",
			       c->path);
	case SQLITE_READONLY:
		return err_set(err, EROFS,
			       "the catalog %s cannot be written to; make the "
			       "file and its directory writable",
			       c->path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(err, EBUSY,
			       "the catalog %s is locked by another process; "
			       "end that process and try again",
			       c->path);
	case SQLITE_NOMEM:
		return err_oom(err);
	default:
		return err_set(err, EIO, "the catalog %s: %s", c->path,
			       sqlite3_errstr(code));
	}
}

struct query query_start(struct catalog *c, enum schema_query which)
{
	pthread_mutex_lock(&c->lock);
	return (struct query){.catalog = c, .statement = c->queries[which]};
}

void query_end(struct query *q)
{
	/* Repeats the error of the last step, which was reported. There is no
	 * statement when the catalog could not be opened again. */
	(void)sqlite3_reset(q->statement);
	if (q->statement)
		(void)sqlite3_clear_bindings(q->statement);
	pthread_mutex_unlock(&q->catalog->lock);
}

static void bound(struct query *q, int code)
{
	if (!q->code)
		q->code = code;
}

void query_text(struct query *q, int n, const char *text)
{
	bound(q, sqlite3_bind_text(q->statement, n, text, -1, SQLITE_STATIC));
}

void query_blob(struct query *q, int n, const void *data, size_t size)
{
	bound(q,
	      sqlite3_bind_blob64(q->statement, n, data, size, SQLITE_STATIC));
}

void query_digest(struct query *q, int n, const struct digest *d)
{
	query_blob(q, n, d->bytes, DIGEST_SIZE);
}

void query_number(struct query *q, int n, uint64_t v)
{
	bound(q, sqlite3_bind_int64(q->statement, n, (int64_t)v));
}

int query_step(struct query *q, struct err *err)
{
	int code = q->code ? q->code : sqlite3_step(q->statement);

	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	return query_error(q->catalog, code, err);
}

int query_get_digest(struct query *q, int column, struct digest *ret,
		     struct err *err)
{
	const void *p = sqlite3_column_blob(q->statement, column);

	if (sqlite3_column_bytes(q->statement, column) != DIGEST_SIZE)
		return query_error(q->catalog, SQLITE_CORRUPT, err);
	memcpy(ret->bytes, p, DIGEST_SIZE);
	return 0;
}

uint64_t query_get_number(struct query *q, int column)
{
	return (uint64_t)sqlite3_column_int64(q->statement, column);
}

int query_get_text(struct query *q, int column, char **ret, struct err *err)
{
	const char *s = (const char *)sqlite3_column_text(q->statement, column);
	int n = sqlite3_column_bytes(q->statement, column);

	if (!s || strlen(s) != (size_t)n)
		return query_error(q->catalog, SQLITE_CORRUPT, err);
	*ret = strdup(s);
	return *ret ? 0 : err_oom(err);
}

int query_get_blob(struct query *q, int column, struct buf *b, struct err *err)
{
	const void *p = sqlite3_column_blob(q->statement, column);
	int n = sqlite3_column_bytes(q->statement, column);

	return n && buf_add(b, p, (size_t)n) < 0 ? err_oom(err) : 0;
}

int query_run(struct query *q, struct err *err)
{
	int r;

	do
		r = query_step(q, err);
	while (r > 0);
	return r;
}

int query_simple(struct catalog *c, enum schema_query which, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, which);

	return query_run(&q, err);
}

int query_finish(struct catalog *c, int r, struct err *err)
{
	if (r == 0)
		r = query_simple(c, QUERY_COMMIT, err);
	/* SQLite rolls back by itself when the disk is full or fails, and takes
	 * a second time for an error of ours. */
	if (r < 0 && c->db && !sqlite3_get_autocommit(c->db))
		(void)query_simple(c, QUERY_ROLLBACK, NULL);
	return r;
}
