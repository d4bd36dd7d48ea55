/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/find-entries.h"

#include "catalog/entries.h"
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
	return r < 0 || !e->message ? -ENOMEM : 0;
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
