/* SPDX-License-Identifier: Apache-2.0 */
/* Tag, Untag, Tags, Label, Rename, Reset: how volumes are kept in order. */
#include "server/methods.h"

#include "format/reference.h"
#include "server/encode.h"
#include "util/cleanup.h"
#include "volume/label.h"
#include "volume/rename.h"
#include "volume/tag.h"

#include <errno.h>

/* what belongs to the volume: "a tag". */
static int resolve_in_volume(struct call *c, const char *reference,
			     const char *what, struct resolved *ret)
{
	int r = reference_resolve(c->host, reference, ret, &c->err);

	if (r == 0 && !ret->volume)
		return err_set(&c->err, EINVAL,
			       "%s says no volume, and %s belongs to one; "
			       "name the version as NAME@SEQUENCE",
			       reference, what);
	return r;
}

int method_tag(struct call *c)
{
	_cleanup_resolved_ struct resolved found = {0};
	const char *reference, *tag;
	struct digest previous;
	bool move = false, moved = false;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = call_need_string(c, "tag", &tag);
	if (r == 0)
		r = call_get_bool(c, "move", &move);
	if (r == 0)
		r = resolve_in_volume(c, reference, "a tag", &found);
	if (r == 0)
		r = volume_tag(c->host, found.volume->name, tag, &found.version,
			       move, &moved, &previous, &c->err);
	if (r < 0)
		return r;
	c->reply =
		json_pack("{s:o, s:o, s:o}", "reference",
			  json_sprintf("%s:%s", found.volume->name, tag),
			  "version", encode_digest(&found.version), "previous",
			  moved ? encode_digest(&previous) : json_null());
	return c->reply ? 0 : err_oom(&c->err);
}

int method_untag(struct call *c)
{
	struct reference parsed;
	struct digest previous;
	const char *reference;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = reference_parse(reference, &parsed, &c->err);
	if (r == 0 && parsed.kind != REFERENCE_TAG)
		r = err_set(&c->err, EINVAL,
			    "%s is no tag; one is named as NAME:TAG",
			    reference);
	if (r == 0)
		r = volume_untag(c->host, parsed.volume, parsed.tag, NULL,
				 &previous, &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:s, s:o}", "reference", reference, "version",
			     encode_digest(&previous));
	return c->reply ? 0 : err_oom(&c->err);
}

int method_tags(struct call *c)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	const char *name;
	json_t *tags;
	int r = call_need_string(c, "volume", &name);

	if (r == 0)
		r = volume_load(c->host, name, &v, &c->err);
	if (r < 0)
		return r;
	tags = json_array();
	for (size_t i = 0; i < v->n_tags; i++)
		(void)json_array_append_new(
			tags, json_pack("{s:s, s:o}", "name", v->tags[i].name,
					"version",
					encode_digest(&v->tags[i].version)));
	c->reply = json_pack("{s:o}", "tags", tags);
	return c->reply ? 0 : err_oom(&c->err);
}

/* The changes of a call, which borrow from it; *ret is the caller's. */
static int get_label_changes(struct call *c, struct label_change **ret,
			     size_t *ret_n)
{
	_cleanup_free_ struct label_change *changes = NULL;
	_cleanup_free_ struct label *labels = NULL;
	_cleanup_free_ const char **keys = NULL;
	size_t n_labels, n_keys;
	int r = call_get_labels(c, &labels, &n_labels);

	if (r == 0)
		r = call_get_strings(c, "remove", &keys, &n_keys);
	if (r < 0)
		return r;
	changes = calloc(n_labels + n_keys + 1, sizeof(*changes));
	if (!changes)
		return err_oom(&c->err);
	for (size_t i = 0; i < n_labels; i++)
		changes[i] =
			(struct label_change){labels[i].key, labels[i].value};
	for (size_t i = 0; i < n_keys; i++)
		changes[n_labels + i] = (struct label_change){keys[i], NULL};
	*ret = TAKE_PTR(changes);
	*ret_n = n_labels + n_keys;
	return 0;
}

int method_label(struct call *c)
{
	_cleanup_(version_freep) struct version *version = NULL;
	_cleanup_free_ struct label_change *changes = NULL;
	_cleanup_(volume_freep) struct volume *v = NULL;
	_cleanup_resolved_ struct resolved found = {0};
	const char *reference;
	size_t n = 0;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = get_label_changes(c, &changes, &n);
	if (r == 0)
		r = resolve_in_volume(c, reference, "a label", &found);
	if (r == 0)
		r = version_load(c->host, &found.version, &version, &c->err);
	if (r == 0)
		r = volume_label(c->host, found.volume->name, version, changes,
				 n, &c->err);
	if (r == 0)
		r = volume_load(c->host, found.volume->name, &v, &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:o}", "version",
			     encode_version(version, v, found.sequence));
	return c->reply ? 0 : err_oom(&c->err);
}

int method_rename(struct call *c)
{
	const char *volume, *name;
	int r = call_need_string(c, "volume", &volume);

	if (r == 0)
		r = call_need_string(c, "name", &name);
	if (r == 0)
		r = volume_rename(c->host, volume, name, &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:s}", "volume", name);
	return c->reply ? 0 : err_oom(&c->err);
}

/* What a session has written is on top of the version it was mounted on. */
static int refuse_leased(struct call *c, const struct volume *v)
{
	if (!volume_is_leased(v, c->host))
		return 0;
	return err_set(&c->err, EBUSY,
		       "volume %s has session %s, whose changes are on top of "
		       "its newest version; finalize it, or end it with "
		       "\"layerctl unmount %s --discard\"",
		       v->name, v->lease_session, v->name);
}

int method_reset(struct call *c)
{
	_cleanup_resolved_ struct resolved found = {0};
	_cleanup_(version_freep) struct version *version = NULL;
	_cleanup_(volume_freep) struct volume *v = NULL;
	const char *name, *reference;
	int r = call_need_string(c, "volume", &name);

	if (r == 0)
		r = call_need_string(c, "reference", &reference);
	if (r == 0)
		r = volume_load(c->host, name, &v, &c->err);
	if (r == 0)
		r = refuse_leased(c, v);
	if (r == 0)
		r = reference_resolve(c->host, reference, &found, &c->err);
	/* No head is made of what is damaged. */
	if (r == 0)
		r = version_load(c->host, &found.version, &version, &c->err);
	if (r == 0 && !(v->has_head && digest_equal(&v->head, &found.version)))
		r = volume_advance(c->host, v, &found.version, NULL, 0,
				   &c->err);
	if (r < 0)
		return r;
	/* It is done, and found without the index, too. */
	(void)catalog_add_version(c->host->catalog, &found.version, name,
				  v->sequence, NULL);
	c->reply = json_pack("{s:s, s:o}", "volume", name, "version",
			     encode_version(version, v, v->sequence));
	return c->reply ? 0 : err_oom(&c->err);
}
