/* SPDX-License-Identifier: Apache-2.0 */
/* Fsck, Rebuild: whether all is well, and what can be done when not. */
#include "server/methods.h"

#include "server/batches.h"
#include "server/encode.h"
#include "util/cleanup.h"
#include "volume/fsck.h"
#include "volume/rebuild.h"

#include <errno.h>

static json_t *encode_names(const char *const *names, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < n; i++)
		if (json_array_append_new(list, encode_bytes(names[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static int add_finding(const struct fsck_finding *f, void *ctx, struct err *err)
{
	static const char *const states[] = {
		[FSCK_LOST] = "lost",
		[FSCK_REPAIRABLE] = "repairable",
		[FSCK_REPAIRED] = "repaired",
	};
	json_t *item =
		json_pack("{s:o, s:s, s:o, s:s, s:o, s:I, s:o, s:I}", "object",
			  encode_bytes(f->object), "kind", f->kind, "message",
			  encode_bytes(f->message), "state", states[f->state],
			  "versions", encode_names(f->versions, f->n_versions),
			  "versions_total", (json_int_t)f->versions_total,
			  "paths", encode_names(f->paths, f->n_paths),
			  "paths_total", (json_int_t)f->paths_total);

	return batches_add(ctx, item, err);
}

static int add_totals(struct call *c, const struct fsck_totals *t)
{
	json_t *totals = json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"versions", (json_int_t)t->versions, "layers",
		(json_int_t)t->layers, "packs", (json_int_t)t->packs, "chunks",
		(json_int_t)t->chunks, "bytes", (json_int_t)t->bytes, "cached",
		(json_int_t)t->cached, "findings", (json_int_t)t->findings,
		"repairable", (json_int_t)t->repairable, "repaired",
		(json_int_t)t->repaired, "orphans", (json_int_t)t->orphans,
		"orphan_bytes", (json_int_t)t->orphan_bytes, "unfinished",
		(json_int_t)t->unfinished);

	return json_object_set_new(c->reply, "totals", totals) < 0
		       ? err_oom(&c->err)
		       : 0;
}

int method_fsck(struct call *c)
{
	struct fsck_options options = {.progress = &c->progress};
	struct fsck_totals totals = {0};
	struct batches findings;
	int r = call_get_string(c, "reference", &options.reference);

	if (r == 0)
		r = call_get_bool(c, "read_data", &options.read_data);
	if (r == 0)
		r = call_get_bool(c, "repair", &options.repair);
	if (r < 0)
		return r;
	r = batches_init(&findings, c, "findings", NULL);
	if (r == 0)
		r = fsck(c->host, &options, add_finding, &findings, &totals,
			 &c->err);
	r = batches_finish(&findings, r);
	return r < 0 ? r : add_totals(c, &totals);
}

int method_rebuild(struct call *c)
{
	struct rebuilt done = {0};
	int r = host_rebuild_catalog(c->host, &c->progress, &done, &c->err);

	if (r < 0)
		return r;
	c->reply = json_pack(
		"{s:I, s:I, s:I, s:b}", "packs", (json_int_t)done.packs,
		"versions", (json_int_t)done.versions, "skipped",
		(json_int_t)done.skipped, "damaged", (int)done.damaged);
	return c->reply ? 0 : err_oom(&c->err);
}
