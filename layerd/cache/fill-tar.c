/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Workers take runs of chunks in tar order: chunks that also follow one another
 * in one pack are read with one request. Each is decompressed, checked against
 * the digest in the layer object, and written at its offset, so that the order
 * in which they finish does not matter and the disk sees nearly one stream.
 */

#include "cache/fill.h"

#include "cache/cache-private.h"
#include "format/chunker.h"
#include "format/pack.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#define WORKERS_MAX 8
#define READ_MAX (4u << 20)

struct fill {
	struct cache *cache;
	struct store *store;
	const struct layer_object *object;
	const struct places *places;
	int fd;
	cache_progress_fn progress;
	void *ctx;

	/* Guards what follows, and the calls of progress. */
	pthread_mutex_t lock;
	size_t next; /* chunk that no worker has taken yet */
	uint64_t done;
	int result;
	struct err err;
};

/* Chunks first to first + n - 1, which stand together in one pack. */
struct run {
	size_t first;
	size_t n;
	uint32_t size; /* of their frames */
};

struct worker {
	struct pack_codec *codec;
	uint8_t *frames; /* READ_MAX */
	uint8_t *chunk;	 /* CHUNK_MAX */
};

static void worker_release(struct worker *w)
{
	pack_codec_free(w->codec);
	free(w->frames);
	free(w->chunk);
}

static int worker_init(struct worker *w)
{
	*w = (struct worker){0};
	w->frames = malloc(READ_MAX);
	w->chunk = malloc(CHUNK_MAX);
	if (!w->frames || !w->chunk)
		return -ENOMEM;
	return pack_codec_new(&w->codec);
}

static int damaged(const struct fill *f, size_t chunk, const char *what,
		   struct err *err)
{
	char layer[DIGEST_HEX_SIZE], hex[DIGEST_HEX_SIZE];
	char pack[DIGEST_HEX_SIZE];
	const struct place *p = &f->places->rows[chunk];

	return err_set(err, EBADMSG,
		       "layer %s: chunk %s %s in pack %s of the store %s; "
		       "restore that pack from a copy, or seal the data again",
		       digest_hex(&f->object->tar, layer),
		       digest_hex(&f->object->chunks[chunk].digest, hex), what,
		       digest_hex(&f->places->packs[p->pack], pack),
		       store_name(f->store));
}

/* The longest run from first on that fits one read; its rows are checked. */
static int find_run(const struct fill *f, size_t first, struct run *ret,
		    struct err *err)
{
	const struct place *rows = f->places->rows;
	struct run run = {.first = first};
	char hex[DIGEST_HEX_SIZE];

	if (rows[first].pack >= f->places->n_packs || !rows[first].length ||
	    rows[first].length > READ_MAX || rows[first].offset > PACK_SIZE_MAX)
		return err_set(err, EBADMSG,
			       "layers/%s/places in the store %s is damaged: "
			       "chunk %zu cannot be where it says; restore the "
			       "file from a copy",
			       digest_hex(&f->object->tar, hex),
			       store_name(f->store), first);
	do
		run.size += rows[first + run.n++].length;
	while (first + run.n < f->places->n_rows &&
	       rows[first + run.n].pack == rows[first].pack &&
	       rows[first + run.n].offset == rows[first].offset + run.size &&
	       rows[first + run.n].length &&
	       rows[first + run.n].length <= READ_MAX - run.size);
	*ret = run;
	return 0;
}

/* 1 with the next run, 0 when there is none left or somebody failed. */
static int take_run(struct fill *f, struct run *ret, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&f->lock);
	if (!f->result && f->next < f->object->n_chunks) {
		r = find_run(f, f->next, ret, err);
		if (r == 0) {
			f->next += ret->n;
			r = 1;
		}
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int read_run(struct fill *f, struct worker *w, const struct run *run,
		    struct err *err)
{
	const struct place *p = &f->places->rows[run->first];
	char key[STORE_KEY_MAX];
	int r;

	store_key_pack(key, &f->places->packs[p->pack]);
	r = store_get_range(f->store, key, p->offset, run->size, w->frames,
			    err);
	if (r == -ENOENT)
		return damaged(f, run->first, "is lost with all", err);
	if (r < 0) {
		char hex[DIGEST_HEX_SIZE];

		return err_prefix(err, r, "layer %s",
				  digest_hex(&f->object->tar, hex));
	}
	return 0;
}

static int write_run(struct fill *f, struct worker *w, const struct run *run,
		     struct err *err)
{
	const uint8_t *frame = w->frames;

	for (size_t i = run->first; i < run->first + run->n; i++) {
		const struct layer_chunk *chunk = &f->object->chunks[i];
		uint32_t length = f->places->rows[i].length;
		int r;

		r = pack_decompress(w->codec, frame, length, &chunk->digest,
				    w->chunk, chunk->size, NULL);
		if (r == -EBADMSG)
			return damaged(f, i, "is damaged", err);
		if (r < 0)
			return err_oom(err);
		r = pwrite_full(f->fd, w->chunk, chunk->size, chunk->offset);
		if (r < 0)
			return cache_fail_write(f->cache, r, &f->object->tar,
						f->object->tar_size, err);
		frame += length;
	}
	return 0;
}

static int report(struct fill *f, const struct run *run)
{
	const struct layer_chunk *first = &f->object->chunks[run->first];
	const struct layer_chunk *last = first + run->n - 1;
	int r = 0;

	pthread_mutex_lock(&f->lock);
	f->done += last->offset + last->size - first->offset;
	if (f->progress && !f->result)
		r = f->progress(f->done, f->object->tar_size, f->ctx);
	/* At once: who said stop is not called again. */
	if (r < 0)
		f->result = r;
	pthread_mutex_unlock(&f->lock);
	return MIN(r, 0);
}

static int work(struct fill *f, struct err *err)
{
	_cleanup_(worker_release) struct worker w;
	struct run run;
	int r;

	r = worker_init(&w);
	if (r < 0)
		return err_oom(err);
	while ((r = take_run(f, &run, err)) > 0) {
		r = read_run(f, &w, &run, err);
		if (r == 0)
			r = write_run(f, &w, &run, err);
		if (r == 0)
			r = report(f, &run);
		if (r < 0)
			return r;
	}
	return r;
}

static void *work_thread(void *arg)
{
	struct err err = ERR_INIT;
	struct fill *f = arg;
	int r = work(f, &err);

	if (r < 0) {
		pthread_mutex_lock(&f->lock);
		if (!f->result) {
			f->result = r;
			f->err = err;
		}
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

static size_t count_workers(const struct layer_object *o)
{
	cpu_set_t set;
	size_t n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (size_t)CPU_COUNT(&set);
	/* A thread for less than a read is not worth its memory. */
	n = MIN(n, (size_t)(o->tar_size / READ_MAX) + 1);
	return MIN(n, (size_t)WORKERS_MAX);
}

int fill_tar(struct cache *c, struct store *s,
	     const struct layer_object *object, const struct places *places,
	     int fd, cache_progress_fn progress, void *ctx, struct err *err)
{
	struct fill f = {.cache = c,
			 .store = s,
			 .object = object,
			 .places = places,
			 .fd = fd,
			 .progress = progress,
			 .ctx = ctx,
			 .lock = PTHREAD_MUTEX_INITIALIZER};
	size_t want = count_workers(object), n = 0;
	pthread_t threads[WORKERS_MAX];

	/* This thread works as well; fewer helpers only take longer. */
	while (n + 1 < want &&
	       pthread_create(&threads[n], NULL, work_thread, &f) == 0)
		n++;
	(void)work_thread(&f);
	while (n)
		(void)pthread_join(threads[--n], NULL);
	if (f.result < 0 && f.err.code)
		return err_set(err, f.result, "%s", f.err.text);
	return f.result;
}
