/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: every string is valid UTF-8, whatever the bytes of a name. */
#include "server/encode.h"

#include "proto/message.h"
#include "util/cleanup.h"
#include "volume/label.h"

#include <string.h>

json_t *encode_digest(const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE];

	return json_sprintf("sha256:%s", digest_hex(d, hex));
}

json_t *encode_time(int64_t seconds)
{
	char text[TIME_TEXT_SIZE];

	return json_string(time_text(seconds, text));
}

json_t *encode_bytes(const char *s)
{
	return s ? message_bytes(s, strlen(s)) : json_null();
}

static json_t *encode_layers(const struct version *v, uint64_t *ret_size)
{
	json_t *layers = json_array();

	*ret_size = 0;
	for (size_t i = 0; i < v->n_layers; i++) {
		*ret_size += v->layers[i].tar_size;
		(void)json_array_append_new(
			layers,
			json_pack("{s:o, s:I}", "digest",
				  encode_digest(&v->layers[i].tar), "size",
				  (json_int_t)v->layers[i].tar_size));
	}
	return layers;
}

json_t *encode_tags(const struct volume *volume, const struct digest *version)
{
	json_t *tags = json_array();

	for (size_t i = 0; volume && i < volume->n_tags; i++)
		if (digest_equal(&volume->tags[i].version, version))
			(void)json_array_append_new(
				tags, json_string(volume->tags[i].name));
	return tags;
}

/* Those of the manifest and those of the record, which go before, by key. */
static json_t *encode_labels(const struct version *v,
			     const struct volume *volume)
{
	const struct volume_label *later = NULL;
	json_t *labels = json_object();
	size_t n = 0, k = 0;

	if (volume)
		later = volume_labels_of(volume, &v->digest, &n);
	for (size_t i = 0; i < v->n_labels || k < n;) {
		const struct label *sealed =
			i < v->n_labels ? &v->labels[i] : NULL;
		int order = !sealed  ? 1
			    : k == n ? -1
				     : strcmp(sealed->key, later[k].key);
		const char *key = order < 0 ? sealed->key : later[k].key;
		const char *value = order < 0 ? sealed->value : later[k].value;

		if (value)
			(void)json_object_set_new(labels, key,
						  json_string(value));
		i += order <= 0;
		k += order >= 0;
	}
	return labels;
}

/* layers are taken over. */
static json_t *encode(const struct version *v, json_t *layers, uint64_t size,
		      const struct volume *volume, uint64_t sequence)
{
	json_t *reference = volume && sequence
				    ? json_sprintf("%s@%llu", volume->name,
						   (unsigned long long)sequence)
				    : encode_digest(&v->digest);

	return json_pack(
		"{s:o, s:o, s:s, s:I, s:o, s:s, s:o, s:o, s:s, s:I, s:I, s:I, "
		"s:o, s:o}",
		"digest", encode_digest(&v->digest), "reference", reference,
		"volume", v->volume ? v->volume : "", "sequence",
		(json_int_t)v->sequence, "created", encode_time(v->created),
		"message", v->message ? v->message : "", "labels",
		encode_labels(v, volume), "parent",
		v->has_parent ? encode_digest(&v->parent) : json_null(),
		"consistency", v->consistency ? v->consistency : "", "added",
		(json_int_t)v->added, "changed", (json_int_t)v->changed, "size",
		(json_int_t)size, "layers", layers, "tags",
		encode_tags(volume, &v->digest));
}

json_t *encode_version(const struct version *v, const struct volume *volume,
		       uint64_t sequence)
{
	uint64_t size;
	json_t *layers = encode_layers(v, &size);

	return encode(v, layers, size, volume, sequence);
}

json_t *encode_brief(const struct version *v, uint64_t size,
		     const struct volume *volume, uint64_t sequence)
{
	return encode(v, json_array(), size, volume, sequence);
}

const char *encode_kind(uint32_t mode)
{
	switch (mode & 0170000) {
	case 0040000:
		return "directory";
	case 0120000:
		return "symlink";
	case 0010000:
		return "fifo";
	case 0060000:
		return "block";
	case 0020000:
		return "character";
	default:
		return "file";
	}
}

static const char *entry_kind(const struct entry *e)
{
	if (e->flags & ENTRY_WHITEOUT)
		return "whiteout";
	return e->flags & ENTRY_HARDLINK ? "hardlink" : encode_kind(e->mode);
}

static void add_data(json_t *o, const struct entry *e)
{
	json_t *extents;

	(void)json_object_set_new(o, "payload",
				  json_integer((json_int_t)e->payload));
	if (!e->sparse)
		return;
	extents = json_array();
	for (size_t i = 0; i < e->n_extents; i++)
		(void)json_array_append_new(
			extents,
			json_pack("{s:I, s:I}", "offset",
				  (json_int_t)e->extents[i].offset, "length",
				  (json_int_t)e->extents[i].length));
	(void)json_object_set_new(o, "extents", extents);
}

json_t *encode_name(const struct entry *e)
{
	return json_pack("{s:o, s:s}", "path", encode_bytes(e->path), "kind",
			 entry_kind(e));
}

json_t *encode_entry(const struct entry *e)
{
	const char *kind = entry_kind(e);
	json_t *o = json_pack(
		"{s:o, s:s, s:i, s:I, s:I, s:I, s:I, s:i}", "path",
		encode_bytes(e->path), "kind", kind, "mode",
		(int)(e->mode & 07777), "uid", (json_int_t)e->uid, "gid",
		(json_int_t)e->gid, "size", (json_int_t)e->size, "mtime",
		(json_int_t)e->mtime, "mtime_nsec", (int)e->mtime_nsec);

	if (!o)
		return NULL;
	if (e->target)
		(void)json_object_set_new(o, "target", encode_bytes(e->target));
	if (strcmp(kind, "block") == 0 || strcmp(kind, "character") == 0)
		(void)json_object_set_new(
			o, "device",
			json_sprintf("%u:%u", e->rdev_major, e->rdev_minor));
	if (e->flags & ENTRY_OPAQUE)
		(void)json_object_set_new(o, "opaque", json_true());
	if (strcmp(kind, "file") == 0)
		add_data(o, e);
	if (e->n_xattrs) {
		json_t *names = json_array();

		for (size_t i = 0; i < e->n_xattrs; i++)
			(void)json_array_append_new(
				names, encode_bytes(e->xattrs[i].name));
		(void)json_object_set_new(o, "xattrs", names);
	}
	return o;
}
