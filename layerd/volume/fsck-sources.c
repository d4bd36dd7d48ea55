/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where chunks can be had that are not to be read from their places any more:
 * all chunks of packs that are damaged or missing, and those of layers whose
 * places are. Best first: another pack, which needs no copy; a frame in a
 * damaged pack; a tarball in the cache. Each was read and its digest checked.
 */
#include "volume/fsck-private.h"

#include "cache/check.h"
#include "format/chunker.h"
#include "store/condemned.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fd.h"
#include "volume/contents.h"

#include <errno.h>

struct search {
	struct fsck *fsck;
	struct fsck_reader reader;
	uint8_t *data; /* CHUNK_MAX */
};

struct wanted *fsck_wanted(struct fsck *f, const struct digest *chunk)
{
	uint32_t i = digest_set_find(&f->wanted_set, chunk);

	return i == TABLE_NONE ? NULL : &f->wanted[i];
}

/* By the pack's number; a damaged pack may be one that no layer names. */
static bool pack_hurt(struct fsck *f, const struct digest *pack)
{
	uint32_t i = digest_set_find(&f->packs, pack);

	return i != TABLE_NONE && !f->pack[i].restored &&
	       (f->pack[i].finding || f->pack[i].marked);
}

bool fsck_row_hurt(struct fsck *f, const struct fsck_loaded *l, size_t i)
{
	return l->why[i] ||
	       pack_hurt(f, &l->places.packs[l->places.rows[i].pack]);
}

static int add_wanted(struct fsck *f, const struct layer_chunk *chunk,
		      struct wanted **ret)
{
	uint32_t i;
	int r = digest_set_add(&f->wanted_set, &chunk->digest, &i);

	if (r < 0)
		return err_oom(f->err);
	if (r > 0) {
		r = fsck_room(f, &f->wanted, i, &f->wanted_alloc,
			      sizeof(*f->wanted));
		if (r < 0)
			return r;
		f->wanted[i] = (struct wanted){.size = chunk->size};
	}
	*ret = &f->wanted[i];
	return 0;
}

/* Takes a place in a pack as the source if the chunk is there; direct: the pack
 * is whole, and rows may point to it. */
static int try_place(struct search *s, struct wanted *w,
		     const struct digest *pack, const struct pack_entry *e,
		     bool direct)
{
	struct fsck *f = s->fsck;
	int r;

	if (w->placed || (w->source != SOURCE_NONE && !direct) ||
	    e->size != w->size)
		return 0;
	r = fsck_read_chunk(f, &s->reader, pack, e, s->data);
	if (r < 0)
		return r == -ENOMEM ? err_oom(f->err) : 0;
	/* What nothing needs may be about to be deleted, and is no source when
	 * it is by now. */
	if (f->options->repair &&
	    !condemned_keep(store_condemned(f->host->store), STORE_PACK, pack))
		return 0;
	w->source = SOURCE_PACK;
	w->placed = direct;
	w->from = *pack;
	w->offset = e->offset;
	w->length = e->length;
	return 0;
}

/* A pack whose contents cannot be read may have its frames all the same. */
static int try_own_place(struct search *s, const struct fsck_loaded *l,
			 size_t i, struct wanted *w)
{
	const struct layer_chunk *chunk = &l->object.chunks[i];
	struct pack_entry e = {.chunk = chunk->digest, .size = chunk->size};
	const struct place *row;

	if (!l->has_places || l->entries[i] != UINT32_MAX)
		return 0;
	row = &l->places.rows[i];
	e.offset = row->offset;
	e.length = row->length;
	return try_place(s, w, &l->places.packs[row->pack], &e, false);
}

static int want_rows(struct search *s, struct fsck_loaded *l)
{
	struct fsck *f = s->fsck;
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->object.n_chunks; i++) {
		struct wanted *w;

		if (!fsck_row_hurt(f, l, i))
			continue;
		r = add_wanted(f, &l->object.chunks[i], &w);
		if (r == 0)
			r = try_own_place(s, l, i, w);
	}
	return r;
}

static int search_pack(const char *key, uint64_t size, void *ctx,
		       struct err *err)
{
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	struct err problem = ERR_INIT;
	struct search *s = ctx;
	struct digest pack;
	bool direct;
	int r;

	(void)size;
	if (store_key_digest(key, &pack) < 0)
		return 0;
	direct = !pack_hurt(s->fsck, &pack) &&
		 !contents_is_marked(s->fsck->host->store, &pack);
	r = contents_read(s->fsck->host->store, &pack, &toc, &problem);
	if (r < 0)
		return r == -ENOMEM ? err_oom(err) : 0;
	for (size_t i = 0; r == 0 && i < toc.n; i++) {
		struct wanted *w = fsck_wanted(s->fsck, &toc.entries[i].chunk);

		if (w)
			r = try_place(s, w, &pack, &toc.entries[i], direct);
	}
	return r < 0 ? r : fsck_progress(s->fsck, "search", 0, 0, 0);
}

static int try_tar(struct search *s, struct wanted *w, int tar_fd,
		   const struct digest *tar, const struct layer_chunk *chunk)
{
	struct digest digest;

	if (w->source != SOURCE_NONE ||
	    pread_full(tar_fd, s->data, chunk->size, chunk->offset) < 0)
		return 0;
	if (digest_of(s->data, chunk->size, &digest) < 0)
		return err_oom(s->fsck->err);
	if (!digest_equal(&digest, &chunk->digest))
		return 0;
	w->source = SOURCE_CACHE;
	w->from = *tar;
	w->offset = chunk->offset;
	return 0;
}

static int search_cache(struct search *s, struct fsck_loaded *l)
{
	const struct digest *tar = &l->object.tar;
	_cleanup_close_ int fd = cache_open_tar(s->fsck->host->cache, tar);
	int r = 0;

	for (size_t i = 0; fd >= 0 && r == 0 && i < l->object.n_chunks; i++) {
		const struct layer_chunk *chunk = &l->object.chunks[i];
		struct wanted *w = fsck_wanted(s->fsck, &chunk->digest);

		if (w)
			r = try_tar(s, w, fd, tar, chunk);
	}
	return r;
}

/* Every layer that can be read, with what is known of its rows. */
static int each_layer(struct search *s,
		      int (*fn)(struct search *s, struct fsck_loaded *l))
{
	struct fsck *f = s->fsck;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < f->n_layers; i++) {
		_cleanup_loaded_ struct fsck_loaded l = {0};

		r = fsck_load(f, &f->layers[i], false, &l);
		if (r == 0)
			r = fsck_judge(f, &l);
		if (r == 0)
			r = fn(s, &l);
		if (r >= 0)
			r = fsck_progress(f, "search", 0, 0, i + 1);
	}
	return r;
}

static int count_bad(struct search *s, struct fsck_loaded *l)
{
	for (size_t i = 0; i < l->object.n_chunks; i++) {
		const struct wanted *w;

		if (!l->why[i])
			continue;
		w = fsck_wanted(s->fsck, &l->object.chunks[i].digest);
		l->why[i]->bad++;
		l->why[i]->found += w && w->source != SOURCE_NONE;
	}
	return 0;
}

static void settle(struct finding *found, enum fsck_state state)
{
	bool good = found->bad == 0 ||
		    (state == FSCK_REPAIRABLE && found->bad == found->found);

	found->state = good ? state : FSCK_LOST;
}

int fsck_settle(struct fsck *f, enum fsck_state state)
{
	struct search s = {.fsck = f};
	int r;

	for (size_t i = 0; i < f->n_findings; i++)
		f->findings[i]->bad = f->findings[i]->found = 0;
	for (size_t i = 0; i < f->packs.n; i++)
		f->pack[i].needed = false;
	r = each_layer(&s, count_bad);
	for (size_t i = 0; r == 0 && i < f->packs.n; i++)
		if (f->pack[i].finding)
			settle(f->pack[i].finding, state);
	for (size_t i = 0; r == 0 && i < f->n_layers; i++)
		if (f->layers[i].places)
			settle(f->layers[i].places, state);
	return r;
}

static int search(struct search *s)
{
	struct fsck *f = s->fsck;
	int r = each_layer(s, want_rows);

	if (r == 0)
		r = store_list(f->host->store, "packs/", search_pack, s,
			       f->err);
	if (r == 0)
		r = each_layer(s, search_cache);
	return r == 0 ? fsck_settle(f, FSCK_REPAIRABLE) : r;
}

int fsck_find_sources(struct fsck *f)
{
	struct search s = {.fsck = f, .data = malloc(CHUNK_MAX)};
	int r = s.data ? search(&s) : err_oom(f->err);

	fsck_reader_release(&s.reader);
	free(s.data);
	return r;
}
