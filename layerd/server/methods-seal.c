/* SPDX-License-Identifier: Apache-2.0 */
/* Seal: commit and finalize. */
#include "server/methods.h"

#include "server/encode.h"
#include "server/janitor.h"
#include "server/sessions.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/log.h"
#include "volume/seal.h"

#include <errno.h>
#include <inttypes.h>

static int reply_sealed(struct call *c, const char *volume,
			const struct seal_result *result, const char *unmounted)
{
	_cleanup_(volume_freep) struct volume *record = NULL;
	int r = volume_load(c->host, volume, &record, &c->err);

	if (r < 0)
		return r;
	c->reply = json_pack(
		"{s:o, s:I, s:I, s:o}", "version",
		encode_version(result->version, record, record->sequence),
		"sockets", (json_int_t)result->sockets, "stored",
		(json_int_t)result->stored, "unmounted",
		encode_bytes(unmounted));
	if (!c->reply)
		return err_oom(&c->err);
	log_info("%s@%" PRIu64 " is sealed: %" PRIu64 " changed, %" PRIu64
		 " bytes, %" PRIu64 " new in the store",
		 volume, record->sequence, result->version->changed,
		 result->version->added, result->stored);
	if (unmounted)
		log_info("volume %s is unmounted, its session has ended",
			 volume);
	return 0;
}

static void sync_new_layer(struct call *c, const struct version *v)
{
	if (v->added && v->n_layers)
		janitor_sync_layer(c->janitor, &v->layers[v->n_layers - 1].tar);
}

static int commit(struct call *c, struct session *s,
		  const struct seal_options *options)
{
	struct seal_result result = {0};
	int r = seal_session(c->host, s, options, &result, &c->err);

	if (r < 0)
		return r;
	sync_new_layer(c, result.version);
	r = reply_sealed(c, s->volume, &result, NULL);
	seal_result_release(&result);
	return r;
}

/*
 * Unmounts before it seals: after a successful unmount nobody can write, so the
 * version is exact. When the seal fails the mount is put back.
 */
static int finalize(struct call *c, struct session *s,
		    const struct seal_options *options, bool lazy)
{
	_cleanup_mount_places_ struct mount_places places = {0};
	struct seal_result result = {0};
	int r = unmount_session(c, s, NULL, lazy, &places);

	if (r < 0)
		return r;
	r = fault_point("finalize.unmounted");
	if (r == 0 && !lazy)
		r = refuse_users(c, s);
	if (r == 0)
		r = seal_session(c->host, s, options, &result, &c->err);
	if (r < 0) {
		if (reattach_session(c, s, &places) < 0)
			return err_prefix(&c->err, r,
					  "the session is kept, detached "
					  "(\"layerctl mount %s\" attaches it)",
					  s->volume);
		return r;
	}
	sync_new_layer(c, result.version);
	r = fault_point("finalize.sealed");
	if (r == 0)
		r = session_remove(c->host, s, &c->err);
	if (r < 0)
		err_prefix(&c->err, r,
			   "volume %s is sealed, but its session did not end "
			   "(finalize it again)",
			   s->volume);
	janitor_wake(c->janitor);
	if (r == 0)
		r = reply_sealed(c, s->volume, &result,
				 places.n ? places.items[0].path : NULL);
	seal_result_release(&result);
	return r;
}

int method_seal(struct call *c)
{
	_cleanup_(session_freep) struct session *s = NULL;
	_cleanup_free_ struct label *labels = NULL;
	_cleanup_target_ struct target t = {0};
	struct seal_options options = {.progress = &c->progress};
	bool end = false, lazy = false;
	int r = call_get_target(c, &t);

	if (r == 0)
		r = call_get_string(c, "message", &options.message);
	if (r == 0)
		r = call_get_labels(c, &labels, &options.n_labels);
	options.labels = labels;
	if (r == 0)
		r = call_get_bool(c, "finalize", &end);
	if (r == 0)
		r = call_get_bool(c, "lazy", &lazy);
	if (r == 0)
		r = need_target_session(c, &t, &s);
	if (r < 0)
		return r;
	return end ? finalize(c, s, &options, lazy) : commit(c, s, &options);
}
