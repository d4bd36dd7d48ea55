/* SPDX-License-Identifier: Apache-2.0 */
/* See record.h for the bytes; what is read may have been damaged or forged. */
#include "volume/record.h"

#include "util/cleanup.h"
#include "util/json.h"
#include "volume/label.h"

#include <errno.h>

#define NAME_SIZE (7 + DIGEST_HEX_SIZE)

/* "sha256:" and the digits; that form alone, so that no version has two. */
static char *digest_name(const struct digest *d, char name[static NAME_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	(void)snprintf(name, NAME_SIZE, "sha256:%s", digest_hex(d, hex));
	return name;
}

static json_t *encode_digest(const struct digest *d)
{
	char name[NAME_SIZE];

	return json_string(digest_name(d, name));
}

static json_t *encode_tags(const struct volume *v)
{
	json_t *tags = json_object();

	for (size_t i = 0; i < v->n_tags; i++)
		if (json_object_set_new(tags, v->tags[i].name,
					encode_digest(&v->tags[i].version)) <
		    0) {
			json_decref(tags);
			return NULL;
		}
	return tags;
}

/* Optional members of json_pack() are left out, too, when memory runs out. */
static json_t *encode_lease(const struct volume *v)
{
	json_t *lease = json_pack("{s:I}", "epoch", (json_int_t)v->lease_epoch);
	int r = lease ? 0 : -1;

	if (r == 0 && v->lease_host)
		r = json_object_set_new(lease, "host",
					json_string(v->lease_host));
	if (r == 0 && v->lease_session)
		r = json_object_set_new(lease, "session",
					json_string(v->lease_session));
	if (r < 0) {
		json_decref(lease);
		return NULL;
	}
	return lease;
}

/* The labels of one version, from *i on. */
static json_t *encode_version_labels(const struct volume *v, size_t *i)
{
	const struct digest *version = &v->labels[*i].version;
	json_t *labels = json_object();

	for (;
	     *i < v->n_labels && digest_equal(&v->labels[*i].version, version);
	     (*i)++) {
		const struct volume_label *l = &v->labels[*i];

		if (json_object_set_new(labels, l->key,
					l->value ? json_string(l->value)
						 : json_null()) < 0) {
			json_decref(labels);
			return NULL;
		}
	}
	return labels;
}

/* Adds them, where there are any. */
static int encode_labels(const struct volume *v, json_t *root)
{
	_cleanup_(json_decrefp) json_t *all = json_object();
	char name[NAME_SIZE];

	for (size_t i = 0; i < v->n_labels;) {
		digest_name(&v->labels[i].version, name);
		if (json_object_set_new(all, name,
					encode_version_labels(v, &i)) < 0)
			return -ENOMEM;
	}
	if (v->n_labels && json_object_set(root, "labels", all) < 0)
		return -ENOMEM;
	return all ? 0 : -ENOMEM;
}

static int encode_renaming(const struct volume *v, json_t *root)
{
	json_t *renaming;

	if (!v->moving_to && !v->moving_from)
		return 0;
	renaming = v->moving_to ? json_pack("{s:s}", "to", v->moving_to)
				: json_pack("{s:s}", "from", v->moving_from);
	if (json_object_set_new(root, "renaming", renaming) < 0 ||
	    json_object_set_new(root, "format", json_integer(2)) < 0)
		return -ENOMEM;
	if (v->moved && json_object_set_new(renaming, "moved", json_true()) < 0)
		return -ENOMEM;
	return 0;
}

int volume_record_encode(const struct volume *v, struct buf *b)
{
	_cleanup_(json_decrefp) json_t *root = NULL;

	root = json_pack("{s:i, s:s, s:I, s:I, s:I, s:o, s:o}", "format", 1,
			 "name", v->name, "created", (json_int_t)v->created,
			 "modified", (json_int_t)v->modified, "sequence",
			 (json_int_t)v->sequence, "tags", encode_tags(v),
			 "lease", encode_lease(v));
	if (!root)
		return -ENOMEM;
	if (v->removed && json_object_set_new(root, "removed", json_true()) < 0)
		return -ENOMEM;
	if (v->has_head &&
	    json_object_set_new(root, "head", encode_digest(&v->head)) < 0)
		return -ENOMEM;
	if (encode_labels(v, root) < 0 || encode_renaming(v, root) < 0)
		return -ENOMEM;
	return buf_add_json(b, root, JSON_SORT_KEYS | JSON_COMPACT);
}

static int compare_tags(const void *a, const void *b)
{
	return strcmp(((const struct volume_tag *)a)->name,
		      ((const struct volume_tag *)b)->name);
}

static int decode_tags(json_t *tags, struct volume *v)
{
	const char *name;
	json_t *value;

	v->tags = calloc(json_object_size(tags) + 1, sizeof(*v->tags));
	if (!v->tags)
		return -ENOMEM;
	json_object_foreach (tags, name, value) {
		struct volume_tag *tag = &v->tags[v->n_tags];

		if (!json_is_string(value) || tag_name_check(name, NULL) < 0 ||
		    digest_parse(json_string_value(value), &tag->version) < 0)
			return -EBADMSG;
		tag->name = strdup(name);
		if (!tag->name)
			return -ENOMEM;
		v->n_tags++;
	}
	qsort(v->tags, v->n_tags, sizeof(*v->tags), compare_tags);
	return 0;
}

static int add_label(struct volume *v, const struct digest *version,
		     const char *key, const json_t *value)
{
	const char *text = json_string_value(value);
	struct volume_label *l = &v->labels[v->n_labels];

	if ((!text && !json_is_null(value)) ||
	    (text && strlen(text) != json_string_length(value)) ||
	    version_label_check(key, text, NULL) < 0)
		return -EBADMSG;
	l->version = *version;
	l->key = strdup(key);
	l->value = text ? strdup(text) : NULL;
	v->n_labels++;
	return l->key && !l->value == !text ? 0 : -ENOMEM;
}

/* The labels of one version; at least one, so that a record has one form. */
static int decode_version_labels(const char *name, json_t *labels,
				 struct volume *v)
{
	struct volume_label *all;
	struct digest version;
	char proper[NAME_SIZE];
	const char *key;
	json_t *value;
	int r = 0;

	if (digest_parse(name, &version) < 0 ||
	    strcmp(digest_name(&version, proper), name) != 0 ||
	    !json_is_object(labels) || !json_object_size(labels) ||
	    v->n_labels + json_object_size(labels) > VOLUME_LABELS_MAX)
		return -EBADMSG;
	all = reallocarray(v->labels, v->n_labels + json_object_size(labels),
			   sizeof(*all));
	if (!all)
		return -ENOMEM;
	v->labels = all;
	json_object_foreach (labels, key, value) {
		r = add_label(v, &version, key, value);
		if (r < 0)
			break;
	}
	return r;
}

static int decode_labels(json_t *labels, struct volume *v)
{
	const char *name;
	json_t *value;
	int r = 0;

	if (!labels)
		return 0;
	if (!json_is_object(labels))
		return -EBADMSG;
	json_object_foreach (labels, name, value) {
		r = decode_version_labels(name, value, v);
		if (r < 0)
			return r;
	}
	if (v->n_labels)
		qsort(v->labels, v->n_labels, sizeof(*v->labels),
		      volume_label_compare);
	return 0;
}

static int decode_renaming(json_t *renaming, struct volume *v)
{
	const char *to = NULL, *from = NULL;
	const char *name;
	int moved = 0;

	if (json_unpack(renaming, "{s?s, s?s, s?b}", "to", &to, "from", &from,
			"moved", &moved) < 0)
		return -EBADMSG;
	name = to ? to : from;
	if (!to == !from || (moved && !to) ||
	    volume_name_check(name, NULL) < 0 || strcmp(name, v->name) == 0)
		return -EBADMSG;
	v->moved = moved;
	v->moving_to = to ? strdup(to) : NULL;
	v->moving_from = from ? strdup(from) : NULL;
	return v->moving_to || v->moving_from ? 0 : -ENOMEM;
}

static int decode(json_t *root, struct volume *v)
{
	const char *name, *head = NULL, *host = NULL, *session = NULL;
	json_int_t format, created, modified, sequence, epoch;
	json_t *tags, *labels = NULL, *renaming = NULL;
	int removed = false;
	int r;

	if (json_unpack(root,
			"{s:I, s:s, s:I, s:I, s:I, s?b, s?s, s:o, "
			"s?o, s?o, s:{s:I, s?s, s?s}}",
			"format", &format, "name", &name, "created", &created,
			"modified", &modified, "sequence", &sequence, "removed",
			&removed, "head", &head, "tags", &tags, "labels",
			&labels, "renaming", &renaming, "lease", "epoch",
			&epoch, "host", &host, "session", &session) < 0)
		return -EBADMSG;
	if (format != (renaming ? 2 : 1) || strcmp(name, v->name) != 0 ||
	    sequence < 0 || sequence > (json_int_t)SEQUENCE_MAX || epoch < 0 ||
	    epoch > (json_int_t)SEQUENCE_MAX || !json_is_object(tags) ||
	    !host != !session || !head != !sequence || (removed && renaming))
		return -EBADMSG;
	if (head && digest_parse(head, &v->head) < 0)
		return -EBADMSG;
	v->removed = removed;
	v->has_head = head;
	v->created = created;
	v->modified = modified;
	v->sequence = (uint64_t)sequence;
	v->lease_epoch = (uint64_t)epoch;
	v->lease_host = host ? strdup(host) : NULL;
	v->lease_session = session ? strdup(session) : NULL;
	if (host && (!v->lease_host || !v->lease_session))
		return -ENOMEM;
	r = decode_tags(tags, v);
	if (r == 0)
		r = decode_labels(labels, v);
	return r == 0 && renaming ? decode_renaming(renaming, v) : r;
}

int volume_record_decode(const uint8_t *data, size_t size, struct volume *v,
			 struct err *err)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	int r = json_parse_object(data, size, &root, NULL);

	if (r == 0)
		r = json_outcome(decode(root, v));
	if (r == -ENOMEM)
		return err_oom(err);
	if (r < 0)
		return err_set(err, r,
			       "the record volumes/%s/head.json is damaged; "
			       "restore it from a backup of the store, the "
			       "versions it named are still there",
			       v->name);
	return 0;
}
