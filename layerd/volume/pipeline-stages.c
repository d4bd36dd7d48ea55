/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of the pipeline. What must hold:
 *  1. Rows and the tarball's hash are made in stream order.
 *  2. A content is compressed by one worker only: the first to see it owns it.
 *  3. A chunk's place is recorded only after its frame is in an upload, and a
 *     pack is in the catalog only after the store has it durably.
 */
#include "volume/pipeline-private.h"

#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/fd.h"

#include <errno.h>
#include <unistd.h>

static bool equal_unique(const void *key, uint32_t index, void *ctx)
{
	const struct pipeline *p = ctx;

	return digest_equal(key, &p->unique[index].digest);
}

/* Finds or adds a content. *ret_owner: the caller must provide its place. */
static int find_unique(struct pipeline *p, const struct digest *digest,
		       uint32_t *ret, bool *ret_owner)
{
	uint64_t hash = digest_hash(digest);
	struct unique *unique;

	*ret_owner = false;
	*ret = table_find(&p->unique_table, hash, digest, equal_unique, p);
	if (*ret != TABLE_NONE)
		return 0;
	if (p->n_unique == p->unique_alloc) {
		size_t n = p->unique_alloc ? p->unique_alloc * 2 : 256;

		unique = reallocarray(p->unique, n, sizeof(*unique));
		if (!unique)
			return -ENOMEM;
		p->unique = unique;
		p->unique_alloc = n;
	}
	if (table_add(&p->unique_table, hash, (uint32_t)p->n_unique) < 0)
		return -ENOMEM;
	p->unique[p->n_unique] = (struct unique){.digest = *digest};
	*ret = (uint32_t)p->n_unique++;
	*ret_owner = true;
	return 0;
}

int pipeline_add_pack(struct pipeline *p, const struct digest *digest,
		      uint32_t *ret)
{
	struct known_pack *packs;

	for (size_t i = p->n_packs; digest && i-- > 0;)
		if (digest_equal(&p->packs[i].digest, digest)) {
			*ret = (uint32_t)i;
			return 0;
		}
	packs = reallocarray(p->packs, p->n_packs + 1, sizeof(*packs));
	if (!packs)
		return -ENOMEM;
	p->packs = packs;
	packs[p->n_packs] = (struct known_pack){.ours = !digest};
	if (digest)
		packs[p->n_packs].digest = *digest;
	*ret = (uint32_t)p->n_packs++;
	return 0;
}

/* Looks the content up in the store's index, else compresses it. */
static int provide(struct pipeline *p, struct job *job,
		   struct pack_codec *codec, struct err *err)
{
	struct catalog_place place;
	uint32_t pack;
	int r = catalog_find_chunk(p->catalog, &job->digest, &place, err);

	if (r == -ENOENT) {
		r = pack_compress(codec, job->data, job->size, &job->frame);
		return r < 0 ? err_oom(err) : 0;
	}
	if (r < 0)
		return r;
	pthread_mutex_lock(&p->lock);
	r = pipeline_add_pack(p, &place.pack, &pack);
	if (r == 0) {
		struct unique *u = &p->unique[job->unique];

		u->pack = pack;
		u->offset = place.offset;
		u->length = place.length;
	}
	pthread_mutex_unlock(&p->lock);
	return r < 0 ? err_oom(err) : 0;
}

/* An error without a sentence must end the others as well. */
static void fail(struct pipeline *p, int r, struct err *err)
{
	err_errno(err, r, "the layer could not be written");
	pipeline_fail(p, err);
}

static int work(struct pipeline *p, struct job *job, struct pack_codec *codec,
		struct err *err)
{
	bool owner;
	int r = digest_of(job->data, job->size, &job->digest);

	if (r == 0) {
		pthread_mutex_lock(&p->lock);
		r = find_unique(p, &job->digest, &job->unique, &owner);
		pthread_mutex_unlock(&p->lock);
	}
	if (r < 0)
		return err_oom(err);
	r = pwrite_full(p->tar_fd, job->data, job->size, job->offset);
	if (r < 0)
		return err_errno(err, r,
				 "cannot write the tarball into the cache; "
				 "nothing was sealed, and nothing was lost");
	return owner ? provide(p, job, codec, err) : 0;
}

/* Waits until *position has a job that is ready; NULL when it is all over. */
static struct job *next_job(struct pipeline *p, const uint64_t *position,
			    bool worked)
{
	for (;;) {
		struct job *job = &p->jobs[*position % PIPELINE_JOBS];

		if (p->error.code)
			return NULL;
		if (*position < p->submitted && (!worked || job->worked))
			return job;
		if (p->closing && *position == p->submitted)
			return NULL;
		pthread_cond_wait(&p->changed, &p->lock);
	}
}

static void *worker_main(void *ctx)
{
	_cleanup_(pack_codec_freep) struct pack_codec *codec = NULL;
	struct err err = ERR_INIT;
	struct pipeline *p = ctx;
	struct job *job;
	int r = pack_codec_new(&codec);

	if (r < 0)
		err_oom(&err);
	pthread_mutex_lock(&p->lock);
	while (r == 0 && (job = next_job(p, &p->claimed, false))) {
		p->claimed++;
		pthread_mutex_unlock(&p->lock);
		r = work(p, job, codec, &err);
		slab_unref(job->slab);
		pthread_mutex_lock(&p->lock);
		job->worked = true;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	if (r < 0)
		fail(p, r, &err);
	return NULL;
}

static void *hasher_main(void *ctx)
{
	struct pipeline *p = ctx;
	struct err err = ERR_INIT;
	struct job *job;

	pthread_mutex_lock(&p->lock);
	while ((job = next_job(p, &p->hashed, false))) {
		pthread_mutex_unlock(&p->lock);
		if (job->snapshot &&
		    hasher_copy(p->tar_saved, p->tar_hasher) < 0)
			fail(p, -ENOMEM, &err);
		hasher_add(p->tar_hasher, job->data, job->size);
		slab_unref(job->slab);
		pthread_mutex_lock(&p->lock);
		p->hashed++;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int finish_pack(struct closer *c, struct err *err)
{
	struct pipeline *p = c->pipeline;
	_cleanup_buf_ struct buf contents = BUF_INIT;
	char key[STORE_KEY_MAX];
	struct digest digest;
	int r = pack_toc_encode(&c->toc, &contents);

	if (r < 0)
		return err_oom(err);
	r = store_upload_add(c->upload, contents.data, contents.size, err);
	if (r < 0)
		return r;
	hasher_add(c->hasher, contents.data, contents.size);
	hasher_finish(c->hasher, &digest);
	r = store_upload_finish(TAKE_PTR(c->upload),
				store_key_pack(key, &digest), err);
	if (r == 0)
		r = fault_point("publish.pack");
	if (r == 0)
		r = catalog_add_pack(p->catalog, &digest, &c->toc, err);
	if (r == 0)
		r = fault_point("publish.chunks");
	if (r < 0)
		return r;
	pthread_mutex_lock(&p->lock);
	p->packs[c->pack].digest = digest;
	p->stored += contents.size;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static void *closer_main(void *ctx)
{
	struct err err = ERR_INIT;
	struct closer *c = ctx;
	int r = finish_pack(c, &err);

	if (r < 0)
		fail(c->pipeline, r, &err);
	c->upload = store_upload_free(c->upload);
	c->hasher = hasher_free(c->hasher);
	pack_toc_release(&c->toc);
	return NULL;
}

static void join_closer(struct closer *c)
{
	if (c->running)
		pthread_join(c->thread, NULL);
	c->running = false;
}

void pipeline_join_closers(struct pipeline *p)
{
	for (size_t i = 0; i < PIPELINE_CLOSERS; i++)
		join_closer(&p->closers[i]);
}

void pipeline_close_pack(struct pipeline *p)
{
	struct closer *c = &p->closers[p->next_closer++ % PIPELINE_CLOSERS];

	if (!p->upload)
		return;
	join_closer(c);
	c->pipeline = p;
	c->upload = TAKE_PTR(p->upload);
	c->hasher = TAKE_PTR(p->pack_hasher);
	c->toc = p->toc;
	c->pack = p->pack;
	p->toc = (struct pack_toc){0};
	c->running = pthread_create(&c->thread, NULL, closer_main, c) == 0;
	/* Without a thread to spare the packer does it and waits. */
	if (!c->running)
		closer_main(c);
}

static int open_pack(struct pipeline *p, struct err *err)
{
	int r;

	pthread_mutex_lock(&p->lock);
	r = pipeline_add_pack(p, NULL, &p->pack);
	pthread_mutex_unlock(&p->lock);
	if (r == 0)
		r = hasher_new(&p->pack_hasher);
	if (r < 0)
		return err_oom(err);
	p->pack_size = 0;
	return store_upload_new(p->store, PACK_SIZE_MAX, &p->upload, err);
}

static int add_frame(struct pipeline *p, struct job *job, struct err *err)
{
	size_t length = job->frame.size;
	int r;

	if (p->upload && p->pack_size + length > PACK_SIZE_MAX)
		pipeline_close_pack(p);
	if (!p->upload) {
		r = open_pack(p, err);
		if (r < 0)
			return r;
	}
	hasher_add(p->pack_hasher, job->frame.data, length);
	r = store_upload_add(p->upload, job->frame.data, length, err);
	if (r == 0)
		r = fault_point("seal.frame");
	if (r < 0)
		return r;
	if (pack_toc_add(&p->toc, &job->digest, (uint32_t)length, job->size) <
	    0)
		return err_oom(err);
	pthread_mutex_lock(&p->lock);
	p->unique[job->unique].pack = p->pack;
	p->unique[job->unique].offset = p->pack_size;
	p->unique[job->unique].length = (uint32_t)length;
	p->stored += length;
	pthread_mutex_unlock(&p->lock);
	p->pack_size += length;
	return 0;
}

static int add_row(struct pipeline *p, const struct job *job, struct err *err)
{
	if (p->n_rows == p->rows_alloc) {
		size_t n = p->rows_alloc ? p->rows_alloc * 2 : 256;
		struct chunk_row *rows;

		rows = reallocarray(p->rows, n, sizeof(*rows));
		if (!rows)
			return err_oom(err);
		p->rows = rows;
		p->rows_alloc = n;
	}
	p->rows[p->n_rows++] = (struct chunk_row){.unique = job->unique,
						  .size = job->size,
						  .offset = job->offset};
	return 0;
}

static void *packer_main(void *ctx)
{
	struct err err = ERR_INIT;
	struct pipeline *p = ctx;
	struct job *job;
	int r = 0;

	pthread_mutex_lock(&p->lock);
	while (r == 0 && (job = next_job(p, &p->packed, true))) {
		pthread_mutex_unlock(&p->lock);
		r = job->frame.size ? add_frame(p, job, &err) : 0;
		if (r == 0)
			r = add_row(p, job, &err);
		pthread_mutex_lock(&p->lock);
		p->packed++;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	if (r < 0)
		fail(p, r, &err);
	return NULL;
}

int pipeline_start(struct pipeline *p, struct err *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t workers = (size_t)MIN(MAX(cpus, 1), PIPELINE_WORKERS_MAX);

	for (size_t i = 0; i < workers + 2; i++) {
		void *(*fn)(void *) = i == 0   ? hasher_main
				      : i == 1 ? packer_main
					       : worker_main;
		int r = pthread_create(&p->threads[i], NULL, fn, p);

		if (r)
			return err_errno(err, r, "cannot start a thread");
		p->n_threads++;
	}
	return 0;
}
