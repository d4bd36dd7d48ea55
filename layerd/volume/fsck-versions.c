/* SPDX-License-Identifier: Apache-2.0 */
/* From volumes and sessions to versions, and from those to layers. */
#include "volume/fsck-private.h"

#include "store/layout.h"
#include "util/cleanup.h"
#include "volume/session.h"
#include "volume/volume-private.h"

#include <errno.h>
#include <inttypes.h>

static int add_name(struct fsck *f, char *text, uint32_t version)
{
	_cleanup_free_ char *name = text;
	int r;

	if (!name)
		return err_oom(f->err);
	r = fsck_room(f, &f->names, f->n_names, &f->names_alloc,
		      sizeof(*f->names));
	if (r < 0)
		return r;
	f->names[f->n_names++] =
		(struct fsck_name){.text = TAKE_PTR(name), .version = version};
	return 0;
}

static int add_digest(struct fsck *f, const struct digest *digest,
		      uint32_t *ret)
{
	if (digest_set_add(&f->versions, digest, ret) < 0)
		return err_oom(f->err);
	return fsck_room(f, &f->no_manifest, *ret, &f->no_manifest_alloc,
			 sizeof(*f->no_manifest));
}

int fsck_add_version(struct fsck *f, const struct digest *digest,
		     const char *name, uint64_t sequence, uint32_t *ret)
{
	char *text = NULL;
	int r = add_digest(f, digest, ret);

	if (r < 0)
		return r;
	if (!sequence)
		text = strdup(name);
	else if (asprintf(&text, "%s@%" PRIu64, name, sequence) < 0)
		text = NULL;
	return add_name(f, text, *ret);
}

int fsck_add_name(struct fsck *f, const char *name, uint32_t *ret)
{
	struct digest digest;
	int r;

	if (digest_of(name, strlen(name), &digest) < 0)
		return err_oom(f->err);
	r = add_digest(f, &digest, ret);
	if (r < 0)
		return r;
	f->no_manifest[*ret] = true;
	return add_name(f, strdup(name), *ret);
}

/* What keeps a blob from being read, as a finding. */
static int blob_found(struct fsck *f, const char *key, const char *what,
		      int code, const struct err *problem, struct finding **ret)
{
	if (code == -ENOMEM)
		return err_oom(f->err);
	if (code == -ENOENT)
		*ret = fsck_found(f, key, "missing",
				  "the %s is not in the store", what);
	else
		*ret = fsck_found(f, key, "damaged", "the %s: %s", what,
				  problem->text);
	return *ret ? 1 : -ENOMEM;
}

int fsck_read_blob(struct fsck *f, const struct digest *digest,
		   const char *what, size_t max, struct buf *b,
		   struct finding **ret)
{
	struct err problem = ERR_INIT;
	char key[STORE_KEY_MAX];
	struct digest actual;
	uint32_t number;
	int r;

	if (digest_set_add(&f->blobs, digest, &number) < 0)
		return err_oom(f->err);
	store_key_blob(key, digest);
	r = store_get(f->host->store, key, max, b, &problem);
	if (r == 0 && digest_of(b->data, b->size, &actual) < 0)
		r = -ENOMEM;
	if (r == 0 && !digest_equal(&actual, digest))
		r = err_set(&problem, EBADMSG, "its bytes have another digest");
	return r == 0 ? 0 : blob_found(f, key, what, r, &problem, ret);
}

static bool pin_is(const void *key, uint32_t index, void *ctx)
{
	const struct version_layer *a = key, *b;
	const struct fsck *f = ctx;

	b = &f->layers[index].pin;
	return digest_equal(&a->object, &b->object) &&
	       digest_equal(&a->tar, &b->tar);
}

int fsck_add_layer(struct fsck *f, const struct version_layer *pin,
		   uint32_t user)
{
	uint64_t hash = digest_hash(&pin->object);
	struct fsck_layer *layer;
	uint32_t i, number;
	int r;

	i = table_find(&f->layer_table, hash, pin, pin_is, f);
	if (i == TABLE_NONE) {
		i = (uint32_t)f->n_layers;
		r = fsck_room(f, &f->layers, f->n_layers, &f->layers_alloc,
			      sizeof(*f->layers));
		if (r < 0)
			return r;
		if (digest_set_add(&f->tars, &pin->tar, &number) < 0 ||
		    table_add(&f->layer_table, hash, i) < 0)
			return err_oom(f->err);
		f->layers[f->n_layers++] = (struct fsck_layer){.pin = *pin};
	}
	layer = &f->layers[i];
	if (layer->n_users && layer->users[layer->n_users - 1] == user)
		return 0;
	r = fsck_room(f, &layer->users, layer->n_users, &layer->users_alloc,
		      sizeof(*layer->users));
	if (r == 0)
		layer->users[layer->n_users++] = user;
	return r;
}

/* Manifest and config decoded: 0, or 1 with what is wrong. */
static int load_version(struct fsck *f, const struct digest *digest,
			struct version **ret, struct finding **ret_found)
{
	_cleanup_buf_ struct buf manifest = BUF_INIT;
	_cleanup_buf_ struct buf config = BUF_INIT;
	struct err problem = ERR_INIT;
	struct digest config_digest;
	char key[STORE_KEY_MAX];
	int r = fsck_read_blob(f, digest, "manifest", VERSION_BLOB_MAX,
			       &manifest, ret_found);

	if (r)
		return r;
	store_key_blob(key, digest);
	r = version_config_digest(manifest.data, manifest.size, &config_digest,
				  &problem);
	if (r < 0)
		return blob_found(f, key, "manifest", r, &problem, ret_found);
	r = fsck_read_blob(f, &config_digest, "config", VERSION_BLOB_MAX,
			   &config, ret_found);
	if (r)
		return r;
	r = version_decode(manifest.data, manifest.size, config.data,
			   config.size, ret, &problem);
	return r < 0 ? blob_found(f, key, "manifest", r, &problem, ret_found)
		     : 0;
}

static int check_version(struct fsck *f, uint32_t number)
{
	_cleanup_(version_freep) struct version *v = NULL;
	struct digest digest = f->versions.items[number];
	struct finding *found = NULL;
	int r = load_version(f, &digest, &v, &found);

	if (r > 0)
		f->no_manifest[number] = true;
	if (r)
		return r < 0 ? r : fsck_touch(f, found, number);
	f->totals.versions++;
	for (size_t i = 0; r == 0 && i < v->n_layers; i++)
		r = fsck_add_layer(f, &v->layers[i], number);
	return r < 0 ? r : fsck_progress(f, "check", 0, 0, f->totals.versions);
}

static int add_session(const char *id, struct session *s,
		       const struct err *problem, void *ctx)
{
	_cleanup_free_ char *text = NULL;
	struct fsck *f = ctx;
	uint32_t number;
	int r;

	if (!s && problem->code == -ENOMEM)
		return err_oom(f->err);
	if (asprintf(&text, s ? "session %s" : "sessions/%s/session.json", id) <
	    0)
		return err_oom(f->err);
	if (!s)
		return fsck_found(f, text, "damaged", "%s", problem->text)
			       ? 0
			       : -ENOMEM;
	r = fsck_add_name(f, text, &number);
	for (size_t i = 0; r == 0 && i < s->n_layers; i++)
		r = fsck_add_layer(f, &s->layers[i], number);
	for (size_t i = 0; r == 0 && i < s->n_sealed_layers; i++)
		r = fsck_add_layer(f, &s->sealed_layers[i], number);
	return r;
}

int fsck_ignore_key(const char *key, uint64_t size, void *ctx, struct err *err)
{
	(void)key;
	(void)size;
	(void)ctx;
	(void)err;
	return 0;
}

static int add_volume(const char *name, const struct volume *v,
		      const struct err *problem, void *ctx)
{
	return fsck_volume(ctx, name, v, problem);
}

static int add_lost_volumes(struct fsck *f)
{
	_cleanup_volume_names_ struct volume_names names = {0};
	int r = volume_names_list(f->host, &names, f->err);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		_cleanup_(volume_freep) struct volume *v = NULL;
		struct err problem = ERR_INIT;

		if (volume_read(f->host, names.items[i], &v, &problem) ==
		    -ENOENT)
			r = fsck_lost_volume(f, names.items[i]);
	}
	return r;
}

/* All of them, and what could hide one, or a number, from the listings. */
static int add_volumes(struct fsck *f)
{
	struct err problem = ERR_INIT;
	int hidden =
		store_list_all(f->host->store, "volumes/", VOLUME_KEY_LEVELS,
			       fsck_ignore_key, NULL, &problem);
	int r;

	if (hidden < 0 && hidden != -EBADMSG)
		return err_set(f->err, hidden, "%s", problem.text);
	if (hidden < 0 &&
	    !fsck_found(f, "volumes", "damaged", "%s", problem.text))
		return -ENOMEM;
	r = volume_each(f->host, add_volume, f, f->err);
	/* Whether a record is lost shows when all can be seen. */
	if (r == 0 && hidden == 0)
		r = add_lost_volumes(f);
	/* Where they cannot be listed at all, that is found already. */
	if (r != -EBADMSG || hidden == 0)
		return r;
	if (f->err)
		*f->err = ERR_INIT;
	return 0;
}

static int add_named_volume(struct fsck *f, const char *name)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct err problem = ERR_INIT;
	size_t before = f->n_findings;
	int r = volume_load(f->host, name, &v, &problem);

	if (r == 0)
		return fsck_volume(f, name, v, NULL);
	if (r == -ENOENT) {
		int lost = fsck_lost_volume(f, name);

		if (lost < 0 || f->n_findings > before)
			return lost;
	}
	return err_set(f->err, r, "%s", problem.text);
}

static int add_reference(struct fsck *f, const char *text)
{
	_cleanup_resolved_ struct resolved found = {0};
	struct reference ref;
	uint32_t number;
	int r = reference_parse(text, &ref, f->err);

	if (r == 0 && ref.kind == REFERENCE_NEWEST)
		return add_named_volume(f, ref.volume);
	if (r == 0)
		r = reference_resolve(f->host, text, &found, f->err);
	return r < 0 ? r
		     : fsck_add_version(f, &found.version, text, 0, &number);
}

int fsck_collect(struct fsck *f)
{
	const char *reference = f->options->reference;
	int r;

	if (reference)
		r = add_reference(f, reference);
	else
		r = add_volumes(f);
	if (r == 0 && !reference)
		r = session_each(f->host, add_session, f, f->err);
	for (uint32_t i = 0; r == 0 && i < f->versions.n; i++)
		if (!f->no_manifest[i])
			r = check_version(f, i);
	f->totals.layers = f->n_layers;
	return r;
}
