/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repairs of the store, each step durable before the next:
 *
 *   mark damaged packs -> new packs -> places -> (the old packs are garbage)
 *
 * A new pack may well be the old one, and then takes its place.
 *
 * The marks and the catalog come first, so that no seal takes chunks from a
 * damaged pack any more and the new places win.
 */
#include "volume/fsck-private.h"

#include "cache/check.h"
#include "format/chunker.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/fd.h"

#include <errno.h>

/* A new pack, and which of the wanted chunks are in it. */
struct writer {
	struct fsck *fsck;
	struct fsck_reader reader;
	uint8_t *data; /* CHUNK_MAX */
	struct store_upload *upload;
	struct hasher *hasher;
	struct pack_toc toc;
	uint64_t size;
	uint32_t *items; /* of wanted */
	size_t n_items;
	size_t items_alloc;
};

static void writer_reset(struct writer *w)
{
	w->upload = store_upload_free(w->upload);
	w->hasher = hasher_free(w->hasher);
	pack_toc_release(&w->toc);
	w->toc = (struct pack_toc){0};
	w->size = 0;
	w->n_items = 0;
}

static void writer_release(struct writer *w)
{
	writer_reset(w);
	fsck_reader_release(&w->reader);
	free(w->data);
	free(w->items);
}

int fsck_written(struct fsck *f, int r, const struct err *problem)
{
	if (r >= 0 || r == -EBADMSG)
		return 0;
	return err_set(f->err, r, "%s", problem->text);
}

/* A damaged catalog is made anew later. */
static int tell_catalog(struct writer *w, const struct digest *pack)
{
	struct err problem = ERR_INIT;
	int r = catalog_add_pack(w->fsck->host->catalog, pack, &w->toc,
				 &problem);

	return fsck_written(w->fsck, r, &problem);
}

static int publish(struct writer *w, struct digest *ret, bool *ret_done)
{
	_cleanup_buf_ struct buf contents = BUF_INIT;
	struct err problem = ERR_INIT;
	struct fsck *f = w->fsck;
	char key[STORE_KEY_MAX];
	int r;

	if (pack_toc_encode(&w->toc, &contents) < 0)
		return err_oom(f->err);
	r = store_upload_add(w->upload, contents.data, contents.size, f->err);
	if (r < 0)
		return r;
	hasher_add(w->hasher, contents.data, contents.size);
	hasher_finish(w->hasher, ret);
	r = store_upload_finish(TAKE_PTR(w->upload), store_key_pack(key, ret),
				&problem);
	*ret_done = r == 0;
	r = fsck_written(f, r, &problem);
	if (r < 0 || !*ret_done)
		return r;
	r = fault_point("fsck.pack");
	return r < 0 ? r : tell_catalog(w, ret);
}

/* The chunks in the pack have their places once it is there. */
static int close_pack(struct writer *w)
{
	struct digest digest;
	bool done = false;
	int r;

	if (!w->upload)
		return 0;
	r = publish(w, &digest, &done);
	/* The same chunks in the same order make the same pack. */
	if (r == 0 && done)
		r = fsck_pack_restored(w->fsck, &digest);
	for (size_t i = 0; r == 0 && done && i < w->n_items; i++) {
		struct wanted *wanted = &w->fsck->wanted[w->items[i]];

		wanted->from = digest;
		wanted->offset = w->toc.entries[i].offset;
		wanted->length = w->toc.entries[i].length;
		wanted->placed = true;
	}
	writer_reset(w);
	return r;
}

static int add_frame(struct writer *w, uint32_t item)
{
	const struct buf *frame = &w->reader.frame;
	struct fsck *f = w->fsck;
	int r = 0;

	if (w->upload && w->size + frame->size > PACK_SIZE_MAX)
		r = close_pack(w);
	if (r == 0 && !w->upload) {
		if (hasher_new(&w->hasher) < 0)
			return err_oom(f->err);
		r = store_upload_new(f->host->store, PACK_SIZE_MAX, &w->upload,
				     f->err);
	}
	if (r == 0)
		r = store_upload_add(w->upload, frame->data, frame->size,
				     f->err);
	if (r == 0)
		r = fsck_room(f, &w->items, w->n_items, &w->items_alloc,
			      sizeof(*w->items));
	if (r < 0)
		return r;
	hasher_add(w->hasher, frame->data, frame->size);
	if (pack_toc_add(&w->toc, &f->wanted_set.items[item],
			 (uint32_t)frame->size, f->wanted[item].size) < 0)
		return err_oom(f->err);
	w->items[w->n_items++] = item;
	w->size += frame->size;
	return 0;
}

static int read_tar(struct writer *w, const struct wanted *wanted,
		    const struct digest *chunk)
{
	_cleanup_close_ int fd =
		cache_open_tar(w->fsck->host->cache, &wanted->from);
	struct digest actual;

	if (fd < 0 || pread_full(fd, w->data, wanted->size, wanted->offset) < 0)
		return -EBADMSG;
	if (digest_of(w->data, wanted->size, &actual) < 0 ||
	    (!w->reader.codec && pack_codec_new(&w->reader.codec) < 0))
		return -ENOMEM;
	if (!digest_equal(&actual, chunk))
		return -EBADMSG;
	w->reader.frame.size = 0;
	return pack_compress(w->reader.codec, w->data, wanted->size,
			     &w->reader.frame);
}

/* What has gone since it was found stays lost. */
static int copy_chunk(struct writer *w, uint32_t item)
{
	const struct wanted *wanted = &w->fsck->wanted[item];
	const struct pack_entry e = {.chunk = w->fsck->wanted_set.items[item],
				     .offset = wanted->offset,
				     .length = wanted->length,
				     .size = wanted->size};
	int r;

	if (wanted->placed || wanted->source == SOURCE_NONE)
		return 0;
	r = wanted->source == SOURCE_CACHE
		    ? read_tar(w, wanted, &e.chunk)
		    : fsck_read_chunk(w->fsck, &w->reader, &wanted->from, &e,
				      w->data);
	if (r == -ENOMEM)
		return err_oom(w->fsck->err);
	return r < 0 ? 0 : add_frame(w, item);
}

static int copy_chunks(struct fsck *f)
{
	_cleanup_(writer_release) struct writer w = {.fsck = f};
	int r = 0;

	w.data = malloc(CHUNK_MAX);
	if (!w.data)
		return err_oom(f->err);
	for (uint32_t i = 0; r == 0 && i < f->wanted_set.n; i++) {
		r = copy_chunk(&w, i);
		if (r == 0)
			r = fsck_progress(f, "repair", 0, 0, i + 1);
	}
	return r < 0 ? r : close_pack(&w);
}

static int mark_pack(struct fsck *f, uint32_t pack)
{
	const struct digest *digest = &f->packs.items[pack];
	struct err problem = ERR_INIT;
	char key[STORE_KEY_MAX];
	int r = 0;

	if (f->pack[pack].state != PACK_MISSING)
		r = store_create(f->host->store, store_key_damaged(key, digest),
				 "\n", 1, &problem);
	if (r < 0 && r != -EEXIST)
		return err_set(f->err, r, "%s", problem.text);
	r = fault_point("fsck.marked");
	if (r < 0)
		return r;
	problem = ERR_INIT;
	r = catalog_remove_pack(f->host->catalog, digest, &problem);
	return fsck_written(f, r, &problem);
}

static int place_rows(struct fsck *f, const struct fsck_loaded *l,
		      struct places *ret, bool *ret_changed)
{
	const struct places *old = &l->places;

	*ret_changed = false;
	for (size_t i = 0; i < l->object.n_chunks; i++) {
		bool hurt = !l->has_places || fsck_row_hurt(f, l, i);
		const struct wanted *w =
			hurt ? fsck_wanted(f, &l->object.chunks[i].digest)
			     : NULL;
		const struct place *row = l->has_places ? &old->rows[i] : NULL;
		int r;

		if (w && w->placed) {
			*ret_changed = true;
			r = places_add(ret, &w->from, w->offset, w->length);
		} else if (row) {
			r = places_add(ret, &old->packs[row->pack], row->offset,
				       row->length);
		} else {
			*ret_changed = false;
			return 0;
		}
		if (r < 0)
			return err_oom(f->err);
	}
	/* Those of a layer without chunks say nothing and have to be there. */
	*ret_changed |= !l->has_places;
	return 0;
}

static int place_layer(struct fsck *f, struct fsck_layer *layer)
{
	_cleanup_places_ struct places places = {0};
	_cleanup_loaded_ struct fsck_loaded l = {0};
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct err problem = ERR_INIT;
	char key[STORE_KEY_MAX];
	bool changed = false;
	int r = fsck_load(f, layer, false, &l);

	if (r == 0)
		r = fsck_judge(f, &l);
	if (r == 0)
		r = place_rows(f, &l, &places, &changed);
	if (r || !changed)
		return MIN(r, 0);
	if (places_encode(&places, &layer->pin.tar, &b) < 0)
		return err_oom(f->err);
	r = store_replace(f->host->store,
			  store_key_places(key, &layer->pin.tar), b.data,
			  b.size, &problem);
	return r == 0 ? fault_point("fsck.places")
		      : fsck_written(f, r, &problem);
}

int fsck_repair_data(struct fsck *f)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < f->packs.n; i++)
		if (f->pack[i].finding)
			r = mark_pack(f, i);
	if (r == 0)
		r = copy_chunks(f);
	for (size_t i = 0; r == 0 && i < f->n_layers; i++)
		r = place_layer(f, &f->layers[i]);
	return r == 0 ? fsck_settle(f, FSCK_REPAIRED) : r;
}

int fsck_repair_object(struct fsck *f, struct fsck_layer *layer)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct err problem = ERR_INIT;
	char key[STORE_KEY_MAX];
	int r;

	if (!layer->object || layer->object->state != FSCK_REPAIRABLE ||
	    !cache_read_object(f->host->cache, &layer->pin.tar,
			       &layer->pin.object, &b))
		return 0;
	r = store_put(f->host->store, store_key_blob(key, &layer->pin.object),
		      b.data, b.size, &problem);
	layer->object->state = r == 0 ? FSCK_REPAIRED : FSCK_LOST;
	return r == 0 ? fault_point("fsck.object")
		      : fsck_written(f, r, &problem);
}
