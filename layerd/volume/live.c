/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: an object that a version needs is never missed. All that
 * could hide one (a record, a number, a manifest, a session, places that cannot
 * be read) is an error.
 */
#include "volume/live.h"

#include "format/layer-object.h"
#include "format/pack.h"
#include "format/places.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "volume/mounted.h"
#include "volume/session.h"
#include "volume/volume-private.h"

#include <errno.h>

/* From so many on the array grows by a quarter instead of twofold. */
#define FRAMES_MANY (1u << 20)
/* So many versions are looked at between two reports. */
#define REPORT_EVERY 64

void live_release(struct live *l)
{
	digest_set_release(&l->versions);
	digest_set_release(&l->blobs);
	digest_set_release(&l->layers);
	digest_set_release(&l->packs);
	free(l->frames);
	*l = (struct live){0};
}

struct mark {
	struct host *host;
	struct live *live;
	const struct progress *progress;
	struct err *err;
};

static int compare_frames(const void *a, const void *b)
{
	const struct live_frame *x = a, *y = b;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Layers have most chunks from each other: each frame is kept once. */
static void merge_frames(struct live *l)
{
	size_t n = 0;

	if (!l->n_frames)
		return;
	qsort(l->frames, l->n_frames, sizeof(*l->frames), compare_frames);
	for (size_t i = 0; i < l->n_frames; i++)
		if (!n || compare_frames(&l->frames[n - 1], &l->frames[i]) != 0)
			l->frames[n++] = l->frames[i];
	l->n_frames = n;
}

static int reserve_frames(struct live *l, size_t more)
{
	size_t grow, alloc;
	struct live_frame *frames;

	if (l->frames_alloc - l->n_frames >= more)
		return 0;
	merge_frames(l);
	/* So much room is made that all sorting together is a few times that of
	 * the whole. */
	grow = l->n_frames < FRAMES_MANY ? l->n_frames : l->n_frames / 4;
	alloc = l->n_frames + MAX(more, grow);
	if (alloc <= l->frames_alloc)
		return 0;
	frames = reallocarray(l->frames, alloc, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	l->frames = frames;
	l->frames_alloc = alloc;
	return 0;
}

static int add_frames(struct live *l, const struct places *places,
		      const uint32_t *packs)
{
	if (!l->with_frames)
		return 0;
	if (reserve_frames(l, places->n_rows) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < places->n_rows; i++) {
		const struct place *place = &places->rows[i];

		/* Within PACK_SIZE_MAX, as places are checked. */
		l->frames[l->n_frames++] =
			(struct live_frame){.pack = packs[place->pack],
					    .offset = (uint32_t)place->offset,
					    .length = place->length};
	}
	return 0;
}

static int add_places(struct live *l, const struct places *places)
{
	_cleanup_free_ uint32_t *packs = NULL;

	packs = calloc(places->n_packs + 1, sizeof(*packs));
	if (!packs)
		return -ENOMEM;
	for (size_t i = 0; i < places->n_packs; i++)
		if (digest_set_add(&l->packs, &places->packs[i], &packs[i]) < 0)
			return -ENOMEM;
	return add_frames(l, places, packs);
}

static int mark_layer(struct mark *m, const struct version_layer *layer)
{
	_cleanup_places_ struct places places = {0};
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct live *l = m->live;
	char key[STORE_KEY_MAX];
	int r = digest_set_add(&l->blobs, &layer->object, NULL);

	if (r >= 0)
		r = digest_set_add(&l->layers, &layer->tar, NULL);
	if (r < 0)
		return err_oom(m->err);
	if (r == 0)
		return 0;
	r = fault_point("gc.mark-layer");
	if (r == 0)
		r = store_get(m->host->store,
			      store_key_places(key, &layer->tar),
			      LAYER_OBJECT_MAX, &b, m->err);
	if (r == -ENOENT)
		return err_set(m->err, EBADMSG, "%s is missing in the store %s",
			       key, store_name(m->host->store));
	if (r == 0)
		r = places_decode(b.data, b.size, &layer->tar, &places, m->err);
	if (r < 0)
		return r;
	return add_places(l, &places) < 0 ? err_oom(m->err) : 0;
}

static int mark_layers(struct mark *m, const struct version_layer *layers,
		       size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = mark_layer(m, &layers[i]);
	return r;
}

static int mark_loaded(struct mark *m, const struct version *v)
{
	struct live *l = m->live;

	if (digest_set_add(&l->blobs, &v->digest, NULL) < 0 ||
	    digest_set_add(&l->blobs, &v->config, NULL) < 0)
		return err_oom(m->err);
	return mark_layers(m, v->layers, v->n_layers);
}

static int mark_version(struct mark *m, const struct digest *digest)
{
	_cleanup_(version_freep) struct version *v = NULL;
	struct live *l = m->live;
	int r = digest_set_add(&l->versions, digest, NULL);

	if (r < 0)
		return err_oom(m->err);
	if (r == 0)
		return 0;
	if (l->versions.n % REPORT_EVERY == 0) {
		r = progress_report(m->host, m->progress, "mark", 0, 0,
				    l->versions.n);
		if (r < 0)
			return r;
	}
	r = fault_point("gc.mark-version");
	if (r == 0)
		r = version_load(m->host, digest, &v, m->err);
	return r < 0 ? r : mark_loaded(m, v);
}

static int mark_record(struct mark *m, const char *name)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	char prefix[STORE_KEY_MAX];
	int r = volume_read(m->host, name, &v, m->err);

	/* Without a record its numbers speak for themselves. */
	if (r == -ENOENT)
		return 0;
	/* What rm took away must not come back when its data is gone. */
	if (r == 0)
		r = store_sync_removed(m->host->store,
				       store_prefix_volume(prefix, name),
				       m->err);
	if (r < 0 || v->removed)
		return r;
	if (v->has_head)
		r = mark_version(m, &v->head);
	if (r < 0)
		return err_prefix(m->err, r, "the newest version of volume %s",
				  name);
	for (size_t i = 0; r == 0 && i < v->n_tags; i++) {
		r = mark_version(m, &v->tags[i].version);
		if (r < 0)
			return err_prefix(m->err, r, "%s:%s", name,
					  v->tags[i].name);
	}
	return r;
}

static int mark_number(struct mark *m, const char *key, const char *name,
		       uint64_t sequence)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct digest digest;
	int r = store_get(m->host->store, key, DIGEST_HEX_SIZE + 8, &b, m->err);

	/* It was removed after it was listed. */
	if (r == -ENOENT)
		return 0;
	if (r == 0 && !buf_str(&b))
		return err_oom(m->err);
	if (r == 0 && strcmp((char *)b.data, VOLUME_NUMBER_REMOVED) == 0)
		return 0;
	if (r == 0 && digest_parse((char *)b.data, &digest) < 0)
		r = err_set(m->err, EBADMSG, "%s does not hold a digest", key);
	if (r == 0)
		r = mark_version(m, &digest);
	return r < 0 ? err_prefix(m->err, r, "%s@%llu", name,
				  (unsigned long long)sequence)
		     : 0;
}

/* volumes/NAME/head.json and volumes/NAME/SEQUENCE; what else there may be
 * names no version. */
static int mark_key(const char *key, uint64_t size, void *ctx, struct err *err)
{
	const char *name = strchr(key, '/') + 1;
	const char *last = strrchr(key, '/') + 1;
	char volume[STORE_KEY_MAX];
	struct mark *m = ctx;
	uint64_t sequence;

	(void)size;
	(void)err;
	if (last <= name)
		return 0;
	snprintf(volume, sizeof(volume), "%.*s", (int)(last - name - 1), name);
	if (strcmp(last, "head.json") == 0)
		return mark_record(m, volume);
	if (sequence_parse(last, &sequence) == 0)
		return mark_number(m, key, volume, sequence);
	return 0;
}

/* What a session shows is needed until it is sealed, version or not. */
static int mark_session(const char *id, struct session *s,
			const struct err *problem, void *ctx)
{
	struct mark *m = ctx;
	int r = 0;

	if (!s)
		return err_set(m->err, problem->code, "%s", problem->text);
	if (s->has_base)
		r = mark_version(m, &s->base);
	if (r == 0 && s->has_sealed)
		r = mark_version(m, &s->sealed);
	if (r == 0)
		r = mark_layers(m, s->layers, s->n_layers);
	if (r == 0)
		r = mark_layers(m, s->sealed_layers, s->n_sealed_layers);
	return r < 0 ? err_prefix(m->err, r, "session %s", id) : 0;
}

static int mark_mount(const struct catalog_mount *mount, const char *path,
		      bool attached, void *ctx)
{
	struct mark *m = ctx;
	int r = mark_version(m, &mount->version);

	(void)attached;
	return r < 0 ? err_prefix(m->err, r, "what is mounted at %s", path) : 0;
}

int live_mark(struct host *h, const struct progress *progress, struct live *l,
	      struct err *err)
{
	struct mark m = {
		.host = h, .live = l, .progress = progress, .err = err};
	int r = store_list_all(h->store, "volumes/", VOLUME_KEY_LEVELS,
			       mark_key, &m, err);

	if (r == 0)
		r = session_each(h, mark_session, &m, err);
	if (r == 0)
		r = mounted_each(h, getpid(), mark_mount, &m, err);
	if (r == 0)
		merge_frames(l);
	return r;
}

int live_add_version(struct host *h, struct live *l,
		     const struct digest *version, struct err *err)
{
	struct mark m = {.host = h, .live = l, .err = err};

	return mark_version(&m, version);
}

uint64_t *live_pack_bytes(const struct live *l)
{
	uint64_t *bytes = calloc(l->packs.n + 1, sizeof(*bytes));

	if (!bytes)
		return NULL;
	for (size_t i = 0; i < l->packs.n; i++)
		bytes[i] = PACK_TRAILER_SIZE(0);
	for (size_t i = 0; i < l->n_frames; i++)
		bytes[l->frames[i].pack] += l->frames[i].length +
					    PACK_TRAILER_SIZE(1) -
					    PACK_TRAILER_SIZE(0);
	return bytes;
}
