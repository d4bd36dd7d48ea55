/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First what is to be measured is listed, then all versions are gone through,
 * each added to what it belongs to or else to the rest, then the layers that
 * occurred are read.
 */
#include "volume/usage.h"

#include "format/places.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/table.h"
#include "volume/tree-size.h"
#include "volume/volume.h"

#include <errno.h>

struct measure {
	struct host *host;
	const struct progress *progress;
	struct usage *usage;
	struct shares *shares;
	struct version_layer *layers; /* each once */
	size_t n_layers, layers_alloc;
	struct table layer_table;
	struct err *err;
};

void usage_release(struct usage *u)
{
	for (size_t i = 0; i < u->n; i++) {
		free(u->items[i].reference);
		free(u->items[i].volume);
	}
	free(u->items);
	*u = (struct usage){0};
}

static void release(struct measure *m)
{
	m->shares = shares_free(m->shares);
	free(m->layers);
	table_release(&m->layer_table);
}

/* Takes reference over, also on failure. */
static int add_item(struct measure *m, char *reference, const char *volume,
		    uint64_t sequence, const struct digest *version)
{
	struct usage *u = m->usage;
	struct usage_item item = {.reference = reference, .sequence = sequence};

	item.volume = volume ? strdup(volume) : NULL;
	if (version) {
		item.has_version = true;
		item.version = *version;
	}
	if (u->n == u->alloc) {
		size_t n = u->alloc ? u->alloc * 2 : 32;
		struct usage_item *items;

		items = reallocarray(u->items, n, sizeof(*items));
		if (items) {
			u->items = items;
			u->alloc = n;
		}
	}
	if (!reference || (volume && !item.volume) || u->n == u->alloc) {
		free(item.volume);
		free(reference);
		return err_oom(m->err);
	}
	u->items[u->n++] = item;
	return 0;
}

/* A damaged volume would make all the other numbers wrong. */
static int refuse_damaged(struct measure *m, const char *name,
			  const struct err *problem)
{
	return err_set(m->err, -problem->code,
		       "volume %s cannot be read, and nobody knows what it "
		       "needs: %s",
		       name, problem->text);
}

static int list_volume(const char *name, const struct volume *v,
		       const struct err *problem, void *ctx)
{
	struct measure *m = ctx;

	if (!v)
		return refuse_damaged(m, name, problem);
	return add_item(m, strdup(name), name, 0,
			v->has_head ? &v->head : NULL);
}

typedef int (*number_fn)(struct measure *m, const struct volume *v,
			 uint64_t sequence, const struct digest *version,
			 void *ctx);

static int each_number(struct measure *m, const struct volume *v, number_fn fn,
		       void *ctx)
{
	int r = 0;

	for (uint64_t i = 1; r == 0 && i <= v->sequence; i++) {
		struct err problem = ERR_INIT;
		struct digest version;

		r = volume_version_at(m->host, v, i, &version, &problem);
		/* A number that was given out for nothing has no entry. */
		if (r == -ENOENT)
			r = 0;
		else if (r < 0)
			*m->err = problem;
		else
			r = fn(m, v, i, &version, ctx);
	}
	return r;
}

static int list_number(struct measure *m, const struct volume *v,
		       uint64_t sequence, const struct digest *version,
		       void *ctx)
{
	char *reference;

	(void)ctx;
	if (asprintf(&reference, "%s@%llu", v->name,
		     (unsigned long long)sequence) < 0)
		reference = NULL;
	return add_item(m, reference, v->name, sequence, version);
}

static int list_reference(struct measure *m, const char *text)
{
	_cleanup_resolved_ struct resolved found = {0};
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct reference parsed;
	int r = reference_parse(text, &parsed, m->err);

	if (r == 0 && parsed.kind == REFERENCE_NEWEST) {
		r = volume_load(m->host, text, &v, m->err);
		return r < 0 ? r : each_number(m, v, list_number, NULL);
	}
	if (r == 0)
		r = reference_resolve(m->host, text, &found, m->err);
	if (r < 0)
		return r;
	return add_item(m, strdup(text),
			found.sequence ? found.volume->name : NULL,
			found.sequence, &found.version);
}

static bool equal_layer(const void *key, uint32_t index, void *ctx)
{
	const struct version_layer *layer = key;
	const struct measure *m = ctx;

	return digest_equal(&m->layers[index].object, &layer->object);
}

static int find_layer(struct measure *m, const struct version_layer *layer,
		      uint32_t *ret)
{
	uint64_t hash = digest_hash(&layer->object);
	struct version_layer *layers;

	*ret = table_find(&m->layer_table, hash, layer, equal_layer, m);
	if (*ret != TABLE_NONE)
		return 0;
	if (m->n_layers == m->layers_alloc) {
		size_t n = m->layers_alloc ? m->layers_alloc * 2 : 64;

		layers = reallocarray(m->layers, n, sizeof(*layers));
		if (!layers)
			return -ENOMEM;
		m->layers = layers;
		m->layers_alloc = n;
	}
	if (table_add(&m->layer_table, hash, (uint32_t)m->n_layers) < 0)
		return -ENOMEM;
	*ret = (uint32_t)m->n_layers;
	m->layers[m->n_layers++] = *layer;
	return 0;
}

/* item NULL: the rest, which is the last owner. */
static int add_version(struct measure *m, struct usage_item *item,
		       const struct version *v)
{
	uint32_t owner = (uint32_t)(item ? (size_t)(item - m->usage->items)
					 : m->usage->n);

	if (item)
		item->versions++;
	for (size_t i = 0; i < v->n_layers; i++) {
		uint32_t layer;
		int r = find_layer(m, &v->layers[i], &layer);

		if (r == 0)
			r = shares_add_layer(m->shares, owner, layer);
		if (r < 0)
			return err_oom(m->err);
		if (r > 0 && item)
			item->layers += v->layers[i].tar_size;
	}
	return 0;
}

/* The items that some version of one volume may belong to. */
struct candidates {
	struct usage_item **items;
	size_t n;
};

static bool belongs(const struct usage_item *item, uint64_t sequence,
		    const struct digest *version)
{
	if (!item->volume)
		return digest_equal(&item->version, version);
	return !item->sequence || item->sequence == sequence;
}

static int add_number(struct measure *m, const struct volume *v,
		      uint64_t sequence, const struct digest *digest, void *ctx)
{
	_cleanup_(version_freep) struct version *version = NULL;
	const struct candidates *c = ctx;
	bool any = false;
	int r = version_load(m->host, digest, &version, m->err);

	(void)v;
	for (size_t i = 0; r == 0 && i < c->n; i++) {
		if (!belongs(c->items[i], sequence, digest))
			continue;
		any = true;
		r = add_version(m, c->items[i], version);
	}
	return r == 0 && !any ? add_version(m, NULL, version) : r;
}

static int add_volume(const char *name, const struct volume *v,
		      const struct err *problem, void *ctx)
{
	struct measure *m = ctx;
	_cleanup_free_ struct usage_item **items =
		calloc(m->usage->n + 1, sizeof(*items));
	struct candidates candidates = {.items = items};

	if (!v)
		return refuse_damaged(m, name, problem);
	if (!items)
		return err_oom(m->err);
	for (size_t i = 0; i < m->usage->n; i++) {
		struct usage_item *item = &m->usage->items[i];

		if (!item->volume || strcmp(item->volume, name) == 0)
			items[candidates.n++] = item;
	}
	return each_number(m, v, add_number, &candidates);
}

static int read_layer(struct measure *m, uint32_t index)
{
	const struct version_layer *layer = &m->layers[index];
	_cleanup_layer_object_ struct layer_object object = {0};
	_cleanup_places_ struct places places = {0};
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct host *h = m->host;
	char key[STORE_KEY_MAX];
	int r = cache_get_object(h->cache, h->store, &layer->tar,
				 &layer->object, &object, NULL, m->err);

	if (r == 0)
		r = store_get(h->store, store_key_places(key, &layer->tar),
			      LAYER_OBJECT_MAX, &b, m->err);
	if (r == -ENOENT && !m->err->code)
		return err_set(m->err, EBADMSG, "%s is missing in the store %s",
			       key, store_name(h->store));
	if (r == 0)
		r = places_decode(b.data, b.size, &layer->tar, &places, m->err);
	if (r == 0 && places.n_rows != object.n_chunks)
		r = err_set(m->err, EBADMSG,
			    "%s in the store %s is of other chunks than the "
			    "layer has",
			    key, store_name(h->store));
	for (size_t i = 0; r == 0 && i < object.n_chunks; i++)
		if (shares_add_chunk(m->shares, index, &object.chunks[i].digest,
				     places.rows[i].length) < 0)
			r = err_oom(m->err);
	return r;
}

static int measure_files(struct measure *m)
{
	_cleanup_tree_size_ struct tree_size size = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->usage->n; i++) {
		_cleanup_(version_freep) struct version *v = NULL;
		struct usage_item *item = &m->usage->items[i];

		if (!item->has_version)
			continue;
		r = version_load(m->host, &item->version, &v, m->err);
		if (r == 0)
			r = tree_size_next(&size, m->host, v, m->progress,
					   m->err);
		item->files = size.files;
		item->size = size.bytes;
	}
	return r;
}

static int finish(struct measure *m)
{
	struct usage *u = m->usage;
	_cleanup_free_ struct share *shares = calloc(u->n + 1, sizeof(*shares));

	if (!shares ||
	    shares_finish(m->shares, shares, (uint32_t)u->n + 1, &u->total) < 0)
		return err_oom(m->err);
	u->stored = u->total - shares[u->n].unique;
	u->shared = u->stored;
	for (size_t i = 0; i < u->n; i++) {
		u->items[i].share = shares[i];
		u->shared -= shares[i].unique;
	}
	return 0;
}

int usage_measure(struct host *h, const char *const *references, size_t n,
		  const struct progress *progress, struct usage *ret,
		  struct err *err)
{
	_cleanup_usage_ struct usage usage = {0};
	struct err own = ERR_INIT;
	struct measure m = {.host = h,
			    .progress = progress,
			    .usage = &usage,
			    .shares = shares_new(),
			    .err = err ? err : &own};
	int r = m.shares ? 0 : err_oom(err);

	if (r == 0 && !n)
		r = volume_each(h, list_volume, &m, m.err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = list_reference(&m, references[i]);
	if (r == 0)
		r = volume_each(h, add_volume, &m, m.err);
	for (uint32_t i = 0; r == 0 && i < m.n_layers; i++) {
		r = progress_report(h, progress, "fetch", 0, 0, i);
		if (r == 0)
			r = read_layer(&m, i);
	}
	if (r == 0)
		r = finish(&m);
	release(&m);
	if (r == 0)
		r = measure_files(&m);
	if (r < 0)
		return r;
	*ret = usage;
	usage = (struct usage){0};
	return 0;
}
