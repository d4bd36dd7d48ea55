/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of layers, and what is in packs besides.
 *
 *   workers: read, decompress, check a chunk -> ring -> this thread, in order:
 *   digest of the tarball, marks of the packs
 *
 * Only this thread touches what the check remembers. A chunk that cannot be
 * read ends nothing: the tarball's digest is not known then.
 */
#include "volume/fsck-private.h"

#include "format/chunker.h"
#include "store/layout.h"
#include "util/cleanup.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#define WORKERS_MAX 8
#define SLOTS 16
/* A thread for less is not worth its start. */
#define BYTES_PER_WORKER ((uint64_t)4 << 20)

struct slot {
	uint8_t *data; /* CHUNK_MAX */
	bool done;
	int result;
};

struct stream {
	struct fsck *fsck;
	const struct fsck_loaded *loaded;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t taken, hashed; /* chunks */
	bool stop;
	struct slot slots[SLOTS];
};

void fsck_reader_release(struct fsck_reader *r)
{
	pack_codec_free(r->codec);
	buf_release(&r->frame);
}

int fsck_read_chunk(struct fsck *f, struct fsck_reader *reader,
		    const struct digest *pack, const struct pack_entry *e,
		    uint8_t *data)
{
	struct err problem = ERR_INIT;
	char key[STORE_KEY_MAX];
	int r;

	reader->frame.size = 0;
	if ((!reader->codec && pack_codec_new(&reader->codec) < 0) ||
	    buf_reserve(&reader->frame, e->length) < 0)
		return -ENOMEM;
	r = store_get_range(f->host->store, store_key_pack(key, pack),
			    e->offset, e->length, reader->frame.data, &problem);
	if (r == 0)
		r = pack_decompress(reader->codec, reader->frame.data,
				    e->length, &e->chunk, data, e->size, NULL);
	if (r == 0)
		reader->frame.size = e->length;
	return r == -ENOMEM ? r : r < 0 ? -EBADMSG : 0;
}

static int read_slot(struct stream *s, struct fsck_reader *reader, size_t i)
{
	const struct place *row = &s->loaded->places.rows[i];
	const struct layer_chunk *chunk = &s->loaded->object.chunks[i];
	const struct pack_entry e = {.chunk = chunk->digest,
				     .offset = row->offset,
				     .length = row->length,
				     .size = chunk->size};

	/* What is wrong already is not read. */
	if (s->loaded->why[i])
		return -EBADMSG;
	return fsck_read_chunk(s->fsck, reader,
			       &s->loaded->places.packs[row->pack], &e,
			       s->slots[i % SLOTS].data);
}

/* With the lock held, which is let go of meanwhile. */
static void work(struct stream *s, struct fsck_reader *reader)
{
	size_t i = s->taken++;
	struct slot *slot = &s->slots[i % SLOTS];
	int r;

	pthread_mutex_unlock(&s->lock);
	r = read_slot(s, reader, i);
	pthread_mutex_lock(&s->lock);
	slot->result = r;
	slot->done = true;
	pthread_cond_broadcast(&s->changed);
}

static void *worker_main(void *ctx)
{
	_cleanup_reader_ struct fsck_reader reader = {0};
	struct stream *s = ctx;

	pthread_mutex_lock(&s->lock);
	while (!s->stop && s->taken < s->loaded->object.n_chunks) {
		if (s->taken - s->hashed < SLOTS)
			work(s, &reader);
		else
			pthread_cond_wait(&s->changed, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* The result for a chunk, once it is there; this thread reads it when nobody
 * else has begun to. */
static int wait_for(struct stream *s, struct fsck_reader *reader, size_t i)
{
	struct slot *slot = &s->slots[i % SLOTS];
	int r;

	pthread_mutex_lock(&s->lock);
	while (!slot->done) {
		if (s->taken == i)
			work(s, reader);
		else
			pthread_cond_wait(&s->changed, &s->lock);
	}
	r = slot->result;
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void give_back(struct stream *s, size_t i)
{
	pthread_mutex_lock(&s->lock);
	s->slots[i % SLOTS].done = false;
	s->hashed = i + 1;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* What is known of a chunk that was just read. */
static int note(struct fsck *f, struct fsck_loaded *l, size_t i, bool good)
{
	const struct place *row = &l->places.rows[i];
	uint32_t pack;
	int r = fsck_pack(f, &l->places.packs[row->pack], &pack);

	if (r < 0)
		return r;
	if (fsck_pack_known(f, pack, l->entries[i]) == CHUNK_UNREAD)
		f->totals.bytes += row->length;
	r = fsck_pack_mark(f, pack, l->entries[i],
			   good ? CHUNK_GOOD : CHUNK_BAD);
	if (r == 0 && !good)
		r = fsck_pack_finding(f, pack, &l->why[i]);
	return r;
}

static int wrong_tar(struct fsck *f, struct fsck_layer *layer)
{
	char key[STORE_KEY_MAX];

	layer->object = fsck_found(
		f, store_key_blob(key, &layer->pin.object), "wrong",
		"the layer's chunks are intact but make another tarball");
	return layer->object ? fsck_touch_layer(f, layer->object, layer)
			     : -ENOMEM;
}

static int consume(struct stream *s, struct fsck_loaded *l)
{
	_cleanup_(hasher_freep) struct hasher *hasher = NULL;
	_cleanup_reader_ struct fsck_reader reader = {0};
	struct fsck *f = s->fsck;
	bool whole = true;
	struct digest tar;

	if (hasher_new(&hasher) < 0)
		return err_oom(f->err);
	for (size_t i = 0; i < l->object.n_chunks; i++) {
		bool known = l->why[i];
		int r = wait_for(s, &reader, i);

		if (r == -ENOMEM)
			return err_oom(f->err);
		whole = whole && r == 0;
		if (whole)
			hasher_add(hasher, s->slots[i % SLOTS].data,
				   l->object.chunks[i].size);
		if (!known)
			r = note(f, l, i, r == 0);
		give_back(s, i);
		if (r == 0 || known)
			r = fsck_progress(f, "verify", f->totals.bytes,
					  f->read_total, 0);
		if (r < 0)
			return r;
	}
	hasher_finish(hasher, &tar);
	return whole && !digest_equal(&tar, &l->object.tar)
		       ? wrong_tar(f, l->layer)
		       : 0;
}

static size_t count_workers(const struct layer_object *o)
{
	cpu_set_t set;
	size_t n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (size_t)CPU_COUNT(&set);
	n = MIN(n, (size_t)(o->tar_size / BYTES_PER_WORKER));
	return MIN(n, (size_t)WORKERS_MAX);
}

static int run(struct stream *s, struct fsck_loaded *l)
{
	size_t want = count_workers(&l->object), n = 0;
	pthread_t threads[WORKERS_MAX];
	int r;

	/* Fewer workers only take longer: this thread reads as well. */
	while (n < want &&
	       pthread_create(&threads[n], NULL, worker_main, s) == 0)
		n++;
	r = consume(s, l);
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	while (n)
		(void)pthread_join(threads[--n], NULL);
	return r;
}

int fsck_read_layer(struct fsck *f, struct fsck_loaded *l)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct stream s = {.fsck = f,
			   .loaded = l,
			   .lock = PTHREAD_MUTEX_INITIALIZER,
			   .changed = PTHREAD_COND_INITIALIZER};

	if (!l->has_places)
		return 0;
	data = malloc((size_t)SLOTS * CHUNK_MAX);
	if (!data)
		return err_oom(f->err);
	for (size_t i = 0; i < SLOTS; i++)
		s.slots[i].data = data + i * CHUNK_MAX;
	return run(&s, l);
}

/* One that no layer has led to. What is bad in a pack that is marked for it is
 * no news. */
static int read_entry(struct fsck *f, uint32_t pack, uint32_t i,
		      const struct pack_entry *e, struct fsck_reader *reader,
		      uint8_t *data)
{
	const struct fsck_pack *p = &f->pack[pack];
	struct finding *found;
	int r;

	if (fsck_pack_known(f, pack, i) != CHUNK_UNREAD)
		return 0;
	r = fsck_read_chunk(f, reader, &f->packs.items[pack], e, data);
	if (r == -ENOMEM)
		return err_oom(f->err);
	f->totals.bytes += e->length;
	if (r == 0)
		return fsck_pack_mark(f, pack, i, CHUNK_GOOD);
	r = fsck_pack_mark(f, pack, i, CHUNK_BAD);
	return r < 0 || p->marked ? r : fsck_pack_finding(f, pack, &found);
}

static bool all_good(const struct fsck *f, uint32_t pack)
{
	for (uint32_t i = 0; i < f->pack[pack].n; i++)
		if (fsck_pack_known(f, pack, i) != CHUNK_GOOD)
			return false;
	return true;
}

/* A pack that was restored from elsewhere after it was marked. */
static int drop_mark(struct fsck *f, uint32_t pack)
{
	char key[STORE_KEY_MAX];
	struct finding *found;
	int r = 0;

	store_key_damaged(key, &f->packs.items[pack]);
	found = fsck_found(f, key, "stale",
			   "the mark says that a pack is damaged, which is "
			   "whole");
	if (!found)
		return -ENOMEM;
	found->state = FSCK_REPAIRABLE;
	if (!f->options->repair)
		return 0;
	r = store_remove(f->host->store, key, f->err);
	if (r == 0) {
		found->state = FSCK_REPAIRED;
		f->pack[pack].marked = false;
	}
	return r;
}

static int read_rest(struct fsck *f, uint32_t pack, struct fsck_reader *reader,
		     uint8_t *data)
{
	struct fsck_pack *p = &f->pack[pack];
	const struct pack_toc *toc = NULL;
	struct finding *found;
	int r = fsck_pack_toc(f, pack, &toc);

	if (r < 0)
		return r;
	if (!toc)
		return p->state == PACK_DAMAGED && !p->marked
			       ? fsck_pack_finding(f, pack, &found)
			       : 0;
	for (uint32_t i = 0; r == 0 && i < toc->n; i++) {
		r = read_entry(f, pack, i, &toc->entries[i], reader, data);
		if (r == 0)
			r = fsck_progress(f, "verify", f->totals.bytes,
					  f->read_total, 0);
	}
	return r == 0 && p->marked && all_good(f, pack) ? drop_mark(f, pack)
							: r;
}

static int add_listed(const char *key, uint64_t size, void *ctx,
		      struct err *err)
{
	struct digest digest;
	uint32_t pack;

	(void)size;
	(void)err;
	if (store_key_digest(key, &digest) < 0)
		return 0;
	return fsck_pack(ctx, &digest, &pack);
}

int fsck_read_rest(struct fsck *f)
{
	_cleanup_reader_ struct fsck_reader reader = {0};
	_cleanup_free_ uint8_t *data = malloc(CHUNK_MAX);
	int r;

	if (!data)
		return err_oom(f->err);
	r = store_list(f->host->store, "packs/", add_listed, f, f->err);
	for (uint32_t i = 0; r == 0 && i < f->packs.n; i++)
		r = read_rest(f, i, &reader, data);
	return r;
}
