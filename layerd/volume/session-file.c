/* SPDX-License-Identifier: Apache-2.0 */
/* See session-file.h for the bytes. */
#include "volume/session-file.h"

#include "util/cleanup.h"
#include "util/escape.h"
#include "util/json.h"

#include <errno.h>

static json_t *encode_digest(bool present, const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE];

	return present ? json_sprintf("sha256:%s", digest_hex(d, hex))
		       : json_null();
}

static json_t *encode_layers(const struct version_layer *layers, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *layer =
			json_pack("{s:o, s:o, s:I}", "tar",
				  encode_digest(true, &layers[i].tar), "object",
				  encode_digest(true, &layers[i].object),
				  "size", (json_int_t)layers[i].tar_size);

		if (json_array_append_new(array, layer) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

int session_encode(const struct session *s, struct buf *b)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	_cleanup_buf_ struct buf path = BUF_INIT;

	if (s->path && (escape_bytes(&path, s->path, strlen(s->path)) < 0 ||
			!buf_str(&path)))
		return -ENOMEM;
	root = json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}",
			 "format", 1, "volume", s->volume, "created",
			 (json_int_t)s->created, "epoch", (json_int_t)s->epoch,
			 "capture", (json_int_t)s->capture, "base_sequence",
			 (json_int_t)s->base_sequence, "base",
			 encode_digest(s->has_base, &s->base), "sealed",
			 encode_digest(s->has_sealed, &s->sealed), "layers",
			 encode_layers(s->layers, s->n_layers), "sealed_layers",
			 encode_layers(s->sealed_layers, s->n_sealed_layers));
	if (!root)
		return -ENOMEM;
	if (s->path && json_object_set_new(root, "path",
					   json_string((char *)path.data)) < 0)
		return -ENOMEM;
	return buf_add_json(b, root, JSON_SORT_KEYS | JSON_COMPACT);
}

static int decode_digest(json_t *value, bool *ret_present, struct digest *ret)
{
	*ret_present = !json_is_null(value);
	if (json_is_null(value))
		return 0;
	if (!json_is_string(value) ||
	    digest_parse(json_string_value(value), ret) < 0)
		return -EBADMSG;
	return 0;
}

static int decode_layers(json_t *array, struct version_layer **ret, size_t *n)
{
	_cleanup_free_ struct version_layer *layers = NULL;
	json_t *value;
	size_t i;

	if (!json_is_array(array))
		return -EBADMSG;
	layers = calloc(json_array_size(array) + 1, sizeof(*layers));
	if (!layers)
		return -ENOMEM;
	json_array_foreach (array, i, value) {
		const char *tar, *object;
		json_int_t size;

		if (json_unpack(value, "{s:s, s:s, s:I}", "tar", &tar, "object",
				&object, "size", &size) < 0 ||
		    size < 0 || digest_parse(tar, &layers[i].tar) < 0 ||
		    digest_parse(object, &layers[i].object) < 0)
			return -EBADMSG;
		layers[i].tar_size = (uint64_t)size;
	}
	*n = json_array_size(array);
	*ret = TAKE_PTR(layers);
	return 0;
}

static int decode_path(const char *text, char **ret)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	int r = unescape_bytes(&path, text);

	if (r < 0)
		return -EBADMSG;
	*ret = buf_str(&path) ? strdup((char *)path.data) : NULL;
	return *ret ? 0 : -ENOMEM;
}

static int decode(json_t *root, struct session *s)
{
	json_t *base, *sealed, *layers, *sealed_layers;
	json_int_t format, created, epoch, capture, sequence;
	const char *volume, *path = NULL;
	int r;

	if (json_unpack(
		    root,
		    "{s:I, s:s, s:I, s:I, s:I, s:I, s?s, s:o, s:o, s:o, s:o}",
		    "format", &format, "volume", &volume, "created", &created,
		    "epoch", &epoch, "capture", &capture, "base_sequence",
		    &sequence, "path", &path, "base", &base, "sealed", &sealed,
		    "layers", &layers, "sealed_layers", &sealed_layers) < 0 ||
	    format != 1 || epoch < 0 || capture < 0 || sequence < 0)
		return -EBADMSG;
	s->created = created;
	s->epoch = (uint64_t)epoch;
	s->capture = (uint64_t)capture;
	s->base_sequence = (uint64_t)sequence;
	s->volume = strdup(volume);
	r = s->volume ? 0 : -ENOMEM;
	if (r == 0 && path)
		r = decode_path(path, &s->path);
	if (r == 0)
		r = decode_digest(base, &s->has_base, &s->base);
	if (r == 0)
		r = decode_digest(sealed, &s->has_sealed, &s->sealed);
	if (r == 0)
		r = decode_layers(layers, &s->layers, &s->n_layers);
	if (r == 0)
		r = decode_layers(sealed_layers, &s->sealed_layers,
				  &s->n_sealed_layers);
	return r;
}

int session_decode(const uint8_t *data, size_t size, struct session *s)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	int r = json_parse_object(data, size, &root, NULL);

	return r < 0 ? r : json_outcome(decode(root, s));
}
