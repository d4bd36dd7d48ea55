/* SPDX-License-Identifier: Apache-2.0 */
/* The cache and the catalog, which can both be made anew from the store, and
 * what is in the store for nobody. */
#include "volume/fsck-private.h"

#include "cache/check.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "volume/contents.h"
#include "volume/rebuild.h"

#include <errno.h>
#include <inttypes.h>

/* Whether something of the layer is in the store no more: what the cache has
 * of it is kept then, be it ever so wrong. */
static bool is_lost(const struct fsck *f, uint32_t layer)
{
	for (size_t i = 0; i < f->n_findings; i++) {
		const struct finding *found = f->findings[i];

		for (size_t j = 0;
		     found->state == FSCK_LOST && j < found->n_touched; j++)
			if (found->touched[j] == (layer | TOUCHED_LAYER))
				return true;
	}
	return false;
}

static int drop_cached(struct fsck *f, const struct digest *tar,
		       struct finding *found)
{
	int r = fault_point("fsck.cached");

	if (r == 0)
		r = cache_drop(f->host->cache, tar, f->err);
	if (r == 0)
		found->state = FSCK_REPAIRED;
	return r;
}

static int wrong_in_cache(struct fsck *f, const struct digest *tar,
			  const struct err *problem)
{
	char hex[DIGEST_HEX_SIZE], path[DIGEST_HEX_SIZE + 16];
	struct finding *found;
	bool lost = false;
	int r = 0;

	snprintf(path, sizeof(path), "cache/%s", digest_hex(tar, hex));
	found = fsck_found(f, path, "damaged",
			   "the copy of a layer on this host: %s",
			   problem->text);
	if (!found)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < f->n_layers; i++) {
		if (!digest_equal(&f->layers[i].pin.tar, tar))
			continue;
		lost = lost || is_lost(f, i);
		r = fsck_touch_layer(f, found, &f->layers[i]);
	}
	if (r < 0 || lost)
		return r;
	found->state = FSCK_REPAIRABLE;
	return f->options->repair ? drop_cached(f, tar, found) : 0;
}

int fsck_cache(struct fsck *f)
{
	_cleanup_free_ struct digest *tars = NULL;
	size_t n;
	int r = cache_list(f->host->cache, &tars, &n, f->err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct err problem = ERR_INIT;

		r = cache_check_layer(f->host->cache, &tars[i],
				      f->options->read_data, &f->host->stopping,
				      &problem);
		f->totals.cached += r == 0;
		if (r == -EBADMSG)
			r = wrong_in_cache(f, &tars[i], &problem);
		else if (r < 0)
			err_set(f->err, r, "%s", problem.text);
		if (r >= 0)
			r = fsck_progress(f, "check", 0, 0, i + 1);
	}
	return r;
}

/* What is wrong with the catalog. */
struct wrong {
	struct fsck *fsck;
	struct err *problem;
	uint64_t lacks; /* of what the store has */
	uint64_t stale; /* of what it has not */
};

static int check_pack(struct wrong *w, uint32_t pack)
{
	const struct fsck_pack *p = &w->fsck->pack[pack];
	const struct pack_toc *toc = NULL;
	bool right;
	int r;

	if (p->finding || p->marked || !p->needed)
		return 0;
	r = fsck_pack_toc(w->fsck, pack, &toc);
	if (r < 0 || !toc)
		return r;
	r = catalog_check_pack(w->fsck->host->catalog,
			       &w->fsck->packs.items[pack], toc, &right,
			       w->problem);
	w->lacks += r == 0 && !right;
	return r;
}

static int check_version(struct wrong *w, uint32_t number)
{
	struct fsck *f = w->fsck;
	char hex[DIGEST_HEX_SIZE];
	struct digest found;
	int r;

	if (f->no_manifest[number])
		return 0;
	digest_hex(&f->versions.items[number], hex);
	r = catalog_find_version(f->host->catalog, hex, &found, w->problem);
	w->lacks += r == -ENOENT;
	return r == -ENOENT ? 0 : r;
}

static int check_layer(struct wrong *w, const struct digest *tar)
{
	struct fsck *f = w->fsck;
	char hex[DIGEST_HEX_SIZE];
	struct digest found, object;
	uint64_t size;
	int r = catalog_find_layer(f->host->catalog, digest_hex(tar, hex),
				   &found, &object, &size, w->problem);

	if (r < 0 && r != -ENOENT)
		return r;
	w->lacks += r == -ENOENT ||
		    digest_set_find(&f->blobs, &object) == TABLE_NONE;
	return 0;
}

static bool in_store(struct wrong *w, const char *key)
{
	struct err problem = ERR_INIT;
	uint64_t size;

	return store_size(w->fsck->host->store, key, &size, &problem) !=
	       -ENOENT;
}

/* Whether a row of a table has its object in the store. What is known to be
 * damaged there is no matter of the catalog. */
static bool row_is_right(struct wrong *w, enum catalog_table table,
			 const struct digest *d)
{
	char key[STORE_KEY_MAX], hex[DIGEST_HEX_SIZE];
	struct fsck *f = w->fsck;
	struct digest found, object;
	uint64_t size;
	uint32_t pack;

	switch (table) {
	case CATALOG_PACKS:
		pack = digest_set_find(&f->packs, d);
		if (pack != TABLE_NONE && f->pack[pack].finding)
			return true;
		return in_store(w, store_key_pack(key, d)) &&
		       !contents_is_marked(f->host->store, d);
	case CATALOG_VERSIONS:
		return digest_set_find(&f->blobs, d) != TABLE_NONE ||
		       in_store(w, store_key_blob(key, d));
	default:
		if (digest_set_find(&f->tars, d) != TABLE_NONE ||
		    catalog_find_layer(f->host->catalog, digest_hex(d, hex),
				       &found, &object, &size, NULL) < 0)
			return true;
		return in_store(w, store_key_blob(key, &object));
	}
}

static int check_rows(struct wrong *w, enum catalog_table table)
{
	_cleanup_free_ struct digest *items = NULL;
	size_t n = 0;
	int r = catalog_digests(w->fsck->host->catalog, table, &items, &n,
				w->problem);

	for (size_t i = 0; r == 0 && i < n; i++)
		w->stale += !row_is_right(w, table, &items[i]);
	return r;
}

static int compare_once(struct wrong *w)
{
	struct fsck *f = w->fsck;
	int r = check_rows(w, CATALOG_PACKS);

	if (r == 0)
		r = check_rows(w, CATALOG_VERSIONS);
	if (r == 0)
		r = check_rows(w, CATALOG_LAYERS);
	for (uint32_t i = 0; r == 0 && i < f->packs.n; i++)
		r = check_pack(w, i);
	for (uint32_t i = 0; r == 0 && i < f->versions.n; i++)
		r = check_version(w, i);
	for (size_t i = 0; r == 0 && i < f->n_layers; i++)
		if (!f->layers[i].object_lost)
			r = check_layer(w, &f->layers[i].pin.tar);
	return r;
}

/* A seal that just ended adds its rows last, so what is wrong is looked at
 * again.
 */
static int compare_catalog(struct wrong *w)
{
	int r = catalog_check(w->fsck->host->catalog, w->problem);

	if (r == 0)
		r = compare_once(w);
	if (r < 0 || (!w->lacks && !w->stale))
		return r;
	w->lacks = w->stale = 0;
	return compare_once(w);
}

static struct finding *find_wrong(struct fsck *f, int r, const struct wrong *w)
{
	if (r == -EBADMSG)
		return fsck_found(f, "catalog.db", "damaged", "%s",
				  w->problem->text);
	return fsck_found(f, "catalog.db", "stale",
			  "its index lacks %" PRIu64
			  " objects of the store, or has them wrong, and has "
			  "%" PRIu64 " that are not there",
			  w->lacks, w->stale);
}

int fsck_catalog(struct fsck *f)
{
	struct err problem = ERR_INIT;
	struct wrong w = {.fsck = f, .problem = &problem};
	struct finding *found = NULL;
	struct rebuilt rebuilt;
	int r = compare_catalog(&w);

	if (r < 0 && r != -EBADMSG)
		return err_set(f->err, r, "%s", problem.text);
	if (r == 0 && !w.lacks && !w.stale)
		return 0;
	/* A repair of packs leaves rows behind that are no finding. */
	if (r < 0 || !f->options->repair || !f->hurt) {
		found = find_wrong(f, r, &w);
		if (!found)
			return -ENOMEM;
		found->state = FSCK_REPAIRABLE;
	}
	if (!f->options->repair)
		return 0;
	/* As a whole: wrong rows stand in the way of right ones. */
	r = host_rebuild_catalog(f->host, f->options->progress, &rebuilt,
				 f->err);
	if (r == 0 && found)
		found->state = FSCK_REPAIRED;
	return r;
}

static void count_orphan(struct fsck *f, uint64_t size)
{
	f->totals.orphans++;
	f->totals.orphan_bytes += size;
}

static int count_blob(const char *key, uint64_t size, void *ctx,
		      struct err *err)
{
	struct fsck *f = ctx;
	struct digest digest;

	(void)err;
	if (store_key_digest(key, &digest) < 0 ||
	    digest_set_find(&f->blobs, &digest) == TABLE_NONE)
		count_orphan(f, size);
	return 0;
}

static int count_pack(const char *key, uint64_t size, void *ctx,
		      struct err *err)
{
	struct fsck *f = ctx;
	struct digest digest;
	uint32_t pack = TABLE_NONE;

	(void)err;
	if (store_key_digest(key, &digest) == 0)
		pack = digest_set_find(&f->packs, &digest);
	if (pack == TABLE_NONE || !f->pack[pack].needed)
		count_orphan(f, size);
	return 0;
}

static int count_places(const char *key, uint64_t size, void *ctx,
			struct err *err)
{
	struct fsck *f = ctx;
	char hex[DIGEST_HEX_SIZE];
	struct digest tar;

	(void)err;
	snprintf(hex, sizeof(hex), "%s", key + strlen("layers/"));
	if (digest_parse(hex, &tar) < 0 ||
	    digest_set_find(&f->tars, &tar) == TABLE_NONE)
		count_orphan(f, size);
	return 0;
}

int fsck_orphans(struct fsck *f)
{
	struct store *s = f->host->store;
	int r = store_list(s, "blobs/", count_blob, f, f->err);

	if (r == 0)
		r = store_list(s, "packs/", count_pack, f, f->err);
	if (r == 0)
		r = store_list(s, "layers/", count_places, f, f->err);
	return r;
}
