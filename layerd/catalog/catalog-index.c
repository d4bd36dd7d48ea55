/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The index over the store: where chunks are, and which versions and layers
 * there are. A chunk that several packs have stays with the first that was
 * recorded, so that an answer once given stays right.
 */

#include "catalog/catalog.h"
#include "catalog/query.h"
#include "util/cleanup.h"

#include <errno.h>

#define PREFIX_MIN 8

int catalog_find_chunk(struct catalog *c, const struct digest *chunk,
		       struct catalog_place *ret, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_CHUNK_FIND);
	uint64_t length, size;
	struct digest pack;
	int r;

	query_digest(&q, 1, chunk);
	r = query_step(&q, err);
	if (r == 0)
		return -ENOENT;
	if (r > 0)
		r = query_get_digest(&q, 0, &pack, err);
	if (r < 0)
		return r;
	length = query_get_number(&q, 2);
	size = query_get_number(&q, 3);
	if (length > UINT32_MAX || size > UINT32_MAX)
		return query_error(c, SQLITE_CORRUPT, err);
	*ret = (struct catalog_place){.pack = pack,
				      .offset = query_get_number(&q, 1),
				      .length = (uint32_t)length,
				      .size = (uint32_t)size};
	return 0;
}

int catalog_find_pack(struct catalog *c, const struct digest *pack,
		      uint64_t *ret_id, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_PACK_FIND);
	int r;

	query_digest(&q, 1, pack);
	r = query_step(&q, err);
	if (r > 0)
		*ret_id = query_get_number(&q, 0);
	return r;
}

static int insert_pack(struct catalog *c, const struct digest *pack,
		       const struct pack_toc *toc, uint64_t *ret_id,
		       struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_PACK_ADD);
	uint64_t bytes = PACK_TRAILER_SIZE(toc->n);
	int r;

	for (size_t i = 0; i < toc->n; i++)
		bytes += toc->entries[i].length;
	query_digest(&q, 1, pack);
	query_number(&q, 2, bytes);
	query_number(&q, 3, toc->n);
	r = query_run(&q, err);
	if (r == 0)
		*ret_id = (uint64_t)sqlite3_last_insert_rowid(c->db);
	return r;
}

static int insert_chunk(struct catalog *c, uint64_t pack,
			const struct pack_entry *e, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_CHUNK_ADD);

	query_digest(&q, 1, &e->chunk);
	query_number(&q, 2, pack);
	query_number(&q, 3, e->offset);
	query_number(&q, 4, e->length);
	query_number(&q, 5, e->size);
	return query_run(&q, err);
}

static int add_pack(struct catalog *c, const struct digest *pack,
		    const struct pack_toc *toc, struct err *err)
{
	uint64_t id;
	int r;

	r = catalog_find_pack(c, pack, &id, err);
	if (r)
		return MIN(r, 0);
	r = insert_pack(c, pack, toc, &id, err);
	for (size_t i = 0; r == 0 && i < toc->n; i++)
		r = insert_chunk(c, id, &toc->entries[i], err);
	return r;
}

static int remove_row(struct catalog *c, enum schema_query which, uint64_t id,
		      struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, which);

	query_number(&q, 1, id);
	return query_run(&q, err);
}

static int remove_pack(struct catalog *c, const struct digest *pack,
		       struct err *err)
{
	uint64_t id;
	int r;

	r = catalog_find_pack(c, pack, &id, err);
	if (r <= 0)
		return r;
	r = remove_row(c, QUERY_CHUNK_REMOVE, id, err);
	return r < 0 ? r : remove_row(c, QUERY_PACK_REMOVE, id, err);
}

int catalog_add_pack(struct catalog *c, const struct digest *pack,
		     const struct pack_toc *toc, struct err *err)
{
	int r;

	pthread_mutex_lock(&c->lock);
	r = query_simple(c, QUERY_BEGIN, err);
	if (r == 0)
		r = query_finish(c, add_pack(c, pack, toc, err), err);
	pthread_mutex_unlock(&c->lock);
	return r;
}

int catalog_remove_pack(struct catalog *c, const struct digest *pack,
			struct err *err)
{
	int r;

	pthread_mutex_lock(&c->lock);
	r = query_simple(c, QUERY_BEGIN, err);
	if (r == 0)
		r = query_finish(c, remove_pack(c, pack, err), err);
	pthread_mutex_unlock(&c->lock);
	return r;
}

int catalog_has_pack(struct catalog *c, const struct digest *pack, bool *ret,
		     struct err *err)
{
	uint64_t id;
	int r = catalog_find_pack(c, pack, &id, err);

	if (r < 0)
		return r;
	*ret = r > 0;
	return 0;
}

int catalog_pack_totals(struct catalog *c, uint64_t *ret_packs,
			uint64_t *ret_chunks, uint64_t *ret_bytes,
			struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_PACK_TOTALS);
	int r = query_step(&q, err);

	if (r < 0)
		return r;
	*ret_packs = query_get_number(&q, 0);
	*ret_chunks = query_get_number(&q, 1);
	*ret_bytes = query_get_number(&q, 2);
	return 0;
}

int catalog_add_version(struct catalog *c, const struct digest *version,
			const char *volume, uint64_t sequence, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_VERSION_ADD);

	query_digest(&q, 1, version);
	query_text(&q, 2, volume);
	query_number(&q, 3, sequence);
	return query_run(&q, err);
}

int catalog_add_layer(struct catalog *c, const struct digest *tar,
		      const struct digest *object, uint64_t tar_size,
		      struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_LAYER_ADD);

	query_digest(&q, 1, tar);
	query_digest(&q, 2, object);
	query_number(&q, 3, tar_size);
	return query_run(&q, err);
}

static int remove_named(struct catalog *c, enum schema_query which,
			const struct digest *name, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, which);

	query_digest(&q, 1, name);
	return query_run(&q, err);
}

int catalog_remove_version(struct catalog *c, const struct digest *version,
			   struct err *err)
{
	return remove_named(c, QUERY_VERSION_REMOVE, version, err);
}

int catalog_remove_layer(struct catalog *c, const struct digest *tar,
			 struct err *err)
{
	return remove_named(c, QUERY_LAYER_REMOVE, tar, err);
}

/* The least and the greatest digest whose hex begins with the same digits. */
struct range {
	struct digest low;
	struct digest high;
};

static int range_parse(const char *hex, struct range *ret, struct err *err)
{
	char low[DIGEST_HEX_SIZE], high[DIGEST_HEX_SIZE];
	const char *digits = hex;
	size_t n;

	if (strncmp(digits, "sha256:", 7) == 0)
		digits += 7;
	n = strlen(digits);
	if (n >= PREFIX_MIN && n < DIGEST_HEX_SIZE) {
		memset(low, '0', sizeof(low));
		memset(high, 'f', sizeof(high));
		low[DIGEST_HEX_SIZE - 1] = high[DIGEST_HEX_SIZE - 1] = 0;
		memcpy(low, digits, n);
		memcpy(high, digits, n);
		if (digest_parse(low, &ret->low) == 0 &&
		    digest_parse(high, &ret->high) == 0)
			return 0;
	}
	return err_set(err, EINVAL,
		       "\"%.80s\" is not a digest: give at least its first %d "
		       "hex digits",
		       hex, PREFIX_MIN);
}

/* Leaves q at the first row in range, whose first column goes to ret. */
static int find_first(struct query *q, const struct range *range,
		      struct digest *ret, struct err *err)
{
	int r;

	query_digest(q, 1, &range->low);
	query_digest(q, 2, &range->high);
	r = query_step(q, err);
	if (r == 0)
		return -ENOENT;
	if (r > 0)
		r = query_get_digest(q, 0, ret, err);
	return r;
}

/* There must be no second row. */
static int check_alone(struct query *q, struct err *err)
{
	int r = query_step(q, err);

	return r > 0 ? -EEXIST : r;
}

int catalog_find_version(struct catalog *c, const char *hex, struct digest *ret,
			 struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_VERSION_FIND);
	struct digest found;
	struct range range;
	int r;

	r = range_parse(hex, &range, err);
	if (r == 0)
		r = find_first(&q, &range, &found, err);
	if (r == 0)
		r = check_alone(&q, err);
	if (r == 0)
		*ret = found;
	return r;
}

int catalog_find_layer(struct catalog *c, const char *hex,
		       struct digest *ret_tar, struct digest *ret_object,
		       uint64_t *ret_size, struct err *err)
{
	_cleanup_query_ struct query q = query_start(c, QUERY_LAYER_FIND);
	struct digest tar, object;
	struct range range;
	uint64_t size = 0;
	int r;

	r = range_parse(hex, &range, err);
	if (r == 0)
		r = find_first(&q, &range, &tar, err);
	if (r == 0) {
		size = query_get_number(&q, 2);
		r = query_get_digest(&q, 1, &object, err);
	}
	if (r == 0)
		r = check_alone(&q, err);
	if (r < 0)
		return r;
	*ret_tar = tar;
	*ret_object = object;
	*ret_size = size;
	return 0;
}
