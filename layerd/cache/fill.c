/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Filling: the manifest pins the layer object by digest, the layer object has
 * the digest of every chunk, so nothing else that the store says is believed.
 *
 *   layer object -> index checked -> places -> chunks -> published
 */

#include "cache/fill.h"

#include "cache/cache-private.h"
#include "cache/check.h"
#include "format/erofs-reader.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>

/* A layer object as stored, and what is in it. */
struct loaded {
	struct buf raw;
	struct buf index;
	struct layer_object object;
};

static void loaded_release(struct loaded *l)
{
	buf_release(&l->raw);
	buf_release(&l->index);
	layer_object_release(&l->object);
}

static int is_object(const struct buf *b, const struct digest *want)
{
	struct digest d;
	int r = digest_of(b->data, b->size, &d);

	return r < 0 ? r : digest_equal(&d, want);
}

static int read_stored(struct store *s, const struct digest *tar,
		       const struct digest *object, struct buf *raw,
		       struct err *err)
{
	char hex[DIGEST_HEX_SIZE], key[STORE_KEY_MAX];
	int r;

	digest_hex(tar, hex);
	store_key_blob(key, object);
	r = store_get(s, key, LAYER_OBJECT_MAX, raw, err);
	if (r == -ENOENT)
		return err_set(err, EBADMSG,
			       "layer %s: its layer object %s is missing in "
			       "the store %s; restore it from a copy",
			       hex, key, store_name(s));
	if (r < 0)
		return err_prefix(err, r, "layer %s", hex);
	r = is_object(raw, object);
	if (r < 0)
		return err_oom(err);
	if (r == 0)
		return err_set(err, EBADMSG,
			       "layer %s: its layer object %s in the store %s "
			       "is damaged; restore it from a copy",
			       hex, key, store_name(s));
	return 0;
}

static int load(struct cache *c, struct store *s, const struct digest *tar,
		const struct digest *object, bool index, struct loaded *l,
		struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	int r = 0;

	digest_hex(tar, hex);
	/* Any trouble with the copy leaves the store to be asked. */
	if (!cache_read_object(c, tar, object, &l->raw))
		r = read_stored(s, tar, object, &l->raw, err);
	if (r < 0)
		return r;
	r = layer_object_decode(l->raw.data, l->raw.size, &l->object,
				index ? &l->index : NULL, LAYER_INDEX_MAX, err);
	if (r < 0)
		return err_prefix(err, r, "layer %s", hex);
	if (!digest_equal(&l->object.tar, tar))
		return err_set(err, EBADMSG,
			       "layer %s: the layer object that its version "
			       "names is another layer's; mount another "
			       "version",
			       hex);
	return 0;
}

int cache_get_object(struct cache *c, struct store *s, const struct digest *tar,
		     const struct digest *object, struct layer_object *ret,
		     struct buf *index, struct err *err)
{
	_cleanup_(loaded_release) struct loaded l = {0};
	int r;

	r = load(c, s, tar, object, index, &l, err);
	if (r < 0)
		return r;
	if (index && index->size) {
		if (buf_add(index, l.index.data, l.index.size) < 0)
			return err_oom(err);
	} else if (index) {
		buf_release(index);
		*index = l.index;
		l.index = BUF_INIT;
	}
	*ret = l.object;
	l.object = (struct layer_object){0};
	return 0;
}

static int check_index(const struct loaded *l, struct err *err)
{
	_cleanup_(erofs_reader_freep) struct erofs_reader *reader = NULL;
	char hex[DIGEST_HEX_SIZE];
	int r;

	r = erofs_reader_open(&reader, l->index.data, l->index.size, err);
	if (r == 0)
		r = erofs_reader_check(reader, &l->object.tar,
				       l->object.tar_size, err);
	if (r < 0)
		return err_prefix(err, r, "layer %s",
				  digest_hex(&l->object.tar, hex));
	return 0;
}

static int read_places(struct store *s, const struct layer_object *object,
		       struct places *ret, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char key[STORE_KEY_MAX];
	int r;

	store_key_places(key, &object->tar);
	r = store_get(s, key, LAYER_OBJECT_MAX, &b, err);
	if (r == -ENOENT)
		return err_set(err, EBADMSG,
			       "%s is missing in the store %s: the layer's "
			       "data cannot be found without it; restore the "
			       "file from a copy",
			       key, store_name(s));
	if (r < 0)
		return r;
	r = places_decode(b.data, b.size, &object->tar, ret, err);
	if (r < 0)
		return err_prefix(err, r, "%s in the store %s", key,
				  store_name(s));
	if (ret->n_rows != object->n_chunks)
		return err_set(err, EBADMSG,
			       "%s in the store %s is damaged: it has %zu rows "
			       "for %zu chunks; restore the file from a copy",
			       key, store_name(s), ret->n_rows,
			       object->n_chunks);
	return 0;
}

/* All the room at once: a full disk is found before anything was fetched. */
static int reserve(int fd, uint64_t size)
{
	if (size > INT64_MAX)
		return -EFBIG;
	if (!size || fallocate(fd, 0, 0, (off_t)size) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return -errno;
	return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static int fill(struct cache *c, struct store *s, struct loaded *l,
		cache_progress_fn progress, void *ctx, struct err *err)
{
	_cleanup_(cache_stage_freep) struct cache_stage *stage = NULL;
	_cleanup_places_ struct places places = {0};
	const struct layer_object *o = &l->object;
	uint64_t size = o->tar_size + l->index.size;
	int r;

	r = check_index(l, err);
	if (r == 0)
		r = read_places(s, o, &places, err);
	if (r == 0)
		r = cache_stage_new(c, &stage, err);
	if (r < 0)
		return r;
	r = reserve(stage->tar_fd, o->tar_size);
	if (r == 0)
		r = write_full(stage->index_fd, l->index.data, l->index.size);
	if (r < 0)
		return cache_fail_write(c, r, &o->tar, size, err);
	buf_release(&l->index);
	r = fill_tar(c, s, o, &places, stage->tar_fd, progress, ctx, err);
	if (r == 0)
		r = fault_point("cache.filled");
	if (r < 0)
		return r;
	return cache_stage_publish(stage, &o->tar, o->tar_size, &l->raw, err);
}

static bool claimed(const struct cache *c, const struct digest *tar)
{
	for (const struct cache_claim *i = c->claims; i; i = i->next)
		if (digest_equal(&i->tar, tar))
			return true;
	return false;
}

static void claim_start(struct cache *c, struct cache_claim *claim)
{
	pthread_mutex_lock(&c->lock);
	while (claimed(c, &claim->tar))
		pthread_cond_wait(&c->claim_ended, &c->lock);
	claim->next = c->claims;
	c->claims = claim;
	pthread_mutex_unlock(&c->lock);
}

static void claim_end(struct cache *c, struct cache_claim *claim)
{
	struct cache_claim **p;

	pthread_mutex_lock(&c->lock);
	for (p = &c->claims; *p != claim; p = &(*p)->next)
		;
	*p = claim->next;
	pthread_cond_broadcast(&c->claim_ended);
	pthread_mutex_unlock(&c->lock);
}

static int fill_claimed(struct cache *c, struct store *s,
			const struct digest *tar, const struct digest *object,
			cache_progress_fn progress, void *ctx, struct err *err)
{
	_cleanup_cache_layer_ struct cache_layer there = CACHE_LAYER_INIT;
	_cleanup_(loaded_release) struct loaded l = {0};
	int r;

	r = cache_layer_open(c, tar, &there, err);
	if (r < 0 || (r == 0 && digest_equal(&there.object, object)))
		return r;
	r = load(c, s, tar, object, true, &l, err);
	return r < 0 ? r : fill(c, s, &l, progress, ctx, err);
}

int cache_fill(struct cache *c, struct store *s, const struct digest *tar,
	       const struct digest *object, cache_progress_fn progress,
	       void *ctx, struct err *err)
{
	struct cache_claim claim = {.tar = *tar};
	int r;

	claim_start(c, &claim);
	r = fill_claimed(c, s, tar, object, progress, ctx, err);
	claim_end(c, &claim);
	return r;
}
