/* SPDX-License-Identifier: Apache-2.0 */
/* Remove, Collect: how versions go, and their data after them. */
#include "server/methods.h"

#include "format/reference.h"
#include "volume/gc.h"
#include "volume/mounting.h"
#include "volume/remove.h"

int method_remove(struct call *c)
{
	struct reference parsed;
	const char *reference;
	bool force = false;
	uint64_t versions;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = call_get_bool(c, "force", &force);
	if (r == 0)
		r = reference_parse(reference, &parsed, &c->err);
	if (r == 0)
		r = volume_remove(c->host, &parsed, force, c->pid, &versions,
				  &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:s, s:I}", "reference", reference, "versions",
			     (json_int_t)versions);
	return c->reply ? 0 : err_oom(&c->err);
}

int method_collect(struct call *c)
{
	struct gc_result result;
	bool dry_run = false;
	int r = call_get_bool(c, "dry_run", &dry_run);

	if (r == 0 && !dry_run)
		r = mounting_sweep(c->host, &c->err);
	if (r == 0)
		r = gc_run(c->host, dry_run, &c->progress, &result, &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack(
		"{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "dry_run",
		(int)dry_run, "versions", (json_int_t)result.versions, "layers",
		(json_int_t)result.layers, "packs", (json_int_t)result.packs,
		"bytes", (json_int_t)result.bytes, "cached_layers",
		(json_int_t)result.cached_layers, "cached",
		(json_int_t)result.cached, "dead", (json_int_t)result.dead,
		"kept_packs", (json_int_t)result.kept_packs, "kept",
		(json_int_t)result.kept);
	return c->reply ? 0 : err_oom(&c->err);
}
