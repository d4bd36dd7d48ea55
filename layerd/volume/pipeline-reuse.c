/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a seal takes from packs of earlier ones. What must hold: a place that
 * the catalog gave gets into a version only when the pack itself, in the store,
 * says the same. The catalog may have been damaged, or be older than the store.
 */
#include "volume/pipeline-private.h"

#include "store/condemned.h"
#include "util/cleanup.h"
#include "volume/contents.h"

#include <errno.h>

/* Contents of one pack become neighbours. */
static int compare_packs(const void *a, const void *b, void *ctx)
{
	const struct pipeline *p = ctx;
	uint32_t x = p->unique[*(const uint32_t *)a].pack;
	uint32_t y = p->unique[*(const uint32_t *)b].pack;

	return (x > y) - (x < y);
}

static bool toc_has(const struct pack_toc *toc, const struct unique *u)
{
	const struct pack_entry *e = pack_toc_find(toc, u->offset);

	return e && e->length == u->length &&
	       digest_equal(&e->chunk, &u->digest);
}

/* Checks the contents items[0..n) of one pack. Where it is not as the catalog
 * says, the catalog is put right. */
static int check_pack(struct pipeline *p, const uint32_t *items, size_t n,
		      bool *ret_stale, struct err *err)
{
	const struct digest *pack = &p->packs[p->unique[*items].pack].digest;
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	struct err problem = ERR_INIT;
	int read = contents_read(p->store, pack, &toc, &problem);
	size_t good = 0;
	int r;

	/* It was removed, or is about to be, or was found damaged. */
	if (condemned_has(store_condemned(p->store), STORE_PACK, pack) ||
	    contents_is_marked(p->store, pack))
		read = -ENOENT;
	if (read < 0 && read != -ENOENT && read != -EBADMSG)
		return err_set(err, read, "%s", problem.text);
	while (read == 0 && good < n && toc_has(&toc, &p->unique[items[good]]))
		good++;
	if (good == n)
		return 0;
	*ret_stale = true;
	r = catalog_remove_pack(p->catalog, pack, err);
	if (r == 0 && read == 0)
		r = catalog_add_pack(p->catalog, pack, &toc, err);
	return r;
}

int pipeline_check_reused(struct pipeline *p, struct err *err)
{
	_cleanup_free_ uint32_t *items = NULL;
	bool stale = false;
	size_t n = 0;

	items = calloc(p->n_unique + 1, sizeof(*items));
	if (!items)
		return err_oom(err);
	for (size_t i = 0; i < p->n_unique; i++)
		if (!p->packs[p->unique[i].pack].ours)
			items[n++] = (uint32_t)i;
	qsort_r(items, n, sizeof(*items), compare_packs, p);
	for (size_t from = 0, to; from < n; from = to) {
		int r;

		for (to = from + 1; to < n; to++)
			if (compare_packs(&items[from], &items[to], p) != 0)
				break;
		r = check_pack(p, &items[from], to - from, &stale, err);
		if (r < 0)
			return r;
	}
	return stale ? -ESTALE : 0;
}
