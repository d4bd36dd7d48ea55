/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: the record has only what differs from the manifest, so that
 * labels that were set and taken away again leave nothing behind.
 */
#include "volume/label.h"

#include "util/cleanup.h"
#include "volume/record.h"

#include <errno.h>
#include <string.h>

static int compare(const struct volume_label *l, const struct digest *version,
		   const char *key)
{
	int r = memcmp(l->version.bytes, version->bytes, DIGEST_SIZE);

	return r || !key ? r : strcmp(l->key, key);
}

int volume_label_compare(const void *a, const void *b)
{
	const struct volume_label *other = b;

	return compare(a, &other->version, other->key);
}

/* The first that is not before version and key, which may be "". */
static size_t find(const struct volume *v, const struct digest *version,
		   const char *key)
{
	size_t low = 0, high = v->n_labels;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&v->labels[middle], version, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct volume_label *volume_labels_of(const struct volume *v,
					    const struct digest *version,
					    size_t *ret_n)
{
	size_t first = find(v, version, ""), n = 0;

	while (first + n < v->n_labels &&
	       compare(&v->labels[first + n], version, NULL) == 0)
		n++;
	*ret_n = n;
	return n ? &v->labels[first] : NULL;
}

static const char *sealed_value(const struct label *labels, size_t n,
				const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(labels[i].key, key) == 0)
			return labels[i].value;
	return NULL;
}

/* Where the label is in the record, or NULL. */
static struct volume_label *recorded(const struct volume *v,
				     const struct digest *version,
				     const char *key)
{
	size_t at = find(v, version, key);

	return at < v->n_labels && compare(&v->labels[at], version, key) == 0
		       ? &v->labels[at]
		       : NULL;
}

const char *volume_label_value(const struct volume *v,
			       const struct digest *version,
			       const struct label *labels, size_t n,
			       const char *key)
{
	const struct volume_label *l = v ? recorded(v, version, key) : NULL;

	return l ? l->value : sealed_value(labels, n, key);
}

static void drop(struct volume *v, struct volume_label *l)
{
	size_t at = (size_t)(l - v->labels);

	free(l->key);
	free(l->value);
	v->n_labels--;
	memmove(l, l + 1, (v->n_labels - at) * sizeof(*l));
}

/* Puts a label into the record, in place of what is there for its key. */
static int put(struct volume *v, const struct digest *version,
	       const struct label_change *c, struct err *err)
{
	struct volume_label *l = recorded(v, version, c->key), *all;
	_cleanup_free_ char *value = c->value ? strdup(c->value) : NULL;
	_cleanup_free_ char *key = strdup(c->key);
	size_t at;

	if (!key || !value != !c->value)
		return err_oom(err);
	if (l) {
		free(l->value);
		l->value = TAKE_PTR(value);
		return 0;
	}
	if (v->n_labels >= VOLUME_LABELS_MAX)
		return err_set(err, EINVAL,
			       "volume %s has %d labels of its versions "
			       "already; remove some with \"layerctl label "
			       "--delete\", or label versions when they are "
			       "sealed",
			       v->name, VOLUME_LABELS_MAX);
	all = reallocarray(v->labels, v->n_labels + 1, sizeof(*all));
	if (!all)
		return err_oom(err);
	v->labels = all;
	at = find(v, version, c->key);
	memmove(&all[at + 1], &all[at], (v->n_labels - at) * sizeof(*all));
	all[at] = (struct volume_label){.version = *version,
					.key = TAKE_PTR(key),
					.value = TAKE_PTR(value)};
	v->n_labels++;
	return 0;
}

struct change {
	const struct version *version;
	const struct label_change *changes;
	size_t n;
};

static int set(struct volume *v, const struct version *version,
	       const struct label_change *c, struct err *err)
{
	const char *sealed =
		sealed_value(version->labels, version->n_labels, c->key);
	const char *now =
		volume_label_value(v, &version->digest, version->labels,
				   version->n_labels, c->key);
	struct volume_label *l = recorded(v, &version->digest, c->key);
	char hex[DIGEST_HEX_SIZE];
	int r;

	if (!c->value && !now)
		return err_set(err, ENOENT,
			       "version sha256:%.12s of volume %s has no label "
			       "%s; \"layerctl label\" lists those it has",
			       digest_hex(&version->digest, hex), v->name,
			       c->key);
	if (c->value && now && strcmp(c->value, now) == 0)
		return 0;
	if (c->value && sealed ? strcmp(c->value, sealed) == 0
			       : !c->value && !sealed) {
		drop(v, l);
		return VOLUME_CHANGED;
	}
	r = put(v, &version->digest, c, err);
	return r < 0 ? r : VOLUME_CHANGED;
}

static size_t count(const struct volume *v, const struct version *version)
{
	const struct volume_label *l;
	size_t n, all = version->n_labels;

	l = volume_labels_of(v, &version->digest, &n);
	for (size_t i = 0; i < n; i++)
		if (!sealed_value(version->labels, version->n_labels, l[i].key))
			all++;
	return all;
}

/* A label more must leave room for what every writer of the record needs. */
static int check_room(const struct volume *v, const struct version *version,
		      struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (count(v, version) > VERSION_LABELS_MAX)
		return err_set(err, EINVAL,
			       "a version has at most %d labels; remove some "
			       "with \"layerctl label --delete\"",
			       VERSION_LABELS_MAX);
	if (volume_record_encode(v, &b) < 0)
		return err_oom(err);
	if (b.size > VOLUME_LABELS_RECORD_MAX)
		return err_set(err, EINVAL,
			       "the record of volume %s would have %zu bytes, "
			       "and labels may not let it grow beyond %u; "
			       "remove some with \"layerctl label --delete\", "
			       "or keep long values in files of the volume",
			       v->name, b.size, VOLUME_LABELS_RECORD_MAX);
	return 0;
}

static int change(struct volume *v, void *ctx, struct err *err)
{
	const struct change *c = ctx;
	bool changed = false, added = false;
	int r = 0;

	for (size_t i = 0; i < c->n; i++) {
		r = set(v, c->version, &c->changes[i], err);
		if (r < 0)
			return r;
		changed = changed || r == VOLUME_CHANGED;
		added = added || c->changes[i].value;
	}
	/* Even a full record lets labels be taken away. */
	r = changed && added ? check_room(v, c->version, err) : 0;
	return r < 0 ? r : changed ? VOLUME_CHANGED : 0;
}

int volume_label(struct host *h, const char *volume,
		 const struct version *version,
		 const struct label_change *changes, size_t n, struct err *err)
{
	struct change c = {.version = version, .changes = changes, .n = n};
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = version_label_check(changes[i].key, changes[i].value, err);
	return r < 0 ? r : volume_change(h, volume, change, &c, err);
}
