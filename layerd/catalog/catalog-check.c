/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The index against the store, and the index emptied. What must hold: a catalog
 * whose index was emptied is known as such until it is whole again, by the lack
 * of "store-id".
 */

#include "catalog/catalog.h"
#include "catalog/query.h"
#include "util/cleanup.h"

#include <errno.h>

static int quick_check(struct catalog *c, struct err *err)
{
	sqlite3_stmt *st = NULL;
	const char *text;
	int code = sqlite3_prepare_v2(c->db, "PRAGMA quick_check(1)", -1, &st,
				      NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0)
				  : NULL;
	if (code == SQLITE_ROW)
		code = text && strcmp(text, "ok") == 0 ? SQLITE_OK
						       : SQLITE_CORRUPT;
	sqlite3_finalize(st);
	return code == SQLITE_OK ? 0 : query_error(c, code, err);
}

int catalog_check(struct catalog *c, struct err *err)
{
	int r;

	pthread_mutex_lock(&c->lock);
	r = quick_check(c, err);
	pthread_mutex_unlock(&c->lock);
	return r;
}

struct digests {
	struct digest *items;
	size_t n;
	size_t alloc;
};

static int add_digest(struct digests *d, const struct query *q, struct err *err)
{
	if (d->n == d->alloc) {
		size_t n = d->alloc ? d->alloc * 2 : 256;
		struct digest *items =
			reallocarray(d->items, n, sizeof(*items));

		if (!items)
			return err_oom(err);
		d->items = items;
		d->alloc = n;
	}
	return query_get_digest((struct query *)q, 0, &d->items[d->n++], err);
}

int catalog_digests(struct catalog *c, enum catalog_table table,
		    struct digest **ret, size_t *ret_n, struct err *err)
{
	static const enum schema_query queries[] = {
		[CATALOG_PACKS] = QUERY_PACK_LIST,
		[CATALOG_VERSIONS] = QUERY_VERSION_LIST,
		[CATALOG_LAYERS] = QUERY_LAYER_LIST,
	};
	_cleanup_query_ struct query q = query_start(c, queries[table]);
	struct digests found = {0};
	int r;

	while ((r = query_step(&q, err)) > 0) {
		r = add_digest(&found, &q, err);
		if (r < 0)
			break;
	}
	if (r < 0) {
		free(found.items);
		return r;
	}
	*ret = found.items;
	*ret_n = found.n;
	return 0;
}

static int count_rows(struct catalog *c, uint64_t pack, uint64_t *ret,
		      struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_CHUNK_COUNT);
	int r;

	query_number(&q, 1, pack);
	r = query_step(&q, err);
	if (r > 0)
		*ret = query_get_number(&q, 0);
	return MIN(r, 0);
}

static bool is_place(const struct catalog_place *p, const struct pack_entry *e)
{
	return p->offset == e->offset && p->length == e->length &&
	       p->size == e->size;
}

static int check_pack(struct catalog *c, const struct digest *pack,
		      const struct pack_toc *toc, bool *ret, struct err *err)
{
	uint64_t id, rows = 0, here = 0;
	int r = catalog_find_pack(c, pack, &id, err);

	*ret = false;
	if (r <= 0)
		return r;
	r = count_rows(c, id, &rows, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < toc->n; i++) {
		struct catalog_place place;

		r = catalog_find_chunk(c, &toc->entries[i].chunk, &place, err);
		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return r;
		if (!digest_equal(&place.pack, pack))
			continue;
		if (!is_place(&place, &toc->entries[i]))
			return 0;
		here++;
	}
	*ret = rows == here;
	return 0;
}

int catalog_check_pack(struct catalog *c, const struct digest *pack,
		       const struct pack_toc *toc, bool *ret, struct err *err)
{
	int r;

	pthread_mutex_lock(&c->lock);
	r = check_pack(c, pack, toc, ret, err);
	pthread_mutex_unlock(&c->lock);
	return r;
}

static int forget_store(struct catalog *c, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_META_REMOVE);

	query_text(&q, 1, "store-id");
	return query_run(&q, err);
}

static int clear(struct catalog *c, struct err *err)
{
	static const enum schema_query steps[] = {
		QUERY_CHUNK_CLEAR, QUERY_PACK_CLEAR,   QUERY_VERSION_CLEAR,
		QUERY_LAYER_CLEAR, QUERY_LISTED_CLEAR, QUERY_ENTRY_CLEAR};
	int r = query_simple(c, QUERY_BEGIN, err);

	if (r < 0)
		return r;
	r = forget_store(c, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
		r = query_simple(c, steps[i], err);
	return query_finish(c, r, err);
}

/* Mounts that are lost here are only not listed any more. */
static int renew(struct catalog *c, struct err *err)
{
	_cleanup_(catalog_mounts_release) struct catalog_mounts mounts = {0};
	bool kept = catalog_mounts_load(c, &mounts, NULL) == 0;
	int r = catalog_renew(c, err);

	for (size_t i = 0; r == 0 && kept && i < mounts.n; i++) {
		int64_t id;

		r = catalog_add_mount(c, &mounts.all[i], &id, err);
	}
	return r < 0 ? r : CATALOG_E_CORRUPT;
}

int catalog_clear(struct catalog *c, struct err *err)
{
	struct err problem = ERR_INIT;
	int r;

	pthread_mutex_lock(&c->lock);
	r = clear(c, &problem);
	if (r == -EBADMSG)
		r = renew(c, err);
	else if (r < 0)
		err_set(err, r, "%s", problem.text);
	pthread_mutex_unlock(&c->lock);
	return r;
}
