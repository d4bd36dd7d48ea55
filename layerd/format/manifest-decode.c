/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads manifest and config of a version. Both may be hostile: nothing is taken
 * from the config before its digest is found right, every field is of the type
 * and form that the encoder writes, and the two agree with each other.
 * libjansson bounds the nesting (2048 levels) and refuses what is not UTF-8.
 */
#include "format/manifest-keys.h"
#include "format/reference.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/quote.h"

#include <errno.h>
#include <stdarg.h>

/* One decoding: the version so far, and what errors need. */
struct decode {
	struct version *version;
	struct digest manifest;
	struct digest config;
	uint64_t config_size;
	const char *created;
	struct err *err;
};

static void dropp(json_t **value)
{
	json_decref(*value);
	*value = NULL;
}

static int damaged(struct decode *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int damaged(struct decode *d, const char *format, ...)
{
	char hex[DIGEST_HEX_SIZE], defect[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(defect, sizeof(defect), format, ap);
	va_end(ap);
	return err_set(d->err, EBADMSG,
		       "version sha256:%s is damaged: %s; restore it from a "
		       "copy of the store",
		       digest_hex(&d->manifest, hex), defect);
}

static int get_object(struct decode *d, const json_t *in, const char *key,
		      json_t **ret)
{
	*ret = json_object_get(in, key);
	if (!json_is_object(*ret))
		return damaged(d, "\"%s\" is missing or not an object", key);
	return 0;
}

static int get_array(struct decode *d, const json_t *in, const char *key,
		     json_t **ret)
{
	*ret = json_object_get(in, key);
	if (!json_is_array(*ret))
		return damaged(d, "\"%s\" is missing or not an array", key);
	return 0;
}

static int get_string(struct decode *d, const json_t *in, const char *key,
		      const char **ret)
{
	*ret = json_string_value(json_object_get(in, key));
	if (!*ret)
		return damaged(d, "\"%s\" is missing or not a string", key);
	return 0;
}

/* A field that has just one right value. */
static int expect(struct decode *d, const json_t *in, const char *key,
		  const char *value)
{
	char quoted[QUOTE_SIZE];
	const char *s;
	int r;

	r = get_string(d, in, key, &s);
	if (r < 0)
		return r;
	if (strcmp(s, value) != 0)
		return damaged(d, "\"%s\" is %s, not \"%s\"", key,
			       quote_text(s, quoted), value);
	return 0;
}

static int get_size(struct decode *d, const json_t *in, uint64_t *ret)
{
	const json_t *size = json_object_get(in, "size");
	json_int_t v = json_integer_value(size);

	if (!json_is_integer(size) || v < 0 || (uint64_t)v > SEQUENCE_MAX)
		return damaged(d, "a \"size\" is missing or not a size");
	*ret = (uint64_t)v;
	return 0;
}

static int parse_digest(struct decode *d, const char *s, struct digest *ret)
{
	char quoted[QUOTE_SIZE];

	if (strncmp(s, "sha256:", 7) != 0 || digest_parse(s + 7, ret) < 0)
		return damaged(d, "%s is not a SHA-256 digest",
			       quote_text(s, quoted));
	return 0;
}

static int get_digest(struct decode *d, const json_t *in, const char *key,
		      struct digest *ret)
{
	const char *s;
	int r = get_string(d, in, key, &s);

	return r ?: parse_digest(d, s, ret);
}

/* A count in an annotation: decimal, 0 to SEQUENCE_MAX. */
static int get_count(struct decode *d, const json_t *in, const char *key,
		     uint64_t *ret)
{
	char quoted[QUOTE_SIZE];
	const char *s;
	int r;

	r = get_string(d, in, key, &s);
	if (r < 0)
		return r;
	if (strcmp(s, "0") == 0)
		*ret = 0;
	else if (sequence_parse(s, ret) < 0)
		return damaged(d, "\"%s\" is %s, not a count", key,
			       quote_text(s, quoted));
	return 0;
}

static int parse(struct decode *d, const char *what, const uint8_t *data,
		 size_t size, json_t **ret)
{
	char quoted[QUOTE_SIZE];
	json_error_t e;
	int r;

	if (size > VERSION_BLOB_MAX)
		return damaged(d, "its %s has %zu bytes, at most %u are read",
			       what, size, VERSION_BLOB_MAX);
	r = json_parse_object(data, size, ret, &e);
	if (r == -ENOMEM)
		return err_oom(d->err);
	if (r < 0 && !*e.text)
		return damaged(d, "its %s is not a JSON object", what);
	if (r < 0)
		return damaged(d, "its %s is not JSON: %s", what,
			       quote_text(e.text, quoted));
	return 0;
}

/* The manifest up to and including the descriptor of the config. */
static int parse_manifest(struct decode *d, const uint8_t *data, size_t size,
			  json_t **ret)
{
	const json_t *schema;
	json_t *config;
	int r;

	if (digest_of(data, size, &d->manifest) < 0)
		return err_oom(d->err);
	r = parse(d, "manifest", data, size, ret);
	r = r ?: expect(d, *ret, "mediaType", MEDIA_MANIFEST);
	if (r < 0)
		return r;
	schema = json_object_get(*ret, "schemaVersion");
	if (!json_is_integer(schema) || json_integer_value(schema) != 2)
		return damaged(d, "\"schemaVersion\" is not 2");
	r = get_object(d, *ret, "config", &config);
	r = r ?: expect(d, config, "mediaType", MEDIA_CONFIG);
	r = r ?: get_size(d, config, &d->config_size);
	return r ?: get_digest(d, config, "digest", &d->config);
}

static int read_layers(struct decode *d, const json_t *manifest)
{
	json_t *layers, *item;
	size_t i;
	int r;

	r = get_array(d, manifest, "layers", &layers);
	if (r < 0)
		return r;
	if (json_array_size(layers) > VERSION_LAYERS_MAX)
		return damaged(d, "it has %zu layers, at most %d can be",
			       json_array_size(layers), VERSION_LAYERS_MAX);
	json_array_foreach (layers, i, item) {
		struct version_layer layer = {0};

		r = expect(d, item, "mediaType", MEDIA_LAYER);
		r = r ?: get_digest(d, item, "digest", &layer.tar);
		r = r ?: get_size(d, item, &layer.tar_size);
		if (r < 0)
			return r;
		if (version_add_layer(d->version, &layer) < 0)
			return err_oom(d->err);
	}
	return 0;
}

/* "sha256:HEX,sha256:HEX", one for each layer. */
static int read_objects(struct decode *d, const json_t *annotations)
{
	struct version *v = d->version;
	char name[NAME_SIZE];
	const char *s;
	int r;

	r = get_string(d, annotations, KEY_OBJECTS, &s);
	if (r < 0)
		return r;
	if (strlen(s) != (v->n_layers ? v->n_layers * NAME_SIZE - 1 : 0))
		return damaged(d,
			       "\"" KEY_OBJECTS "\" does not list one "
			       "layer object for each of its %zu layers",
			       v->n_layers);
	for (size_t i = 0; i < v->n_layers; i++, s += NAME_SIZE) {
		if (i && s[-1] != ',')
			return damaged(d, "\"" KEY_OBJECTS "\" is not "
					  "separated by commas");
		memcpy(name, s, NAME_SIZE - 1);
		name[NAME_SIZE - 1] = 0;
		r = parse_digest(d, name, &v->layers[i].object);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_labels(struct decode *d, json_t *annotations)
{
	struct err why = ERR_INIT;
	const char *key;
	json_t *value;

	json_object_foreach (annotations, key, value) {
		int r;

		if (strncmp(key, KEY_LABEL, strlen(KEY_LABEL)) != 0)
			continue;
		if (!json_is_string(value))
			return damaged(d, "a label is not a string");
		r = version_add_label(d->version, key + strlen(KEY_LABEL),
				      json_string_value(value), &why);
		if (r == -ENOMEM)
			return err_oom(d->err);
		if (r < 0)
			return damaged(d, "%s", why.text);
	}
	return 0;
}

static int read_volume(struct decode *d, const json_t *annotations)
{
	struct err why = ERR_INIT;
	const char *volume;
	int r;

	r = get_string(d, annotations, KEY_VOLUME, &volume);
	if (r < 0)
		return r;
	if (volume_name_check(volume, &why) < 0)
		return damaged(d, "%s", why.text);
	d->version->volume = strdup(volume);
	return d->version->volume ? 0 : err_oom(d->err);
}

static int read_consistency(struct decode *d, const json_t *annotations)
{
	const char *word;
	char *copy;
	int r;

	if (!json_object_get(annotations, KEY_CONSISTENCY))
		return 0;
	r = get_string(d, annotations, KEY_CONSISTENCY, &word);
	if (r < 0)
		return r;
	if (!consistency_valid(word))
		return damaged(d, "\"" KEY_CONSISTENCY "\" is not a word");
	copy = strdup(word);
	if (!copy)
		return err_oom(d->err);
	free(d->version->consistency);
	d->version->consistency = copy;
	return 0;
}

static int read_annotations(struct decode *d, const json_t *manifest)
{
	struct version *v = d->version;
	json_t *a;
	int r;

	r = get_object(d, manifest, "annotations", &a);
	r = r ?: read_volume(d, a);
	r = r ?: get_count(d, a, KEY_SEQUENCE, &v->sequence);
	r = r ?: get_count(d, a, KEY_CHANGED, &v->changed);
	r = r ?: get_count(d, a, KEY_ADDED, &v->added);
	r = r ?: read_objects(d, a);
	r = r ?: read_consistency(d, a);
	r = r ?: get_string(d, a, KEY_CREATED, &d->created);
	if (r == 0 && json_object_get(a, KEY_PARENT)) {
		v->has_parent = true;
		r = get_digest(d, a, KEY_PARENT, &v->parent);
	}
	r = r ?: read_labels(d, a);
	if (r < 0)
		return r;
	if (!v->sequence)
		return damaged(d, "\"" KEY_SEQUENCE "\" is 0");
	if (v->added && !v->n_layers)
		return damaged(d, "it says that it added a layer and has none");
	if (created_parse(d->created, &v->created, &v->created_nsec) < 0)
		return damaged(d, "\"" KEY_CREATED "\" is not a time in UTC "
				  "with nanoseconds");
	return 0;
}

static int check_diff_ids(struct decode *d, const json_t *config)
{
	const struct version *v = d->version;
	json_t *rootfs, *diff_ids, *item;
	size_t i;
	int r;

	r = get_object(d, config, "rootfs", &rootfs);
	r = r ?: expect(d, rootfs, "type", "layers");
	r = r ?: get_array(d, rootfs, "diff_ids", &diff_ids);
	if (r < 0)
		return r;
	if (json_array_size(diff_ids) != v->n_layers)
		return damaged(d, "its config has %zu diff_ids for %zu layers",
			       json_array_size(diff_ids), v->n_layers);
	json_array_foreach (diff_ids, i, item) {
		const char *s = json_string_value(item);
		struct digest digest;

		if (!s)
			return damaged(d, "a diff_id is not a string");
		r = parse_digest(d, s, &digest);
		if (r < 0)
			return r;
		if (!digest_equal(&digest, &v->layers[i].tar))
			return damaged(d,
				       "diff_id %zu is not its layer's "
				       "digest",
				       i);
	}
	return 0;
}

/* One entry a layer and, when none was added, an empty one at the end. */
static int read_history(struct decode *d, const json_t *config)
{
	struct version *v = d->version;
	size_t want = v->n_layers + (v->added ? 0 : 1), i;
	struct err why = ERR_INIT;
	const char *message = "";
	json_t *history, *item;
	int r;

	r = get_array(d, config, "history", &history);
	if (r < 0)
		return r;
	if (json_array_size(history) != want)
		return damaged(d, "its history has %zu entries, not %zu",
			       json_array_size(history), want);
	json_array_foreach (history, i, item) {
		const json_t *empty = json_object_get(item, "empty_layer");

		r = expect(d, item, "created_by", CREATED_BY);
		if (r < 0)
			return r;
		if (json_is_true(empty) != (i == v->n_layers))
			return damaged(d,
				       "history entry %zu does not agree "
				       "with the layers",
				       i);
		if (i == want - 1)
			r = get_string(d, item, "comment", &message);
		if (r < 0)
			return r;
	}
	r = version_set_message(v, message, &why);
	if (r == -ENOMEM)
		return err_oom(d->err);
	return r < 0 ? damaged(d, "%s", why.text) : 0;
}

static int read_config(struct decode *d, const uint8_t *data, size_t size)
{
	_cleanup_(dropp) json_t *config = NULL;
	struct digest digest;
	const char *s;
	int r;

	if (digest_of(data, size, &digest) < 0)
		return err_oom(d->err);
	if (size != d->config_size || !digest_equal(&digest, &d->config))
		return damaged(d, "its config is not the one it refers to");
	r = parse(d, "config", data, size, &config);
	r = r ?: get_string(d, config, "architecture", &s);
	r = r ?: expect(d, config, "os", "linux");
	r = r ?: expect(d, config, "created", d->created);
	r = r ?: check_diff_ids(d, config);
	return r ?: read_history(d, config);
}

int version_config_digest(const uint8_t *manifest, size_t size,
			  struct digest *ret, struct err *err)
{
	_cleanup_(dropp) json_t *m = NULL;
	struct decode d = {.err = err};
	int r;

	r = parse_manifest(&d, manifest, size, &m);
	if (r < 0)
		return r;
	*ret = d.config;
	return 0;
}

int version_decode(const uint8_t *manifest, size_t manifest_size,
		   const uint8_t *config, size_t config_size,
		   struct version **ret, struct err *err)
{
	_cleanup_(version_freep) struct version *v = NULL;
	_cleanup_(dropp) json_t *m = NULL;
	struct decode d = {.err = err};
	int r;

	if (version_new(&v) < 0)
		return err_oom(err);
	d.version = v;
	r = parse_manifest(&d, manifest, manifest_size, &m);
	r = r ?: read_layers(&d, m);
	r = r ?: read_annotations(&d, m);
	r = r ?: read_config(&d, config, config_size);
	if (r < 0)
		return r;
	v->digest = d.manifest;
	v->config = d.config;
	*ret = TAKE_PTR(v);
	return 0;
}
