/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list -> wait -> mark -> condemn -> forget -> wait -> mark again -> remove
 *
 * Calls that make something new rely on what the store has (a seal that finds
 * chunks in packs of others, a fork, a tag, a mount) go on meanwhile. They are
 * inside host->gate from before they look anything up until it is published.
 *
 * Why nothing is deleted that is needed:
 *  1. Whoever was inside while an object was condemned is waited for before the
 *     second mark, which then finds what he published.
 *  2. Whoever enters later finds no condemned object by itself: the catalog has
 *     forgotten packs, layers and versions, a version's digest is refused, and
 *     before a seal publishes it asks of each pack it reuses once more.
 *  3. What he finds by the name of a version that others publish meanwhile, or
 *     that the mark missed as the name was taken away, he takes back, with all
 *     that it needs, before he publishes (gc_keep_version()). Nothing is
 *     removed in the midst of that.
 *     A rename does so as well, as what it moves may be missed at both names.
 *  4. Whoever makes the same bytes anew takes the object back, or waits until
 *     it is removed and writes it (store/condemned.h).
 *
 * Why it can be killed, or the power fail, at any moment:
 *  5. A version's manifest is durably gone before anything that it needs goes;
 *     nobody finds a version of which a part is missing. That its number is
 *     durably gone is seen to by the mark.
 *  6. The tombstones in the store are only a list of what was condemned, for
 *     people and for other hosts; the next run makes a new one.
 */
#include "volume/gc.h"

#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "volume/contents.h"
#include "volume/gc-list.h"
#include "volume/remove.h"
#include "volume/volume.h"

#include <errno.h>
#include <inttypes.h>

struct gc {
	struct host *host;
	const struct progress *progress;
	struct gc_list list;
	struct condemned *condemned;
	uint64_t total; /* bytes to delete */
	struct gc_result result;
	struct err *err;
};

static char *item_key(const struct condemned_item *item,
		      char key[static STORE_KEY_MAX])
{
	switch (item->kind) {
	case STORE_BLOB:
		return store_key_blob(key, &item->digest);
	case STORE_LAYER:
		return store_key_places(key, &item->digest);
	default:
		return store_key_pack(key, &item->digest);
	}
}

static int report(void *ctx)
{
	const struct gc *gc = ctx;

	return progress_report(gc->host, gc->progress, "wait", 0, 0, 0);
}

/* Until all who are inside now have left. */
static int wait_for_others(struct gc *gc)
{
	return gate_wait(&gc->host->gate, report, gc);
}

static int count_kept(struct gc *gc, const struct live *live)
{
	_cleanup_free_ uint64_t *needed = live_pack_bytes(live);
	struct gc_result *r = &gc->result;

	if (!needed)
		return err_oom(gc->err);
	for (size_t i = 0; i < gc->list.n; i++) {
		const struct condemned_item *item = &gc->list.items[i];
		uint32_t index;

		if (item->kind != STORE_PACK)
			continue;
		index = digest_set_find(&live->packs, &item->digest);
		if (index == TABLE_NONE)
			continue;
		r->kept_packs++;
		r->kept += item->size;
		r->dead += item->size - MIN(item->size, needed[index]);
	}
	return 0;
}

static void count_item(struct gc_result *r, const struct condemned_item *item)
{
	r->versions += item->role == GC_MANIFEST;
	r->layers += item->role == GC_LAYER && item->size > 0;
	r->packs += item->role == GC_PACK;
	r->bytes += item->size;
}

/* Leaves what is dead by the first mark in the list. */
static int find_dead(struct gc *gc)
{
	_cleanup_live_ struct live live = {.with_frames = true};
	int r = gc_list_make(gc->host, &gc->list, gc->err);

	if (r == 0)
		r = wait_for_others(gc);
	if (r == 0)
		r = live_mark(gc->host, gc->progress, &live, gc->err);
	if (r == 0)
		r = count_kept(gc, &live);
	if (r == 0)
		r = gc_list_keep_dead(gc->host, &gc->list, &live, gc->err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < gc->list.n; i++)
		gc->total += gc->list.items[i].size;
	return fault_point("gc.marked");
}

static bool is_cached(const struct gc_list *l, const struct digest *tar,
		      uint64_t *ret_bytes)
{
	for (size_t low = 0, high = l->n_cached; low < high;) {
		size_t middle = low + (high - low) / 2;
		int r = memcmp(tar, &l->cached[middle].tar, DIGEST_SIZE);

		if (r == 0) {
			*ret_bytes = l->cached[middle].bytes;
			return true;
		}
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

static void count_all(struct gc *gc)
{
	for (size_t i = 0; i < gc->list.n; i++) {
		const struct condemned_item *item = &gc->list.items[i];
		uint64_t bytes;

		count_item(&gc->result, item);
		if (item->role != GC_LAYER ||
		    !is_cached(&gc->list, &item->digest, &bytes))
			continue;
		gc->result.cached_layers++;
		gc->result.cached += bytes;
	}
}

static int tombstones_remove(struct gc *gc)
{
	char key[STORE_KEY_MAX];

	return store_remove(gc->host->store,
			    store_key_tombstones(key, gc->host->id), gc->err);
}

/* Text, a key a line, as much as there may be. */
static int tombstones_write(struct gc *gc)
{
	_cleanup_(store_upload_freep) struct store_upload *u = NULL;
	char key[STORE_KEY_MAX], line[STORE_KEY_MAX + 1];
	int r = tombstones_remove(gc);

	if (r == 0)
		r = store_upload_new(gc->host->store,
				     gc->list.n * STORE_KEY_MAX, &u, gc->err);
	for (size_t i = 0; r == 0 && i < gc->list.n; i++) {
		int n = snprintf(line, sizeof(line), "%s\n",
				 item_key(&gc->list.items[i], key));

		r = store_upload_add(u, line, (size_t)n, gc->err);
	}
	if (r == 0)
		r = store_upload_finish(TAKE_PTR(u),
					store_key_tombstones(key, gc->host->id),
					gc->err);
	return r == 0 ? fault_point("gc.condemned") : r;
}

static int forget_item(struct gc *gc, const struct condemned_item *item)
{
	struct catalog *c = gc->host->catalog;

	switch (item->role) {
	case GC_MANIFEST:
		return catalog_remove_version(c, &item->digest, gc->err);
	case GC_LAYER:
		return catalog_remove_layer(c, &item->digest, gc->err);
	case GC_PACK:
		return catalog_remove_pack(c, &item->digest, gc->err);
	default:
		return 0;
	}
}

static int forget(struct gc *gc)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < gc->list.n; i++)
		r = forget_item(gc, &gc->list.items[i]);
	return r == 0 ? fault_point("gc.forgotten") : r;
}

/* The catalog gets back what it had to forget. */
static int keep_item(struct gc *gc, const struct condemned_item *item)
{
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	struct host *h = gc->host;
	char key[STORE_KEY_MAX];

	condemned_take_back(gc->condemned, item_key(item, key));
	/* Versions and layers are looked up in the store when they are missed,
	 * and chunks of a pack that cannot be read are stored once more. */
	h->completed = false;
	if (item->role != GC_PACK ||
	    contents_is_marked(h->store, &item->digest) ||
	    contents_read(h->store, &item->digest, &toc, NULL) < 0)
		return 0;
	return catalog_add_pack(h->catalog, &item->digest, &toc, gc->err);
}

static int mark_again(struct gc *gc)
{
	_cleanup_live_ struct live live = {0};
	int r = live_mark(gc->host, gc->progress, &live, gc->err);

	for (size_t i = 0; r == 0 && i < gc->list.n; i++)
		if (gc_is_live(&live, &gc->list.items[i]))
			r = keep_item(gc, &gc->list.items[i]);
	return r == 0 ? fault_point("gc.marked-again") : r;
}

static int remove_key(const char *key, uint64_t size, void *ctx,
		      struct err *err)
{
	struct gc *gc = ctx;

	(void)size;
	return store_remove(gc->host->store, key, err);
}

/* From the cache first: what the store does not have is not listed again. */
static int remove_layer(struct gc *gc, const struct condemned_item *item)
{
	char hex[DIGEST_HEX_SIZE], prefix[STORE_KEY_MAX];
	struct gc_result *result = &gc->result;
	uint64_t bytes = 0, expected;
	int r = cache_remove_layer(gc->host->cache, &item->digest, &bytes,
				   gc->err);

	if (r == 0)
		r = fault_point("gc.uncached");
	if (r < 0)
		return r;
	result->cached += bytes;
	result->cached_layers +=
		bytes || is_cached(&gc->list, &item->digest, &expected);
	snprintf(prefix, sizeof(prefix), "layers/%s/",
		 digest_hex(&item->digest, hex));
	r = store_list(gc->host->store, prefix, remove_key, gc, gc->err);
	return r < 0 ? r : store_drop(gc->host->store, prefix, gc->err);
}

static int remove_item(struct gc *gc, struct condemned_item *item)
{
	char key[STORE_KEY_MAX];
	int r;

	/* A seal that failed may have made the catalog remember it again. */
	r = forget_item(gc, item);
	if (r == 0 && item->role == GC_LAYER)
		r = remove_layer(gc, item);
	else if (r == 0)
		r = store_remove(gc->host->store, item_key(item, key), gc->err);
	if (r == 0)
		count_item(&gc->result, item);
	return r == 0 ? fault_point("gc.removed") : r;
}

static int remove_role(struct gc *gc, enum gc_role role)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < gc->list.n; i++) {
		struct condemned_item *item = &gc->list.items[i];

		if (item->role != role)
			continue;
		r = progress_report(gc->host, gc->progress, "sweep",
				    gc->result.bytes, gc->total, 0);
		if (r < 0 || !condemned_begin(gc->condemned, item))
			continue;
		r = remove_item(gc, item);
		condemned_end(gc->condemned, item, r == 0);
	}
	return r;
}

/* A power cut must not bring the pack back without its mark. */
static int sync_pack(struct gc *gc, const char *pack)
{
	char prefix[STORE_KEY_MAX];

	snprintf(prefix, sizeof(prefix), "%.*s",
		 (int)(strrchr(pack, '/') + 1 - pack), pack);
	return store_sync_removed(gc->host->store, prefix, gc->err);
}

static int remove_mark(const char *key, uint64_t size, void *ctx,
		       struct err *err)
{
	struct gc *gc = ctx;
	struct store *store = gc->host->store;
	struct err problem = ERR_INIT;
	char pack[STORE_KEY_MAX];
	struct digest digest;
	int r;

	(void)size;
	if (store_key_digest(key, &digest) < 0)
		return 0;
	r = store_size(store, store_key_pack(pack, &digest), &size, &problem);
	if (r != -ENOENT)
		return r < 0 ? err_set(err, r, "%s", problem.text) : 0;
	r = sync_pack(gc, pack);
	return r == 0 ? store_remove(store, key, err) : r;
}

/* Marks of packs that are damaged go after their packs, so that no seal ever
 * takes a chunk from such a pack. */
static int remove_marks(struct gc *gc)
{
	return store_list(gc->host->store, "damaged/", remove_mark, gc,
			  gc->err);
}

static int remove_dead(struct gc *gc)
{
	int r = remove_role(gc, GC_MANIFEST);

	if (r == 0)
		r = store_sync_removed(gc->host->store, "blobs/sha256/",
				       gc->err);
	if (r == 0)
		r = fault_point("gc.manifests");
	for (enum gc_role role = GC_BLOB; r == 0 && role < GC_ROLES; role++)
		r = remove_role(gc, role);
	if (r == 0)
		r = tombstones_remove(gc);
	return r == 0 ? fault_point("gc.done") : r;
}

static int sweep(struct gc *gc)
{
	int r;

	condemned_set(gc->condemned, gc->list.items, gc->list.n);
	r = tombstones_write(gc);
	if (r == 0)
		r = forget(gc);
	if (r == 0)
		r = wait_for_others(gc);
	if (r == 0)
		r = mark_again(gc);
	if (r == 0)
		r = remove_dead(gc);
	condemned_set(gc->condemned, NULL, 0);
	return r;
}

static int run(struct gc *gc, bool dry_run)
{
	struct gc_result *result = &gc->result;
	uint64_t files = 0;
	int r = 0;

	if (!dry_run)
		r = volume_finish_removals(gc->host, gc->err);
	if (r == 0 && !dry_run)
		r = store_tidy(gc->host->store, &files, &result->bytes,
			       gc->err);
	if (r == 0)
		r = find_dead(gc);
	if (r < 0)
		return r;
	if (dry_run)
		count_all(gc);
	else if (gc->list.n)
		r = sweep(gc);
	else
		r = tombstones_remove(gc);
	return r == 0 && !dry_run ? remove_marks(gc) : r;
}

int gc_run(struct host *h, bool dry_run, const struct progress *progress,
	   struct gc_result *ret, struct err *err)
{
	struct gc gc = {.host = h,
			.progress = progress,
			.condemned = store_condemned(h->store),
			.err = err};
	int r;

	if (atomic_exchange(&h->collecting, true))
		return err_set(err, EBUSY,
			       "the store is being collected already; wait for "
			       "that to end");
	r = run(&gc, dry_run);
	gc_list_release(&gc.list);
	h->collecting = false;
	if (r == 0)
		*ret = gc.result;
	else if (r == -ECANCELED)
		(void)err_set(err, r,
			      "the collecting was stopped; run it again to "
			      "have the rest deleted");
	return r < 0 && (!err || !err->code)
		       ? err_errno(err, r, "cannot collect the store")
		       : r;
}
