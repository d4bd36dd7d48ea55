/* SPDX-License-Identifier: Apache-2.0 */

/* What this host did: mounts that it handed out, layers that it cached. */

#include "catalog/catalog.h"
#include "catalog/query.h"
#include "util/cleanup.h"

#include <errno.h>
#include <time.h>

void catalog_mounts_release(struct catalog_mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->all[i].reference);
		free(m->all[i].path);
		free(m->all[i].boot_id);
	}
	free(m->all);
}

/* What had its st_dev before is gone. */
static int remove_predecessor(struct catalog *c, const struct catalog_mount *m,
			      struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_MOUNT_SUCCEED);

	query_number(&q, 1, m->device);
	query_text(&q, 2, m->boot_id);
	return query_run(&q, err);
}

static int insert_mount(struct catalog *c, const struct catalog_mount *m,
			int64_t *ret_id, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_MOUNT_ADD);
	int r;

	query_text(&q, 1, m->reference);
	query_digest(&q, 2, &m->version);
	/* Paths are bytes; as a blob nothing interprets them. */
	query_blob(&q, 3, m->path, strlen(m->path));
	query_number(&q, 4, m->device);
	query_text(&q, 5, m->boot_id);
	query_number(&q, 6, (uint64_t)m->created);
	r = query_run(&q, err);
	if (r == 0)
		*ret_id = sqlite3_last_insert_rowid(c->db);
	return r;
}

int catalog_add_mount(struct catalog *c, const struct catalog_mount *m,
		      int64_t *ret_id, struct err *err)
{
	int r = remove_predecessor(c, m, err);

	return r < 0 ? r : insert_mount(c, m, ret_id, err);
}

int catalog_remove_mount(struct catalog *c, int64_t id, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_MOUNT_REMOVE);

	query_number(&q, 1, (uint64_t)id);
	return query_run(&q, err);
}

/* A copy of a column's bytes as a string. */
static int get_string(struct query *q, int column, char **ret)
{
	const void *p = sqlite3_column_blob(q->statement, column);
	size_t n = (size_t)sqlite3_column_bytes(q->statement, column);
	char *s = malloc(n + 1);

	if (!s)
		return -ENOMEM;
	if (n)
		memcpy(s, p, n);
	s[n] = 0;
	*ret = s;
	return 0;
}

/* Appends the row that q stands at. */
static int take_mount(struct query *q, struct catalog_mounts *mounts,
		      struct err *err)
{
	struct catalog_mount *all, *m;

	all = reallocarray(mounts->all, mounts->n + 1, sizeof(*all));
	if (!all)
		return err_oom(err);
	mounts->all = all;
	m = &all[mounts->n++];
	*m = (struct catalog_mount){
		.id = (int64_t)query_get_number(q, 0),
		.device = query_get_number(q, 4),
		.created = (int64_t)query_get_number(q, 6),
	};
	if (get_string(q, 1, &m->reference) < 0 ||
	    get_string(q, 3, &m->path) < 0 || get_string(q, 5, &m->boot_id) < 0)
		return err_oom(err);
	return query_get_digest(q, 2, &m->version, err);
}

int catalog_mounts_load(struct catalog *c, struct catalog_mounts *mounts,
			struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_MOUNT_LIST);
	int r;

	while ((r = query_step(&q, err)) > 0) {
		r = take_mount(&q, mounts, err);
		if (r < 0)
			return r;
	}
	return r;
}

int catalog_each_mount(struct catalog *c, catalog_mount_fn fn, void *ctx,
		       struct err *err)
{
	_cleanup_(catalog_mounts_release) struct catalog_mounts mounts = {0};
	int r;

	r = catalog_mounts_load(c, &mounts, err);
	/* Without the lock, so that fn may use the catalog. */
	for (size_t i = 0; r >= 0 && i < mounts.n; i++)
		r = fn(&mounts.all[i], ctx);
	return MIN(r, 0);
}

int catalog_touch_cache(struct catalog *c, const struct digest *tar,
			uint64_t bytes, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_CACHE_TOUCH);

	query_digest(&q, 1, tar);
	query_number(&q, 2, bytes);
	query_number(&q, 3, (uint64_t)time(NULL));
	return query_run(&q, err);
}

int catalog_remove_cache(struct catalog *c, const struct digest *tar,
			 struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_CACHE_REMOVE);

	query_digest(&q, 1, tar);
	return query_run(&q, err);
}
