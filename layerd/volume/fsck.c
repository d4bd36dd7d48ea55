/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a check. What must hold:
 *  1. Without repair nothing is changed in the store and the cache. A catalog
 *     that turns out to be damaged is made anew at the next start, as ever.
 *  2. A repair only adds to the store, or replaces what is damaged by what its
 *     digest proves to be right; it removes no object. A damaged pack stays,
 *     under a mark, for whoever reads it otherwise.
 *  3. What replaces something is durable before anything points to it, so a
 *     repair that is cut short can be made again.
 */
#include "volume/fsck-private.h"

#include "util/cleanup.h"

#include <errno.h>

int fsck_room(struct fsck *f, void *items, size_t n, size_t *alloc, size_t size)
{
	size_t want = *alloc ? *alloc * 2 : 16;
	void *array, *grown;

	if (n < *alloc)
		return 0;
	memcpy(&array, items, sizeof(array));
	grown = reallocarray(array, want, size);
	if (!grown)
		return err_oom(f->err);
	memset((char *)grown + *alloc * size, 0, (want - *alloc) * size);
	memcpy(items, &grown, sizeof(grown));
	*alloc = want;
	return 0;
}

int fsck_progress(struct fsck *f, const char *stage, uint64_t done,
		  uint64_t total, uint64_t files)
{
	return progress_report(f->host, f->options->progress, stage, done,
			       total, files);
}

static void release(struct fsck *f)
{
	fsck_report_release(f);
	fsck_packs_release(f);
	for (size_t i = 0; i < f->n_names; i++)
		free(f->names[i].text);
	free(f->names);
	free(f->no_manifest);
	for (size_t i = 0; i < f->n_layers; i++)
		free(f->layers[i].users);
	free(f->layers);
	table_release(&f->layer_table);
	digest_set_release(&f->versions);
	digest_set_release(&f->blobs);
	digest_set_release(&f->tars);
	digest_set_release(&f->wanted_set);
	free(f->wanted);
}

static int check_store(struct fsck *f)
{
	struct err problem = ERR_INIT;
	int r = store_check(f->host->store, &problem);

	if (r != -EBADMSG)
		return r < 0 ? err_set(f->err, r, "%s", problem.text) : 0;
	return fsck_found(f, "layerd.json", "damaged", "%s", problem.text)
		       ? 0
		       : -ENOMEM;
}

/* What belongs to no version in particular. */
static int check_host(struct fsck *f)
{
	int r = fsck_cache(f);

	if (r == 0)
		r = fsck_catalog(f);
	if (r == 0)
		r = fsck_orphans(f);
	return r;
}

static int check(struct fsck *f)
{
	int r = check_store(f);

	if (r == 0)
		r = fsck_collect(f);
	if (r == 0 && !f->options->reference)
		r = fsck_list_packs(f);
	if (r == 0)
		r = fsck_layers(f);
	if (r == 0 && f->options->read_data && !f->options->reference)
		r = fsck_read_rest(f);
	if (r == 0 && f->hurt)
		r = fsck_find_sources(f);
	if (r == 0 && f->hurt && f->options->repair)
		r = fsck_repair_data(f);
	if (r == 0 && !f->options->reference)
		r = check_host(f);
	return r;
}

int fsck(struct host *h, const struct fsck_options *options, fsck_fn fn,
	 void *ctx, struct fsck_totals *ret, struct err *err)
{
	_cleanup_(release) struct fsck f = {
		.host = h, .options = options, .err = err};
	int r = check(&f);

	if (r == 0)
		r = fsck_report(&f, fn, ctx);
	if (r == 0)
		*ret = f.totals;
	return r;
}
