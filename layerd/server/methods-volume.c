/* SPDX-License-Identifier: Apache-2.0 */
/* New, Fork, List, Log, Show: volumes and their versions. */
#include "server/methods.h"

#include "server/batches.h"
#include "server/encode.h"
#include "server/janitor.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "volume/find-entries.h"
#include "volume/import.h"
#include "volume/session.h"

#include <errno.h>
#include <sys/stat.h>

static int reply_version(struct call *c, const char *volume,
			 const struct digest *digest)
{
	_cleanup_(version_freep) struct version *v = NULL;
	_cleanup_(volume_freep) struct volume *record = NULL;
	int r = version_load(c->host, digest, &v, &c->err);

	if (r == 0)
		r = volume_load(c->host, volume, &record, &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:s, s:o}", "volume", volume, "version",
			     encode_version(v, record, record->sequence));
	return c->reply ? 0 : err_oom(&c->err);
}

/* The volume, with its first version. */
static int reply_new(struct call *c, const char *name,
		     struct seal_result *result)
{
	struct digest digest = result->version->digest;

	if (result->version->n_layers)
		janitor_sync_layer(c->janitor, &result->version->layers[0].tar);
	seal_result_release(result);
	return reply_version(c, name, &digest);
}

static int import_directory(struct call *c, const char *name,
			    const struct seal_options *options)
{
	struct seal_result result = {0};
	int r = seal_directory(c->host, name, c->fd, options, &result, &c->err);

	return r < 0 ? r : reply_new(c, name, &result);
}

static int import_file(struct call *c, const char *name, const char *from,
		       const struct seal_options *options)
{
	struct import_source source = {.fd = c->fd, .name = from};
	struct import_result result = {0};
	json_t *archive;
	int r;

	r = import_archive(c->host, name, &source, options, &result, &c->err);
	if (r < 0)
		return r;
	archive = json_pack("{s:s, s:s?, s:b}", "format", result.format,
			    "compression", result.compression, "converted",
			    (int)result.converted);
	r = reply_new(c, name, &result.sealed);
	if (r == 0 && json_object_set_new(c->reply, "archive", archive) < 0)
		r = err_oom(&c->err);
	else if (r < 0)
		json_decref(archive);
	return r;
}

static int import(struct call *c, const char *name, const char *from)
{
	_cleanup_free_ struct label *labels = NULL;
	struct seal_options options = {.progress = &c->progress};
	struct stat st;
	int r;

	if (c->fd < 0)
		return err_set(&c->err, EINVAL,
			       "what to take over was named but its descriptor "
			       "was not passed along");
	if (fstat(c->fd, &st) < 0)
		return err_errno(&c->err, errno, "cannot look at %s", from);
	r = call_get_string(c, "message", &options.message);
	if (r == 0)
		r = call_get_labels(c, &labels, &options.n_labels);
	options.labels = labels;
	if (r < 0)
		return r;
	return S_ISDIR(st.st_mode) ? import_directory(c, name, &options)
				   : import_file(c, name, from, &options);
}

int method_new(struct call *c)
{
	const char *name, *from = NULL;
	int r = call_need_string(c, "name", &name);

	if (r == 0)
		r = call_get_string(c, "from", &from);
	if (r == 0 && from)
		return import(c, name, from);
	if (r == 0)
		r = volume_create(c->host, name, &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:s}", "volume", name);
	return c->reply ? 0 : err_oom(&c->err);
}

int method_fork(struct call *c)
{
	_cleanup_(version_freep) struct version *v = NULL;
	_cleanup_resolved_ struct resolved found = {0};
	const char *reference, *name;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = call_need_string(c, "name", &name);
	if (r == 0)
		r = reference_resolve(c->host, reference, &found, &c->err);
	/* No volume is made of what is damaged. */
	if (r == 0)
		r = version_load(c->host, &found.version, &v, &c->err);
	if (r == 0)
		r = volume_fork(c->host, &found.version, name, &c->err);
	return r < 0 ? r : reply_version(c, name, &found.version);
}

struct list {
	struct call *call;
	struct batches volumes;
};

static int list_volume(const char *name, const struct volume *v,
		       const struct err *problem, void *ctx)
{
	_cleanup_(version_freep) struct version *head = NULL;
	_cleanup_(session_freep) struct session *session = NULL;
	struct list *list = ctx;
	uint64_t size = 0;
	json_t *o;

	if (!v) {
		o = json_pack("{s:s, s:n, s:i, s:s, s:s, s:s, s:i, s:n}",
			      "name", name, "head", "sequence", 0, "created",
			      "", "modified", "", "message", problem->text,
			      "size", 0, "session");
		return batches_add(&list->volumes, o, &list->call->err);
	}
	if (v->has_head)
		(void)find_read_brief(list->call->host, v, v->sequence,
				      &v->head, &head, &size, NULL);
	(void)session_find(list->call->host, name, false, &session, NULL);
	o = json_pack(
		"{s:s, s:o, s:I, s:o, s:o, s:s?, s:I, s:s?}", "name", name,
		"head", v->has_head ? encode_digest(&v->head) : json_null(),
		"sequence", (json_int_t)v->sequence, "created",
		encode_time(v->created), "modified", encode_time(v->modified),
		"message", head ? head->message : NULL, "size",
		(json_int_t)size, "session", session ? session->id : NULL);
	return batches_add(&list->volumes, o, &list->call->err);
}

int method_list(struct call *c)
{
	struct list list = {.call = c};
	int r = batches_init(&list.volumes, c, "volumes", NULL);

	if (r == 0)
		r = volume_each(c->host, list_volume, &list, &c->err);
	return batches_finish(&list.volumes, r);
}

/* Of more than these the index is made first. */
#define LOG_FEW 64

/* Adds to the reply at hand or, with "more", sends a reply of its own. */
static int log_add(struct call *c, json_t *versions, json_t *version)
{
	if (c->more)
		return call_send_more(
			c, json_pack("{s:[o]}", "versions", version));
	return json_array_append_new(versions, version) < 0 ? err_oom(&c->err)
							    : 0;
}

static int log_brief(struct call *c, json_t *versions,
		     const struct digest *digest, const struct volume *volume,
		     uint64_t sequence)
{
	_cleanup_(version_freep) struct version *v = NULL;
	uint64_t size;
	int r = find_read_brief(c->host, volume, sequence, digest, &v, &size,
				&c->err);

	return r < 0 ? r
		     : log_add(c, versions,
			       encode_brief(v, size, volume, sequence));
}

static int log_version(struct call *c, json_t *versions,
		       const struct digest *digest, const struct volume *volume,
		       uint64_t sequence)
{
	_cleanup_(version_freep) struct version *v = NULL;
	int r = version_load(c->host, digest, &v, &c->err);

	return r < 0 ? r
		     : log_add(c, versions,
			       encode_version(v, volume, sequence));
}

static int log_volume(struct call *c, json_t *versions,
		      const struct resolved *from, uint64_t limit, bool brief)
{
	int r = 0;

	if (brief && MIN(from->sequence, limit) > LOG_FEW)
		r = find_update_entries(c->host, from->volume, &c->err);
	for (uint64_t i = from->sequence; r == 0 && i > 0 && limit > 0; i--) {
		struct err problem = ERR_INIT;
		struct digest digest;

		/* It was removed. */
		if (volume_version_at(c->host, from->volume, i, &digest,
				      &problem) == -ENOENT)
			continue;
		if (problem.code) {
			c->err = problem;
			return problem.code;
		}
		r = brief ? log_brief(c, versions, &digest, from->volume, i)
			  : log_version(c, versions, &digest, from->volume, i);
		limit--;
	}
	return r;
}

/* One that was removed and collected; those before it are not known either. */
static bool is_gone(struct call *c, const struct digest *version)
{
	char key[STORE_KEY_MAX];
	uint64_t size;

	return store_size(c->host->store, store_key_blob(key, version), &size,
			  NULL) == -ENOENT;
}

static int log_ancestors(struct call *c, json_t *versions,
			 const struct resolved *from, uint64_t limit)
{
	struct digest digest = from->version;
	bool more = true;
	int r = 0;

	for (; r == 0 && more && limit > 0; limit--) {
		_cleanup_(version_freep) struct version *v = NULL;

		r = version_load(c->host, &digest, &v, &c->err);
		if (r < 0)
			return r;
		more = v->has_parent && !is_gone(c, &v->parent);
		digest = v->parent;
		r = log_add(c, versions, encode_version(v, NULL, 0));
	}
	return r;
}

int method_log(struct call *c)
{
	_cleanup_resolved_ struct resolved found = {0};
	json_t *versions = json_array();
	const char *reference;
	uint64_t limit = UINT64_MAX;
	bool brief = false;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = call_get_uint(c, "limit", &limit);
	if (r == 0)
		r = call_get_bool(c, "brief", &brief);
	if (r == 0)
		r = reference_resolve(c->host, reference, &found, &c->err);
	if (r == 0)
		r = found.sequence
			    ? log_volume(c, versions, &found, limit, brief)
			    : log_ancestors(c, versions, &found, limit);
	c->reply = json_pack("{s:o}", "versions", versions);
	if (r == 0 && !c->reply)
		r = err_oom(&c->err);
	return r;
}

int method_show(struct call *c)
{
	_cleanup_resolved_ struct resolved found = {0};
	_cleanup_(version_freep) struct version *v = NULL;
	const char *reference;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = reference_resolve(c->host, reference, &found, &c->err);
	if (r == 0)
		r = version_load(c->host, &found.version, &v, &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:o}", "version",
			     encode_version(v, found.volume, found.sequence));
	return c->reply ? 0 : err_oom(&c->err);
}
