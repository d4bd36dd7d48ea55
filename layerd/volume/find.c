/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: the catalog only proposes. An entry counts when its volume is
 * there and the number still has its version; labels are as the record of the
 * volume has changed them.
 */
#include "volume/find.h"

#include "util/cleanup.h"
#include "volume/find-entries.h"
#include "volume/label.h"

#include <errno.h>
#include <string.h>

struct search {
	struct host *host;
	const struct find_request *request;
	find_fn fn;
	void *ctx;
	struct err *err;
	struct volume **volumes; /* by name */
	bool *wanted;		 /* for each, when not all are */
	size_t n_volumes;
	uint64_t left;

	/* The version at hand, under the best of its places that match. */
	struct version *version;
	uint64_t size;
	struct find_place best;
	struct find_place *places;
	size_t n_places;
};

static void release(struct search *s)
{
	for (size_t i = 0; i < s->n_volumes; i++)
		volume_free(s->volumes[i]);
	free(s->volumes);
	free(s->wanted);
	free(s->places);
	s->version = version_free(s->version);
}

/* Where a volume is among them; n_volumes when it is not. */
static size_t find_index(const struct search *s, const char *name)
{
	size_t low = 0, high = s->n_volumes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = strcmp(s->volumes[middle]->name, name);

		if (r == 0)
			return middle;
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return s->n_volumes;
}

static const struct volume *find_volume(const struct search *s,
					const char *name)
{
	size_t i = find_index(s, name);

	return i < s->n_volumes ? s->volumes[i] : NULL;
}

/* All volumes, whose entries are up to date then. */
static int load_volumes(struct search *s)
{
	_cleanup_volume_names_ struct volume_names names = {0};
	int r = volume_names_list(s->host, &names, s->err);

	if (r < 0)
		return r;
	s->volumes = calloc(names.n + 1, sizeof(struct volume *));
	if (!s->volumes)
		return err_oom(s->err);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		struct err problem = ERR_INIT;
		struct volume *v = NULL;

		if (volume_load(s->host, names.items[i], &v, &problem) < 0)
			continue;
		s->volumes[s->n_volumes++] = v;
		r = find_update_entries(s->host, v, s->err);
	}
	return r;
}

static int want_volume(const char *volume, uint64_t sequence, void *ctx)
{
	struct search *s = ctx;
	size_t i = find_index(s, volume);

	(void)sequence;
	if (i < s->n_volumes)
		s->wanted[i] = true;
	return 0;
}

static int choose_volumes(struct search *s)
{
	const struct find_request *q = s->request;

	if (!q->volume)
		return 0;
	s->wanted = calloc(s->n_volumes + 1, sizeof(*s->wanted));
	if (!s->wanted)
		return err_oom(s->err);
	if (!q->related)
		return want_volume(q->volume, 0, s);
	return catalog_each_related(s->host->catalog, q->volume, want_volume, s,
				    s->err);
}

static bool matches(const struct search *s, const struct volume *v,
		    const struct catalog_entry *e)
{
	const struct find_request *request = s->request;
	struct label labels[VERSION_LABELS_MAX];
	size_t n;

	if (request->message && !strstr(e->message, request->message))
		return false;
	n = request->n_labels ? find_split_labels(e, labels) : 0;
	for (size_t i = 0; i < request->n_labels; i++) {
		const struct label *want = &request->labels[i];
		const char *value = volume_label_value(v, &e->version, labels,
						       n, want->key);

		if (!value || (want->value && strcmp(value, want->value) != 0))
			return false;
	}
	return true;
}

/* Whether the store says so, too. */
static bool is_there(const struct search *s, const struct volume *v,
		     uint64_t sequence, const struct digest *version)
{
	struct err problem = ERR_INIT;
	struct digest digest;

	return volume_version_at(s->host, v, sequence, &digest, &problem) ==
		       0 &&
	       digest_equal(&digest, version);
}

static int add_place(const char *volume, uint64_t sequence, void *ctx)
{
	struct search *s = ctx;
	const struct volume *v = find_volume(s, volume);
	struct find_place *places;

	if (!v)
		return 0;
	places = reallocarray(s->places, s->n_places + 1, sizeof(*places));
	if (!places)
		return err_oom(s->err);
	s->places = places;
	places[s->n_places++] = (struct find_place){v, sequence};
	return 0;
}

/* Fills s->places; looks into the store when the catalog is free again. */
static int collect_places(struct search *s)
{
	size_t n = 0;
	int r;

	s->n_places = 0;
	r = catalog_each_entry_of(s->host->catalog, &s->version->digest,
				  add_place, s, s->err);
	for (size_t i = 0; r == 0 && i < s->n_places; i++)
		if (is_there(s, s->places[i].volume, s->places[i].sequence,
			     &s->version->digest))
			s->places[n++] = s->places[i];
	s->n_places = n;
	return r;
}

/* Reports the version at hand, whose places have all been seen. */
static int report(struct search *s)
{
	struct find_found found;
	int r;

	if (!s->version)
		return 0;
	r = collect_places(s);
	if (r < 0)
		return r;
	found = (struct find_found){.version = s->version,
				    .size = s->size,
				    .place = s->best,
				    .places = s->places,
				    .n_places = s->n_places};
	s->left--;
	r = s->fn(&found, s->ctx, s->err);
	s->version = version_free(s->version);
	return r;
}

/* How much a place is the one that a version is known by. */
static int rank(const struct version *v, const char *volume, uint64_t sequence)
{
	return 2 * (strcmp(v->volume, volume) == 0) + (v->sequence == sequence);
}

/* -EBADMSG and others for a version that is left out. */
static int take_version(struct search *s, const struct catalog_entry *e)
{
	struct err problem = ERR_INIT;

	if (s->request->brief)
		return find_decode_entry(e, &s->version, &s->size);
	return version_load(s->host, &e->version, &s->version, &problem);
}

static int look_at(struct search *s, const struct catalog_entry *e)
{
	size_t i = find_index(s, e->volume);
	const struct volume *v;
	int r = 0;

	if (i == s->n_volumes || (s->wanted && !s->wanted[i]))
		return 0;
	v = s->volumes[i];
	if (!matches(s, v, e) || !is_there(s, v, e->sequence, &e->version))
		return 0;
	if (s->version && !digest_equal(&s->version->digest, &e->version))
		r = report(s);
	if (r < 0 || s->left == 0)
		return r;
	if (!s->version) {
		r = take_version(s, e);
		if (r < 0)
			return r == -ENOMEM ? err_oom(s->err) : 0;
	} else if (rank(s->version, e->volume, e->sequence) <
		   rank(s->version, s->best.volume->name, s->best.sequence)) {
		return 0;
	}
	s->best = (struct find_place){v, e->sequence};
	return 0;
}

static int run(struct search *s)
{
	_cleanup_catalog_page_ struct catalog_page page = {0}, last = {0};
	const struct find_request *q = s->request;
	int r;

	do {
		/* The next page begins behind the last entry of this one. */
		catalog_page_release(&last);
		last = page;
		page.n = 0;
		r = catalog_next_entries(
			s->host->catalog, q->related ? NULL : q->volume,
			q->since, q->until,
			last.n ? &last.items[last.n - 1] : NULL, &page, s->err);
		for (size_t i = 0; r == 0 && s->left && i < page.n; i++)
			r = look_at(s, &page.items[i]);
		if (r == 0 && s->host->stopping)
			r = err_set(s->err, ECANCELED,
				    "the search ended with the daemon");
	} while (r == 0 && s->left && page.n == CATALOG_PAGE);
	return r == 0 && s->left ? report(s) : r;
}

int volume_find(struct host *h, const struct find_request *request, find_fn fn,
		void *ctx, struct err *err)
{
	struct search s = {.host = h,
			   .request = request,
			   .fn = fn,
			   .ctx = ctx,
			   .err = err,
			   .left = request->limit};
	_cleanup_(volume_freep) struct volume *only = NULL;
	int r = 0;

	if (request->volume)
		r = volume_load(h, request->volume, &only, err);
	if (r == 0)
		r = load_volumes(&s);
	if (r == 0)
		r = choose_volumes(&s);
	if (r == 0 && s.left)
		r = run(&s);
	release(&s);
	return r;
}
