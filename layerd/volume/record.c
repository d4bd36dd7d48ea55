/* SPDX-License-Identifier: Apache-2.0 */
/* See record.h for the bytes; what is read may have been damaged or forged. */
#include "volume/record.h"

#include "util/cleanup.h"
#include "util/json.h"

#include <errno.h>

static json_t *encode_digest(const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE];

	return json_sprintf("sha256:%s", digest_hex(d, hex));
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
	if (v->has_head &&
	    json_object_set_new(root, "head", encode_digest(&v->head)) < 0)
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

static int decode(json_t *root, struct volume *v)
{
	const char *name, *head = NULL, *host = NULL, *session = NULL;
	json_int_t format, created, modified, sequence, epoch;
	json_t *tags;

	if (json_unpack(root,
			"{s:I, s:s, s:I, s:I, s:I, s?s, s:o, "
			"s:{s:I, s?s, s?s}}",
			"format", &format, "name", &name, "created", &created,
			"modified", &modified, "sequence", &sequence, "head",
			&head, "tags", &tags, "lease", "epoch", &epoch, "host",
			&host, "session", &session) < 0)
		return -EBADMSG;
	if (format != 1 || strcmp(name, v->name) != 0 || sequence < 0 ||
	    sequence > (json_int_t)SEQUENCE_MAX || epoch < 0 ||
	    epoch > (json_int_t)SEQUENCE_MAX || !json_is_object(tags) ||
	    !host != !session || !head != !sequence)
		return -EBADMSG;
	if (head && digest_parse(head, &v->head) < 0)
		return -EBADMSG;
	v->has_head = head;
	v->created = created;
	v->modified = modified;
	v->sequence = (uint64_t)sequence;
	v->lease_epoch = (uint64_t)epoch;
	v->lease_host = host ? strdup(host) : NULL;
	v->lease_session = session ? strdup(session) : NULL;
	if (host && (!v->lease_host || !v->lease_session))
		return -ENOMEM;
	return decode_tags(tags, v);
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
