/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: the number in "listed" is written together with the entries
 * that it promises.
 */
#include "catalog/entries.h"

#include "catalog/query.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

void catalog_entry_release(struct catalog_entry *e)
{
	free(e->volume);
	free(e->message);
	free(e->origin);
	free(e->consistency);
	buf_release(&e->labels);
	*e = (struct catalog_entry){0};
}

void catalog_page_release(struct catalog_page *p)
{
	while (p->n)
		catalog_entry_release(&p->items[--p->n]);
}

int catalog_get_listed(struct catalog *c, const char *volume,
		       uint64_t *ret_sequence, struct digest *ret_head,
		       struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_LISTED_GET);
	int r;

	query_text(&q, 1, volume);
	r = query_step(&q, err);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_sequence = query_get_number(&q, 0);
	return query_get_digest(&q, 1, ret_head, err);
}

static int set_listed(struct catalog *c, const char *volume, uint64_t sequence,
		      const struct digest *head, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_LISTED_SET);

	query_text(&q, 1, volume);
	query_number(&q, 2, sequence);
	query_digest(&q, 3, head);
	return query_run(&q, err);
}

static int add_entry(struct catalog *c, const char *volume,
		     const struct catalog_entry *e, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_ENTRY_ADD);

	query_text(&q, 1, volume);
	query_number(&q, 2, e->sequence);
	query_digest(&q, 3, &e->version);
	query_number(&q, 4, (uint64_t)e->created);
	query_number(&q, 5, e->nsec);
	query_text(&q, 6, e->message);
	/* NULL is no empty blob. */
	query_blob(&q, 7, e->labels.size ? (const void *)e->labels.data : "",
		   e->labels.size);
	query_blob(&q, 8, e->has_parent ? (const void *)e->parent.bytes : "",
		   e->has_parent ? DIGEST_SIZE : 0);
	query_text(&q, 9, e->origin);
	query_number(&q, 10, e->number);
	query_text(&q, 11, e->consistency);
	query_number(&q, 12, e->changed);
	query_number(&q, 13, e->added);
	query_number(&q, 14, e->size);
	return query_run(&q, err);
}

int catalog_add_entries(struct catalog *c, const char *volume,
			uint64_t sequence, const struct digest *head,
			const struct catalog_entry *entries, size_t n,
			struct err *err)
{
	int r;

	pthread_mutex_lock(&c->lock);
	r = query_simple(c, QUERY_BEGIN, err);
	if (r == 0) {
		for (size_t i = 0; r == 0 && i < n; i++)
			r = add_entry(c, volume, &entries[i], err);
		if (r == 0)
			r = set_listed(c, volume, sequence, head, err);
		r = query_finish(c, r, err);
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

static int forget(struct catalog *c, enum schema_query which,
		  const char *volume, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, which);

	query_text(&q, 1, volume);
	return query_run(&q, err);
}

int catalog_forget_entries(struct catalog *c, const char *volume,
			   struct err *err)
{
	int r;

	pthread_mutex_lock(&c->lock);
	r = query_simple(c, QUERY_BEGIN, err);
	if (r == 0) {
		r = forget(c, QUERY_LISTED_REMOVE, volume, err);
		if (r == 0)
			r = forget(c, QUERY_ENTRY_REMOVE, volume, err);
		r = query_finish(c, r, err);
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

static int read_parent(struct query *q, struct catalog_entry *e,
		       struct err *err)
{
	e->has_parent = sqlite3_column_bytes(q->statement, 7) > 0;
	return e->has_parent ? query_get_digest(q, 7, &e->parent, err) : 0;
}

static int read_entry(struct query *q, struct catalog_entry *e, struct err *err)
{
	uint64_t nsec = query_get_number(q, 4);
	int r = query_get_digest(q, 2, &e->version, err);

	if (r == 0 && nsec > 999999999)
		r = query_error(q->catalog, SQLITE_CORRUPT, err);
	if (r == 0)
		r = query_get_text(q, 0, &e->volume, err);
	if (r == 0)
		r = query_get_text(q, 5, &e->message, err);
	if (r == 0)
		r = query_get_blob(q, 6, &e->labels, err);
	if (r == 0)
		r = read_parent(q, e, err);
	if (r == 0)
		r = query_get_text(q, 8, &e->origin, err);
	if (r == 0)
		r = query_get_text(q, 10, &e->consistency, err);
	e->sequence = query_get_number(q, 1);
	e->created = (int64_t)query_get_number(q, 3);
	e->nsec = (uint32_t)nsec;
	e->number = query_get_number(q, 9);
	e->changed = query_get_number(q, 11);
	e->added = query_get_number(q, 12);
	e->size = query_get_number(q, 13);
	return r;
}

int catalog_get_entry(struct catalog *c, const char *volume, uint64_t sequence,
		      struct catalog_entry *ret, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_ENTRY_GET);
	struct catalog_entry e = {0};
	int r;

	query_text(&q, 1, volume);
	query_number(&q, 2, sequence);
	r = query_step(&q, err);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = read_entry(&q, &e, err);
	if (r < 0)
		catalog_entry_release(&e);
	else
		*ret = e;
	return r;
}

int catalog_next_entries(struct catalog *c, const char *volume, int64_t since,
			 int64_t until, const struct catalog_entry *after,
			 struct catalog_page *p, struct err *err)
{
	_cleanup_query_ struct query q =
		query_start(c, volume ? QUERY_ENTRY_PAGE_OF : QUERY_ENTRY_PAGE);
	const char *name = volume;
	int r;

	if (!name)
		name = after ? after->volume : "";
	query_number(&q, 1, (uint64_t)since);
	query_number(&q, 2, (uint64_t)(after ? after->created : until));
	/* No entry has this one, so what comes behind it does not matter. */
	query_number(&q, 3, after ? after->nsec : INT64_MAX);
	query_blob(&q, 4, after ? (const void *)after->version.bytes : "",
		   after ? DIGEST_SIZE : 0);
	query_text(&q, 5, name);
	query_number(&q, 6, after ? after->sequence : 0);
	query_number(&q, 7, CATALOG_PAGE);
	while (p->n < CATALOG_PAGE && (r = query_step(&q, err)) != 0) {
		struct catalog_entry *e = &p->items[p->n];

		if (r < 0)
			return r;
		*e = (struct catalog_entry){0};
		p->n++;
		r = read_entry(&q, e, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Calls fn for all rows of a volume and a number. */
static int each_place(struct query *q, catalog_place_fn fn, void *ctx,
		      struct err *err)
{
	int r;

	while ((r = query_step(q, err)) > 0) {
		_cleanup_free_ char *volume = NULL;

		r = query_get_text(q, 0, &volume, err);
		if (r == 0)
			r = fn(volume, query_get_number(q, 1), ctx);
		if (r < 0)
			break;
	}
	return r;
}

int catalog_each_entry_of(struct catalog *c, const struct digest *version,
			  catalog_place_fn fn, void *ctx, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_ENTRY_PLACES);

	query_digest(&q, 1, version);
	return each_place(&q, fn, ctx, err);
}

int catalog_each_related(struct catalog *c, const char *volume,
			 catalog_place_fn fn, void *ctx, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_ENTRY_RELATED);

	query_text(&q, 1, volume);
	return each_place(&q, fn, ctx, err);
}
