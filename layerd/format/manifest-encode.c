/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes manifest and config of a version. Both are canonical: keys sorted by
 * bytes, no spaces, nothing in them that is not a function of the version. So a
 * seal that is repeated after a crash makes the same objects again, and an old
 * reader that ignores fields it does not know still sees an OCI image.
 */
#include "format/manifest-keys.h"
#include "format/reference.h"
#include "util/cleanup.h"
#include "util/escape.h"
#include "util/json.h"
#include "util/quote.h"

#include <errno.h>

#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE "riscv64"
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCHITECTURE "ppc64le"
#elif defined(__s390x__)
#define ARCHITECTURE "s390x"
#else
#error "Give this architecture the name that Go calls it by (GOARCH)."
#endif

static json_t *drop(json_t *value)
{
	json_decref(value);
	return NULL;
}

static void dropp(json_t **value)
{
	*value = drop(*value);
}

static char *name_digest(const struct digest *d, char name[static NAME_SIZE])
{
	memcpy(name, "sha256:", 7);
	digest_hex(d, name + 7);
	return name;
}

static json_t *json_digest(const struct digest *d)
{
	char name[NAME_SIZE];

	return json_string(name_digest(d, name));
}

static json_t *json_decimal(uint64_t v)
{
	return json_sprintf("%llu", (unsigned long long)v);
}

static int invalid(const struct version *v, const char *what, struct err *err)
{
	char quoted[QUOTE_SIZE];

	return err_set(err, EINVAL,
		       "a version of volume %s cannot be written: %s; this is "
		       "a defect of layerd",
		       quote_text(v->volume ?: "", quoted), what);
}

static int check(const struct version *v, struct err *err)
{
	if (!v->volume)
		return invalid(v, "its volume is not set", err);
	if (volume_name_check(v->volume, err) < 0)
		return -EINVAL;
	if (!v->sequence || v->sequence > SEQUENCE_MAX)
		return invalid(v, "its number is not set", err);
	if (v->added && !v->n_layers)
		return invalid(v, "it has added a layer and has none", err);
	if (v->added > SEQUENCE_MAX || v->changed > SEQUENCE_MAX)
		return invalid(v, "its counts are absurd", err);
	if (v->consistency && !consistency_valid(v->consistency))
		return invalid(v, "its consistency is not a word", err);
	if (v->message && !utf8_valid(v->message, strlen(v->message)))
		return invalid(v, "its message is not UTF-8", err);
	for (size_t i = 0; i < v->n_layers; i++)
		if (v->layers[i].tar_size > SEQUENCE_MAX)
			return invalid(v, "a layer's size is absurd", err);
	return 0;
}

/* The entries of history; the last one is of this seal. */
static json_t *make_history(const struct version *v, const char *created)
{
	size_t n = v->n_layers + (v->added ? 0 : 1);
	json_t *history = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *entry = json_pack("{s:s}", "created_by", CREATED_BY);
		int r = entry ? 0 : -1;

		if (i == n - 1) {
			r = r
				    ?: json_object_set_new(
					       entry, "comment",
					       json_string(v->message ?: ""));
			r = r
				    ?: json_object_set_new(
					       entry, "created",
					       json_string(created));
		}
		if (i == v->n_layers)
			r = r
				    ?: json_object_set_new(entry, "empty_layer",
							   json_true());
		if (r < 0) {
			json_decref(entry);
			return drop(history);
		}
		if (json_array_append_new(history, entry) < 0)
			return drop(history);
	}
	return history;
}

static json_t *make_config(const struct version *v, const char *created)
{
	json_t *diff_ids = json_array();

	for (size_t i = 0; i < v->n_layers; i++)
		if (json_array_append_new(diff_ids,
					  json_digest(&v->layers[i].tar)) < 0)
			return drop(diff_ids);
	/* "o" takes the reference also when it fails. */
	return json_pack("{s:s, s:s, s:s, s:{s:s, s:o}, s:o}", "architecture",
			 ARCHITECTURE, "os", "linux", "created", created,
			 "rootfs", "type", "layers", "diff_ids", diff_ids,
			 "history", make_history(v, created));
}

static json_t *make_layers(const struct version *v)
{
	json_t *layers = json_array();

	for (size_t i = 0; i < v->n_layers; i++) {
		char name[NAME_SIZE];
		json_t *layer = json_pack(
			"{s:s, s:s, s:I}", "mediaType", MEDIA_LAYER, "digest",
			name_digest(&v->layers[i].tar, name), "size",
			(json_int_t)v->layers[i].tar_size);

		if (json_array_append_new(layers, layer) < 0)
			return drop(layers);
	}
	return layers;
}

static json_t *make_objects(const struct version *v)
{
	char names[VERSION_LAYERS_MAX * NAME_SIZE + 1] = "";
	char *p = names;

	for (size_t i = 0; i < v->n_layers; i++) {
		if (i)
			*p++ = ',';
		name_digest(&v->layers[i].object, p);
		p += NAME_SIZE - 1;
	}
	return json_string(names);
}

static int add_labels(const struct version *v, json_t *annotations)
{
	for (size_t i = 0; i < v->n_labels; i++) {
		char key[sizeof(KEY_LABEL) + VERSION_LABEL_KEY_MAX];

		snprintf(key, sizeof(key), KEY_LABEL "%s", v->labels[i].key);
		if (json_object_set_new(annotations, key,
					json_string(v->labels[i].value)) < 0)
			return -1;
	}
	return 0;
}

static json_t *make_annotations(const struct version *v, const char *created)
{
	json_t *a = json_object();
	int r;

	r = json_object_set_new(a, KEY_VOLUME, json_string(v->volume));
	r = r
		    ?: json_object_set_new(a, KEY_SEQUENCE,
					   json_decimal(v->sequence));
	r = r ?: json_object_set_new(a, KEY_OBJECTS, make_objects(v));
	r = r ?: json_object_set_new(a, KEY_CHANGED, json_decimal(v->changed));
	r = r ?: json_object_set_new(a, KEY_ADDED, json_decimal(v->added));
	r = r ?: json_object_set_new(a, KEY_CREATED, json_string(created));
	if (v->has_parent)
		r = r
			    ?: json_object_set_new(a, KEY_PARENT,
						   json_digest(&v->parent));
	if (v->consistency && *v->consistency)
		r = r
			    ?: json_object_set_new(a, KEY_CONSISTENCY,
						   json_string(v->consistency));
	r = r ?: add_labels(v, a);
	return r < 0 ? drop(a) : a;
}

static json_t *make_manifest(const struct version *v, const char *created,
			     const struct digest *config, size_t config_size)
{
	char name[NAME_SIZE];

	return json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:o, s:o}",
			 "schemaVersion", 2, "mediaType", MEDIA_MANIFEST,
			 "config", "mediaType", MEDIA_CONFIG, "digest",
			 name_digest(config, name), "size",
			 (json_int_t)config_size, "layers", make_layers(v),
			 "annotations", make_annotations(v, created));
}

/* Appends value and hashes what it became. */
static int add_json(const json_t *value, const char *what, struct buf *b,
		    struct digest *ret, struct err *err)
{
	size_t start = b->size;

	if (!value || buf_add_json(b, value, JSON_SORT_KEYS | JSON_COMPACT) < 0)
		return err_oom(err);
	if (b->size - start > VERSION_BLOB_MAX)
		return err_set(err, EINVAL,
			       "the version's %s would have %zu bytes, at most "
			       "%u are allowed; use fewer or shorter labels",
			       what, b->size - start, VERSION_BLOB_MAX);
	if (digest_of(b->data + start, b->size - start, ret) < 0)
		return err_oom(err);
	return 0;
}

int version_encode(struct version *v, struct buf *manifest, struct buf *config,
		   struct digest *ret_config, struct err *err)
{
	_cleanup_(dropp) json_t *c = NULL, *m = NULL;
	size_t manifest_start = manifest->size, config_start = config->size;
	struct digest config_digest, digest;
	char created[CREATED_SIZE];
	int r;

	r = check(v, err);
	if (r < 0)
		return r;
	if (created_format(v->created, v->created_nsec, created) < 0)
		return invalid(v, "its time has no year of four digits", err);
	c = make_config(v, created);
	r = add_json(c, "config", config, &config_digest, err);
	if (r == 0) {
		m = make_manifest(v, created, &config_digest,
				  config->size - config_start);
		r = add_json(m, "manifest", manifest, &digest, err);
	}
	if (r < 0) {
		manifest->size = manifest_start;
		config->size = config_start;
		return r;
	}
	v->digest = digest;
	v->config = config_digest;
	*ret_config = config_digest;
	return 0;
}
