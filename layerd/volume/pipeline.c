/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emitter's side of the pipeline. What must hold: bytes get into chunks in
 * stream order, a slab is not reused while anybody reads it, and after an error
 * no call blocks.
 */
#include "volume/pipeline-private.h"

#include "util/cleanup.h"

#include <errno.h>

void slab_unref(struct slab *s)
{
	if (s && atomic_fetch_sub(&s->refs, 1) == 1)
		free(s);
}

void pipeline_fail(struct pipeline *p, const struct err *err)
{
	pthread_mutex_lock(&p->lock);
	if (!p->error.code)
		p->error = *err;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static int report(struct pipeline *p, struct err *err)
{
	if (err && !err->code)
		*err = p->error;
	return p->error.code;
}

int pipeline_new(struct pipeline **ret, struct store *store,
		 struct catalog *catalog, int tar_fd, struct err *err)
{
	_cleanup_(pipeline_freep) struct pipeline *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_oom(err);
	p->store = store;
	p->catalog = catalog;
	p->tar_fd = tar_fd;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	if (hasher_new(&p->tar_hasher) < 0 || hasher_new(&p->tar_saved) < 0)
		return err_oom(err);
	r = pipeline_start(p, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

static void stop_threads(struct pipeline *p)
{
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	p->n_threads = 0;
}

/* Chunks that no thread took any more still hold their slab. */
static void release_jobs(struct pipeline *p)
{
	uint64_t first = MIN(p->hashed, p->packed);

	for (uint64_t n = first; n < p->submitted; n++) {
		struct job *job = &p->jobs[n % PIPELINE_JOBS];

		if (n >= p->claimed)
			slab_unref(job->slab);
		if (n >= p->hashed)
			slab_unref(job->slab);
	}
	for (size_t i = 0; i < PIPELINE_JOBS; i++)
		buf_release(&p->jobs[i].frame);
}

struct pipeline *pipeline_free(struct pipeline *p)
{
	static const struct err stopped = {.code = -ECANCELED,
					   .text = "the seal was stopped"};

	if (!p)
		return NULL;
	pipeline_fail(p, &stopped);
	stop_threads(p);
	pipeline_join_closers(p);
	release_jobs(p);
	slab_unref(p->slab);
	buf_release(&p->mark.pending);
	store_upload_free(p->upload);
	hasher_free(p->pack_hasher);
	hasher_free(p->tar_hasher);
	hasher_free(p->tar_saved);
	pack_toc_release(&p->toc);
	table_release(&p->unique_table);
	free(p->unique);
	free(p->packs);
	free(p->rows);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
	return NULL;
}

void pipeline_freep(struct pipeline **p)
{
	*p = pipeline_free(*p);
}

/* A slab with room, the pending chunk moved to its front. */
static int new_slab(struct pipeline *p, struct err *err)
{
	struct slab *s = malloc(sizeof(*s));
	size_t pending = p->fill - p->start;

	if (!s)
		return err_oom(err);
	atomic_init(&s->refs, 1);
	if (pending)
		memcpy(s->data, p->slab->data + p->start, pending);
	slab_unref(p->slab);
	p->slab = s;
	p->start = 0;
	p->fill = pending;
	return 0;
}

void *pipeline_space(struct pipeline *p, size_t *ret_size, struct err *err)
{
	if ((!p->slab || SLAB_SIZE - p->fill < CHUNK_FORCE_SIZE) &&
	    new_slab(p, err) < 0)
		return NULL;
	*ret_size = SLAB_SIZE - p->fill;
	return p->slab->data + p->fill;
}

/* Hands the first size pending bytes on as a chunk. */
static int submit(struct pipeline *p, size_t size, struct err *err)
{
	struct job *job;
	int r = 0;

	pthread_mutex_lock(&p->lock);
	while (!p->error.code &&
	       p->submitted - MIN(p->hashed, p->packed) >= PIPELINE_JOBS)
		pthread_cond_wait(&p->changed, &p->lock);
	if (p->error.code) {
		r = report(p, err);
	} else {
		job = &p->jobs[p->submitted % PIPELINE_JOBS];
		atomic_fetch_add(&p->slab->refs, 2);
		job->slab = p->slab;
		job->data = p->slab->data + p->start;
		job->size = (uint32_t)size;
		job->offset = p->offset;
		job->snapshot = p->mark.set && p->mark.chunk == p->submitted;
		job->worked = false;
		job->frame.size = 0;
		p->submitted++;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	p->start += size;
	p->offset += size;
	return r;
}

int pipeline_advance(struct pipeline *p, size_t size, struct err *err)
{
	size_t done = p->fill;

	p->fill += size;
	while (done < p->fill) {
		bool cut;
		int r;

		done += chunker_feed(&p->chunker, p->slab->data + done,
				     p->fill - done, &cut);
		if (!cut)
			continue;
		r = submit(p, done - p->start, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int pipeline_write(struct pipeline *p, const void *data, size_t size,
		   struct err *err)
{
	const uint8_t *from = data;

	while (size) {
		size_t room;
		void *to = pipeline_space(p, &room, err);
		int r;

		if (!to)
			return -ENOMEM;
		room = MIN(room, size);
		if (from) {
			memcpy(to, from, room);
			from += room;
		} else {
			memset(to, 0, room);
		}
		size -= room;
		r = pipeline_advance(p, room, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int pipeline_zeros(struct pipeline *p, size_t size, struct err *err)
{
	return pipeline_write(p, NULL, size, err);
}

int pipeline_cut(struct pipeline *p, struct err *err)
{
	size_t pending = p->fill - p->start;

	p->chunker = CHUNKER_INIT;
	return pending ? submit(p, pending, err) : 0;
}

uint64_t pipeline_offset(const struct pipeline *p)
{
	return p->offset + (p->fill - p->start);
}

int pipeline_mark(struct pipeline *p, struct err *err)
{
	size_t pending = p->fill - p->start;

	p->mark.pending.size = 0;
	if (pending &&
	    buf_add(&p->mark.pending, p->slab->data + p->start, pending) < 0)
		return err_oom(err);
	p->mark.chunk = p->submitted;
	p->mark.offset = p->offset;
	p->mark.chunker = p->chunker;
	p->mark.set = true;
	return 0;
}

/* Waits until every chunk is hashed and packed. */
static int drain(struct pipeline *p, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&p->lock);
	while (!p->error.code &&
	       (p->hashed < p->submitted || p->packed < p->submitted))
		pthread_cond_wait(&p->changed, &p->lock);
	if (p->error.code)
		r = report(p, err);
	pthread_mutex_unlock(&p->lock);
	return r;
}

int pipeline_flush(struct pipeline *p, struct err *err)
{
	int r = pipeline_cut(p, err);

	return r < 0 ? r : drain(p, err);
}

int pipeline_rewind(struct pipeline *p, struct err *err)
{
	size_t pending = p->mark.pending.size;
	int r = drain(p, err);

	if (r < 0)
		return r;
	if (p->submitted > p->mark.chunk &&
	    hasher_copy(p->tar_hasher, p->tar_saved) < 0)
		return err_oom(err);
	/* Slots go on from where they are: counters are of submissions, rows of
	 * the stream. */
	p->n_rows -= (size_t)(p->submitted - p->mark.chunk);
	p->offset = p->mark.offset;
	p->start = p->fill;
	r = new_slab(p, err);
	if (r < 0)
		return r;
	if (pending)
		memcpy(p->slab->data, p->mark.pending.data, pending);
	p->fill = pending;
	p->chunker = p->mark.chunker;
	p->mark.chunk = p->submitted;
	return 0;
}

void pipeline_result_release(struct pipeline_result *r)
{
	free(r->chunks);
	places_release(&r->places);
	*r = (struct pipeline_result){0};
}

static int collect(struct pipeline *p, struct pipeline_result *ret,
		   struct err *err)
{
	ret->chunks = calloc(p->n_rows + 1, sizeof(*ret->chunks));
	if (!ret->chunks)
		return err_oom(err);
	for (size_t i = 0; i < p->n_rows; i++) {
		const struct chunk_row *row = &p->rows[i];
		const struct unique *u = &p->unique[row->unique];

		ret->chunks[i].digest = u->digest;
		ret->chunks[i].size = row->size;
		ret->chunks[i].offset = row->offset;
		if (places_add(&ret->places, &p->packs[u->pack].digest,
			       u->offset, u->length) < 0)
			return err_oom(err);
	}
	ret->n_chunks = p->n_rows;
	ret->tar_size = p->offset;
	ret->stored = p->stored;
	return 0;
}

int pipeline_finish(struct pipeline *p, struct pipeline_result *ret,
		    struct err *err)
{
	struct pipeline_result result = {0};
	int r = pipeline_flush(p, err);

	if (r < 0)
		return r;
	stop_threads(p);
	pipeline_close_pack(p);
	pipeline_join_closers(p);
	if (r == 0 && p->error.code)
		r = report(p, err);
	if (r == 0)
		r = pipeline_check_reused(p, err);
	if (r == 0)
		r = collect(p, &result, err);
	if (r < 0) {
		pipeline_result_release(&result);
		return r;
	}
	hasher_finish(p->tar_hasher, &result.tar);
	*ret = result;
	return 0;
}
