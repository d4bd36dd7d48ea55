/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/find-entries.h"

#include "util/cleanup.h"

#include <errno.h>

#define _cleanup_entries_ __attribute__((cleanup(release)))

struct entries {
	struct catalog_entry items[CATALOG_PAGE];
	size_t n;
};

static void release(struct entries *e)
{
	while (e->n)
		catalog_entry_release(&e->items[--e->n]);
}

static uint64_t total_size(const struct version *v)
{
	uint64_t size = 0;

	for (size_t i = 0; i < v->n_layers; i++)
		size += v->layers[i].tar_size;
	return size;
}

static int fill(struct catalog_entry *e, const struct version *v)
{
	int r = 0;

	e->version = v->digest;
	e->created = v->created;
	e->nsec = v->created_nsec;
	e->message = strdup(v->message);
	for (size_t i = 0; r == 0 && i < v->n_labels; i++) {
		r = buf_add(&e->labels, v->labels[i].key,
			    strlen(v->labels[i].key) + 1);
		if (r == 0)
			r = buf_add(&e->labels, v->labels[i].value,
				    strlen(v->labels[i].value) + 1);
	}
	e->has_parent = v->has_parent;
	e->parent = v->parent;
	e->origin = strdup(v->volume);
	e->number = v->sequence;
	e->consistency = strdup(v->consistency);
	e->changed = v->changed;
	e->added = v->added;
	e->size = total_size(v);
	return r < 0 || !e->message || !e->origin || !e->consistency ? -ENOMEM
								     : 0;
}

/* 1 for an entry, 0 where the number has none, -EBADMSG and others where it
 * cannot be told. */
static int read_entry(struct host *h, const struct volume *v, uint64_t sequence,
		      struct catalog_entry *e)
{
	_cleanup_(version_freep) struct version *version = NULL;
	struct err problem = ERR_INIT;
	struct digest digest;
	int r = volume_version_at(h, v, sequence, &digest, &problem);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = version_load(h, &digest, &version, &problem);
	if (r < 0)
		return r;
	e->sequence = sequence;
	r = fill(e, version);
	if (r < 0)
		catalog_entry_release(e);
	return r < 0 ? r : 1;
}

static int add(struct host *h, const struct volume *v, uint64_t from,
	       struct err *err)
{
	_cleanup_entries_ struct entries entries = {0};
	/* The last entry before the first version that cannot be read. */
	struct digest head = {0};
	uint64_t complete = 0;
	bool whole = true;
	int r = 0;

	for (uint64_t i = from; r == 0 && i <= v->sequence; i++) {
		struct catalog_entry *e = &entries.items[entries.n];
		int k = read_entry(h, v, i, e);

		if (k == -ENOMEM)
			return err_oom(err);
		whole = whole && k >= 0;
		if (whole && k > 0) {
			complete = i;
			head = e->version;
		}
		entries.n += k > 0;
		if (entries.n < CATALOG_PAGE && i < v->sequence)
			continue;
		r = catalog_add_entries(h->catalog, v->name, complete, &head,
					entries.items, entries.n, err);
		if (r == 0 && h->stopping && i < v->sequence)
			r = err_set(err, ECANCELED,
				    "the search ended with the daemon");
		release(&entries);
	}
	return r;
}

/* Whether what is listed up to a number is of this volume as it is now. */
static bool is_same(struct host *h, const struct volume *v, uint64_t sequence,
		    const struct digest *head)
{
	struct digest at;

	if (sequence == v->sequence)
		return digest_equal(head, &v->head);
	return sequence > 0 && sequence < v->sequence &&
	       volume_version_at(h, v, sequence, &at, NULL) == 0 &&
	       digest_equal(head, &at);
}

int find_update_entries(struct host *h, const struct volume *v, struct err *err)
{
	uint64_t sequence = 0;
	struct digest head;
	int r;

	if (!v->has_head)
		return 0;
	r = catalog_get_listed(h->catalog, v->name, &sequence, &head, err);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && is_same(h, v, sequence, &head))
		return sequence < v->sequence ? add(h, v, sequence + 1, err)
					      : 0;
	if (r == 0) {
		r = catalog_forget_entries(h->catalog, v->name, err);
		if (r < 0)
			return r;
	}
	return add(h, v, 1, err);
}

/* A catalog may be damaged. */
size_t find_split_labels(const struct catalog_entry *e,
			 struct label labels[static VERSION_LABELS_MAX])
{
	const char *p, *end;
	size_t n = 0;

	if (!e->labels.size || e->labels.data[e->labels.size - 1])
		return 0;
	p = (const char *)e->labels.data;
	end = p + e->labels.size;
	while (p < end && n < VERSION_LABELS_MAX) {
		const char *value = p + strlen(p) + 1;

		if (value == end)
			break;
		labels[n++] = (struct label){(char *)p, (char *)value};
		p = value + strlen(value) + 1;
	}
	return n;
}

int find_decode_entry(const struct catalog_entry *e, struct version **ret,
		      uint64_t *ret_size)
{
	_cleanup_(version_freep) struct version *v = NULL;
	struct label labels[VERSION_LABELS_MAX];
	size_t n = find_split_labels(e, labels);
	int r = version_new(&v);

	if (r < 0)
		return r;
	v->digest = e->version;
	v->has_parent = e->has_parent;
	v->parent = e->parent;
	v->sequence = e->number;
	v->created = e->created;
	v->created_nsec = e->nsec;
	v->changed = e->changed;
	v->added = e->added;
	free(v->consistency);
	v->consistency = strdup(e->consistency);
	v->volume = strdup(e->origin);
	if (!v->consistency || !v->volume)
		return -ENOMEM;
	r = version_set_message(v, e->message, NULL);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = version_add_label(v, labels[i].key, labels[i].value, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	*ret = TAKE_PTR(v);
	*ret_size = e->size;
	return 0;
}

int find_read_brief(struct host *h, const struct volume *v, uint64_t sequence,
		    const struct digest *version, struct version **ret,
		    uint64_t *ret_size, struct err *err)
{
	struct catalog_entry e = {0};
	struct err problem = ERR_INIT;
	int r = catalog_get_entry(h->catalog, v->name, sequence, &e, &problem);

	if (r == 0 && digest_equal(&e.version, version))
		r = find_decode_entry(&e, ret, ret_size);
	else
		r = -ENOENT;
	catalog_entry_release(&e);
	if (r == 0)
		return 0;
	/* Whatever is wrong with the catalog: the store is the truth. */
	r = version_load(h, version, ret, err);
	if (r < 0)
		return r;
	*ret_size = total_size(*ret);
	(*ret)->n_layers = 0;
	return 0;
}
