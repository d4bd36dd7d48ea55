/* SPDX-License-Identifier: Apache-2.0 */
/* Restore, ExportTar, ExportOci: versions to others, without a mount. */
#include "server/methods.h"

#include "server/encode.h"
#include "util/cleanup.h"
#include "volume/export-oci.h"
#include "volume/export-tar.h"
#include "volume/restore.h"

#include <errno.h>

/* What a call of this file is about. */
struct source {
	const char *reference;
	struct buf path;
	struct resolved found;
	struct version *version;
	struct tree *tree;
	struct caller caller;
};
#define _cleanup_source_ __attribute__((cleanup(source_release)))

static void source_release(struct source *s)
{
	buf_release(&s->path);
	resolved_release(&s->found);
	version_freep(&s->version);
	tree_freep(&s->tree);
	caller_release(&s->caller);
}

static int open_source(struct call *c, struct source *s)
{
	int r = call_need_string(c, "reference", &s->reference);

	if (r == 0)
		r = call_get_layer_path(c, &s->path);
	if (r == 0)
		r = call_get_caller(c, &s->caller);
	if (r == 0 && c->fd < 0)
		r = err_set(&c->err, EINVAL,
			    "no descriptor to write to was passed along");
	if (r == 0)
		r = reference_resolve(c->host, s->reference, &s->found,
				      &c->err);
	if (r == 0)
		r = version_load(c->host, &s->found.version, &s->version,
				 &c->err);
	return r;
}

static int open_tree(struct call *c, struct source *s)
{
	int r = open_source(c, s);

	return r < 0 ? r
		     : tree_open(&s->tree, c->host, s->version, &c->progress,
				 &c->err);
}

/* Gives -ENOENT of a path its sentence. */
static int explain(struct call *c, const struct source *s, int r)
{
	if (r != -ENOENT || c->err.code)
		return r;
	return call_no_such_path(c, s->reference, (char *)s->path.data);
}

static json_t *encode_restored(const struct source *s,
			       const struct restore_result *result)
{
	return json_pack("{s:o, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I}}",
			 "version", encode_digest(&s->found.version), "entries",
			 (json_int_t)result->entries, "bytes",
			 (json_int_t)result->bytes, "omitted", "devices",
			 (json_int_t)result->devices, "set_ids",
			 (json_int_t)result->set_ids, "attributes",
			 (json_int_t)result->attributes, "links",
			 (json_int_t)result->links, "directories",
			 (json_int_t)result->directories);
}

int method_restore(struct call *c)
{
	_cleanup_source_ struct source s = {0};
	_cleanup_buf_ struct buf name = BUF_INIT;
	struct restore_request request = {
		.dir_fd = c->fd, .caller = &s.caller, .progress = &c->progress};
	struct restore_result result;
	int r = call_need_string(c, "to", &request.to);

	if (r == 0)
		r = call_get_name(c, &name, &request.name);
	if (r == 0)
		r = call_get_bool(c, "overwrite", &request.overwrite);
	if (r == 0)
		r = open_tree(c, &s);
	if (r < 0)
		return r;
	request.tree = s.tree;
	request.path = (char *)s.path.data;
	r = explain(c, &s, restore_tree(c->host, &request, &result, &c->err));
	if (r < 0)
		return r;
	c->reply = encode_restored(&s, &result);
	return c->reply ? 0 : err_oom(&c->err);
}

int method_export_tar(struct call *c)
{
	_cleanup_source_ struct source s = {0};
	struct export_tar request = {
		.fd = c->fd, .caller = &s.caller, .progress = &c->progress};
	struct export_tar_result result;
	int r = open_tree(c, &s);

	if (r < 0)
		return r;
	request.tree = s.tree;
	request.path = (char *)s.path.data;
	r = explain(c, &s, export_tar(c->host, &request, &result, &c->err));
	if (r < 0)
		return r;
	c->reply = json_pack("{s:o, s:I, s:I}", "version",
			     encode_digest(&s.found.version), "entries",
			     (json_int_t)result.entries, "size",
			     (json_int_t)result.size);
	return c->reply ? 0 : err_oom(&c->err);
}

/* By where the version is, or by where it was sealed. */
static int name_image(const struct source *s, char **ret)
{
	const struct volume *volume = s->found.volume;

	return asprintf(ret, "%s-%llu",
			volume ? volume->name : s->version->volume,
			(unsigned long long)(volume ? s->found.sequence
						    : s->version->sequence)) < 0
		       ? -ENOMEM
		       : 0;
}

int method_export_oci(struct call *c)
{
	_cleanup_source_ struct source s = {0};
	_cleanup_buf_ struct buf name = BUF_INIT;
	_cleanup_free_ char *named = NULL;
	struct export_oci request = {
		.dir_fd = c->fd, .caller = &s.caller, .progress = &c->progress};
	struct export_oci_result result;
	int r = call_need_string(c, "to", &request.to);

	if (r == 0)
		r = call_get_name(c, &name, &request.name);
	if (r == 0)
		r = call_get_string(c, "image", &request.ref);
	if (r == 0)
		r = call_get_bool(c, "force", &request.force);
	if (r == 0)
		r = open_source(c, &s);
	if (r == 0 && !request.ref) {
		if (name_image(&s, &named) < 0)
			return err_oom(&c->err);
		request.ref = named;
	}
	if (r == 0)
		r = export_oci_check_ref(request.ref, &c->err);
	if (r < 0)
		return r;
	request.version = s.version;
	r = export_oci(c->host, &request, &result, &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:o, s:s, s:I, s:I}", "version",
			     encode_digest(&s.found.version), "image",
			     request.ref, "blobs", (json_int_t)result.blobs,
			     "bytes", (json_int_t)result.bytes);
	return c->reply ? 0 : err_oom(&c->err);
}
