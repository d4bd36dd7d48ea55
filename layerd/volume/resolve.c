/* SPDX-License-Identifier: Apache-2.0 */
/* From what a user writes to a version, and versions from and to the store. */
#include "store/condemned.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "volume/rebuild.h"
#include "volume/tag.h"
#include "volume/volume.h"

#include <errno.h>
#include <time.h>

#define MANIFEST_MAX (4u << 20)

char *time_text(int64_t seconds, char text[static TIME_TEXT_SIZE])
{
	time_t t = (time_t)seconds;
	struct tm tm = {0};

	gmtime_r(&t, &tm);
	strftime(text, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return text;
}

void resolved_release(struct resolved *r)
{
	r->volume = volume_free(r->volume);
}

static int resolve_tag(const struct volume *v, const char *tag,
		       struct digest *ret, struct err *err)
{
	for (size_t i = 0; i < v->n_tags; i++)
		if (strcmp(v->tags[i].name, tag) == 0) {
			*ret = v->tags[i].version;
			return 0;
		}
	return volume_no_tag(v, tag, err);
}

static int resolve_named(struct host *h, const struct reference *ref,
			 struct resolved *ret, struct err *err)
{
	struct volume *v;
	int r = volume_load(h, ref->volume, &ret->volume, err);

	if (r < 0)
		return r;
	v = ret->volume;
	switch (ref->kind) {
	case REFERENCE_SEQUENCE:
		ret->sequence = ref->sequence;
		return volume_version_at(h, v, ref->sequence, &ret->version,
					 err);
	case REFERENCE_TAG:
		return resolve_tag(v, ref->tag, &ret->version, err);
	default:
		break;
	}
	if (!v->has_head)
		return err_set(err, ENOENT,
			       "volume %s has no version yet; mount it, write "
			       "to it and commit",
			       v->name);
	ret->version = v->head;
	ret->sequence = v->sequence;
	return 0;
}

static int find_digest(struct host *h, const struct reference *ref,
		       struct resolved *ret, struct err *err)
{
	char key[STORE_KEY_MAX];
	uint64_t size;
	int r;

	if (ref->kind == REFERENCE_DIGEST) {
		ret->version = ref->digest;
		r = store_size(h->store, store_key_blob(key, &ref->digest),
			       &size, err);
		if (r == -ENOENT)
			return err_set(err, r,
				       "there is no version with that digest "
				       "in %s",
				       store_name(h->store));
		return r;
	}
	r = catalog_find_version(h->catalog, ref->prefix, &ret->version, err);
	if (r == -ENOENT && host_complete_catalog(h))
		r = catalog_find_version(h->catalog, ref->prefix, &ret->version,
					 err);
	if (r == -ENOENT)
		return err_set(err, r,
			       "no version's digest begins with %s; \"layerctl "
			       "log NAME\" shows digests",
			       ref->prefix);
	if (r == -EEXIST)
		return err_set(err, EINVAL,
			       "several versions' digests begin with %s; give "
			       "more of its digits",
			       ref->prefix);
	return r;
}

/* What was removed can be had by its digest until it is collected. */
static int resolve_digest(struct host *h, const struct reference *ref,
			  struct resolved *ret, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	int r = find_digest(h, ref, ret, err);

	if (r == 0 &&
	    condemned_has(store_condemned(h->store), STORE_BLOB, &ret->version))
		return err_set(err, ENOENT,
			       "version sha256:%s was removed and is being "
			       "deleted from %s",
			       digest_hex(&ret->version, hex),
			       store_name(h->store));
	return r;
}

int reference_resolve(struct host *h, const char *text, struct resolved *ret,
		      struct err *err)
{
	_cleanup_resolved_ struct resolved found = {0};
	struct reference ref;
	int r = reference_parse(text, &ref, err);

	if (r < 0)
		return r;
	if (ref.kind == REFERENCE_DIGEST || ref.kind == REFERENCE_DIGEST_PREFIX)
		r = resolve_digest(h, &ref, &found, err);
	else
		r = resolve_named(h, &ref, &found, err);
	if (r < 0)
		return r;
	*ret = found;
	found = (struct resolved){0};
	return 0;
}

static int load_blob(struct host *h, const struct digest *digest,
		     const char *what, struct buf *b, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct digest actual;
	int r = store_get(h->store, store_key_blob(key, digest), MANIFEST_MAX,
			  b, err);

	if (r == -ENOENT)
		return err_set(err, EBADMSG,
			       "the %s %s is missing in the store %s; restore "
			       "it from a copy",
			       what, key, store_name(h->store));
	if (r < 0)
		return r;
	r = digest_of(b->data, b->size, &actual);
	if (r < 0)
		return err_oom(err);
	if (!digest_equal(&actual, digest))
		return err_set(err, EBADMSG,
			       "the %s %s in the store %s is damaged: its "
			       "bytes have another digest; restore it from a "
			       "copy",
			       what, key, store_name(h->store));
	return 0;
}

int version_load(struct host *h, const struct digest *digest,
		 struct version **ret, struct err *err)
{
	_cleanup_buf_ struct buf manifest = BUF_INIT;
	_cleanup_buf_ struct buf config = BUF_INIT;
	struct digest config_digest;
	int r = load_blob(h, digest, "manifest", &manifest, err);

	if (r == 0)
		r = version_config_digest(manifest.data, manifest.size,
					  &config_digest, err);
	if (r == 0)
		r = load_blob(h, &config_digest, "config", &config, err);
	if (r == 0)
		r = version_decode(manifest.data, manifest.size, config.data,
				   config.size, ret, err);
	return r;
}

int version_store(struct host *h, struct version *v, struct err *err)
{
	_cleanup_buf_ struct buf manifest = BUF_INIT;
	_cleanup_buf_ struct buf config = BUF_INIT;
	struct digest config_digest;
	char key[STORE_KEY_MAX];
	int r = version_encode(v, &manifest, &config, &config_digest, err);

	if (r == 0)
		r = store_put(h->store, store_key_blob(key, &config_digest),
			      config.data, config.size, err);
	if (r == 0)
		r = fault_point("publish.config");
	if (r == 0)
		r = store_put(h->store, store_key_blob(key, &v->digest),
			      manifest.data, manifest.size, err);
	return r == 0 ? fault_point("publish.manifest") : r;
}
