/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer after the other: its object, its index, its places, and whether the
 * packs have its chunks where the places say. Each layer is loaded, looked at
 * and let go of.
 */
#include "volume/fsck-private.h"

#include "cache/check.h"
#include "format/erofs-reader.h"
#include "store/layout.h"
#include "util/cleanup.h"

#include <errno.h>
#include <sys/stat.h>

#define ENTRY_NONE UINT32_MAX

void fsck_loaded_release(struct fsck_loaded *l)
{
	layer_object_release(&l->object);
	buf_release(&l->index);
	places_release(&l->places);
	free(l->entries);
	free(l->why);
	*l = (struct fsck_loaded){0};
}

/* A damaged object whose bytes the cache has goes on as if it were whole. */
static int read_object(struct fsck *f, struct fsck_layer *layer, struct buf *b)
{
	struct finding *found = NULL;
	int r;

	if (layer->object_lost)
		return 1;
	if (!layer->object_from_cache) {
		r = fsck_read_blob(f, &layer->pin.object, "layer object",
				   LAYER_OBJECT_MAX, b, &found);
		if (r <= 0)
			return r;
		layer->object = found;
		r = fsck_touch_layer(f, found, layer);
		if (r < 0)
			return r;
	}
	b->size = 0;
	layer->object_from_cache = cache_read_object(
		f->host->cache, &layer->pin.tar, &layer->pin.object, b);
	layer->object_lost = !layer->object_from_cache;
	if (layer->object && layer->object_from_cache &&
	    layer->object->state == FSCK_LOST)
		layer->object->state = FSCK_REPAIRABLE;
	return layer->object_lost;
}

static int object_wrong(struct fsck *f, struct fsck_layer *layer,
			const struct err *problem)
{
	char key[STORE_KEY_MAX];

	layer->object_lost = true;
	layer->object =
		fsck_found(f, store_key_blob(key, &layer->pin.object),
			   "damaged", "the layer object: %s", problem->text);
	if (!layer->object)
		return -ENOMEM;
	layer->object->state = FSCK_LOST;
	return fsck_touch_layer(f, layer->object, layer) ?: 1;
}

static int check_index(struct fsck_loaded *l, struct err *err)
{
	_cleanup_(erofs_reader_freep) struct erofs_reader *reader = NULL;
	int r = erofs_reader_open(&reader, l->index.data, l->index.size, err);

	if (r < 0)
		return r;
	return erofs_reader_check(reader, &l->object.tar, l->object.tar_size,
				  err);
}

static int load_object(struct fsck *f, struct fsck_loaded *l, bool index)
{
	_cleanup_buf_ struct buf raw = BUF_INIT;
	struct fsck_layer *layer = l->layer;
	struct err problem = ERR_INIT;
	int r = read_object(f, layer, &raw);

	if (r)
		return r;
	r = layer_object_decode(raw.data, raw.size, &l->object,
				index ? &l->index : NULL, LAYER_INDEX_MAX,
				&problem);
	buf_release(&raw);
	if (r == 0 && !digest_equal(&l->object.tar, &layer->pin.tar))
		r = err_set(&problem, EBADMSG, "it describes another layer");
	if (r == 0 && index)
		r = check_index(l, &problem);
	if (r == -ENOMEM)
		return err_oom(f->err);
	return r < 0 ? object_wrong(f, layer, &problem) : 0;
}

/* places has a row for each chunk, or none. */
static int load_places(struct fsck *f, struct fsck_loaded *l)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fsck_layer *layer = l->layer;
	struct err problem = ERR_INIT;
	char key[STORE_KEY_MAX];
	int r;

	store_key_places(key, &layer->pin.tar);
	r = store_get(f->host->store, key, LAYER_OBJECT_MAX, &b, &problem);
	if (r == 0)
		r = places_decode(b.data, b.size, &layer->pin.tar, &l->places,
				  &problem);
	if (r == 0 && l->places.n_rows != l->object.n_chunks)
		r = err_set(&problem, EBADMSG,
			    "there are %zu rows for %zu chunks",
			    l->places.n_rows, l->object.n_chunks);
	l->has_places = r == 0;
	if (r == 0)
		return 0;
	if (r == -ENOMEM)
		return err_oom(f->err);
	f->hurt = true;
	if (layer->places)
		return 0;
	layer->places =
		fsck_found(f, key, r == -ENOENT ? "missing" : "damaged", "%s",
			   r == -ENOENT ? "where the layer's chunks are is "
					  "not in the store"
					: problem.text);
	if (!layer->places)
		return -ENOMEM;
	return fsck_touch_layer(f, layer->places, layer);
}

int fsck_load(struct fsck *f, struct fsck_layer *layer, bool index,
	      struct fsck_loaded *ret)
{
	size_t n;
	int r;

	ret->layer = layer;
	r = load_object(f, ret, index);
	if (r)
		return r;
	r = load_places(f, ret);
	if (r < 0)
		return r;
	n = ret->object.n_chunks;
	ret->entries = calloc(n + 1, sizeof(*ret->entries));
	ret->why = calloc(n + 1, sizeof(struct finding *));
	return ret->entries && ret->why ? 0 : err_oom(f->err);
}

static uint32_t find_entry(const struct pack_toc *toc, const struct place *row,
			   const struct layer_chunk *chunk)
{
	const struct pack_entry *e = pack_toc_find(toc, row->offset);

	if (!e || e->length != row->length || e->size != chunk->size ||
	    !digest_equal(&e->chunk, &chunk->digest))
		return ENTRY_NONE;
	return (uint32_t)(e - toc->entries);
}

/* A row that says what its pack does not. */
static int places_wrong(struct fsck *f, struct fsck_loaded *l,
			struct finding **ret)
{
	struct fsck_layer *layer = l->layer;
	char key[STORE_KEY_MAX];

	f->hurt = true;
	if (!layer->places) {
		store_key_places(key, &layer->pin.tar);
		layer->places = fsck_found(f, key, "wrong",
					   "chunks are not where it says");
		if (!layer->places)
			return -ENOMEM;
	}
	*ret = layer->places;
	return fsck_touch_layer(f, layer->places, layer);
}

static int judge_row(struct fsck *f, struct fsck_loaded *l, size_t i)
{
	const struct place *row = &l->places.rows[i];
	const struct pack_toc *toc = NULL;
	uint32_t pack;
	int r = fsck_pack(f, &l->places.packs[row->pack], &pack);

	l->entries[i] = ENTRY_NONE;
	if (r == 0)
		r = fsck_pack_toc(f, pack, &toc);
	if (r < 0)
		return r;
	f->pack[pack].needed = true;
	if (!toc)
		return fsck_pack_finding(f, pack, &l->why[i]);
	l->entries[i] = find_entry(toc, row, &l->object.chunks[i]);
	if (l->entries[i] == ENTRY_NONE)
		return places_wrong(f, l, &l->why[i]);
	if (fsck_pack_known(f, pack, l->entries[i]) == CHUNK_BAD)
		return fsck_pack_finding(f, pack, &l->why[i]);
	l->why[i] = NULL;
	return 0;
}

int fsck_judge(struct fsck *f, struct fsck_loaded *l)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->object.n_chunks; i++) {
		if (l->has_places) {
			r = judge_row(f, l, i);
		} else {
			l->entries[i] = ENTRY_NONE;
			l->why[i] = l->layer->places;
		}
	}
	return r;
}

struct paths {
	struct fsck *fsck;
	const struct fsck_loaded *loaded;
};

/* Names whose data is in damaged chunks, each once for what damages it. */
static int add_damaged_path(const struct entry *e, uint64_t nid, void *ctx,
			    struct err *err)
{
	const struct paths *p = ctx;
	const struct fsck_loaded *l = p->loaded;
	uint64_t size = entry_data_size(e);
	int r = 0;

	(void)nid;
	(void)err;
	if (!S_ISREG(e->mode) || e->flags & ENTRY_HARDLINK || !size)
		return 0;
	p->fsck->files++;
	for (size_t i = layer_object_find(&l->object, e->payload);
	     r == 0 && i < l->object.n_chunks &&
	     l->object.chunks[i].offset < e->payload + size;
	     i++) {
		struct finding *found = l->why[i];

		if (!found || found->last_file == p->fsck->files)
			continue;
		found->last_file = p->fsck->files;
		r = fsck_add_path(p->fsck, found, e->path);
	}
	return r;
}

static int add_damaged_paths(struct fsck *f, struct fsck_loaded *l)
{
	_cleanup_(erofs_reader_freep) struct erofs_reader *reader = NULL;
	struct paths paths = {.fsck = f, .loaded = l};
	int r = erofs_reader_open(&reader, l->index.data, l->index.size,
				  f->err);

	return r < 0 ? r
		     : erofs_reader_walk(reader, "", add_damaged_path, &paths,
					 f->err);
}

/* Says of each finding that keeps a chunk away which versions it touches. */
static int touch_all(struct fsck *f, struct fsck_loaded *l, bool *ret_any)
{
	const struct finding *last = NULL;
	int r = 0;

	*ret_any = false;
	for (size_t i = 0; r == 0 && i < l->object.n_chunks; i++) {
		if (!l->why[i])
			continue;
		*ret_any = true;
		if (l->why[i] != last)
			r = fsck_touch_layer(f, l->why[i], l->layer);
		last = l->why[i];
	}
	return r;
}

static int check_layer(struct fsck *f, struct fsck_layer *layer)
{
	_cleanup_loaded_ struct fsck_loaded l = {0};
	bool any = false;
	int r = fsck_load(f, layer, true, &l);

	if (r == 0)
		r = fsck_judge(f, &l);
	if (r == 0 && f->options->read_data)
		r = fsck_read_layer(f, &l);
	if (r == 0)
		r = touch_all(f, &l, &any);
	if (r == 0 && any)
		r = add_damaged_paths(f, &l);
	f->totals.chunks += r == 0 ? l.object.n_chunks : 0;
	if (r >= 0 && layer->object_from_cache && f->options->repair)
		r = fsck_repair_object(f, layer);
	return MIN(r, 0);
}

int fsck_layers(struct fsck *f)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->n_layers; i++) {
		r = check_layer(f, &f->layers[i]);
		if (r == 0)
			r = fsck_progress(f, "check", f->totals.bytes,
					  f->read_total, i + 1);
	}
	f->totals.packs = f->packs.n;
	return r;
}
