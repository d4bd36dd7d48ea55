/* SPDX-License-Identifier: Apache-2.0 */
/* LayerEntries, LayerOpen, LayerVerify, Status: what is underneath. */
#include "server/methods.h"

#include "format/erofs-reader.h"
#include "server/batches.h"
#include "server/encode.h"
#include "util/cleanup.h"
#include "util/fd.h"
#include "util/release.h"
#include "volume/mounting.h"
#include "volume/rebuild.h"
#include "volume/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/utsname.h>

/* The first digits of a digest, with or without "sha256:", or NULL. */
static const char *digest_digits(const char *text)
{
	size_t n;

	if (strncmp(text, "sha256:", 7) == 0)
		text += 7;
	n = strspn(text, "0123456789abcdef");
	return text[n] == 0 && n >= 8 && n <= 64 ? text : NULL;
}

static int find_by_reference(struct call *c, const char *text,
			     struct version_layer *ret)
{
	_cleanup_resolved_ struct resolved found = {0};
	_cleanup_(version_freep) struct version *v = NULL;
	int r = reference_resolve(c->host, text, &found, &c->err);

	if (r == 0)
		r = version_load(c->host, &found.version, &v, &c->err);
	if (r < 0)
		return r;
	if (v->n_layers == 0)
		return err_set(&c->err, ENOENT, "%s has no layers", text);
	*ret = v->layers[v->n_layers - 1];
	return 0;
}

static int find_layer(struct call *c, struct version_layer *ret)
{
	const char *text, *digits;
	int r = call_need_string(c, "layer", &text);

	if (r < 0)
		return r;
	digits = digest_digits(text);
	if (!digits)
		return find_by_reference(c, text, ret);
	r = catalog_find_layer(c->host->catalog, digits, &ret->tar,
			       &ret->object, &ret->tar_size, &c->err);
	if (r == -ENOENT && host_complete_catalog(c->host))
		r = catalog_find_layer(c->host->catalog, digits, &ret->tar,
				       &ret->object, &ret->tar_size, &c->err);
	/* It may be a version's digest, or a volume's name. */
	if (r == -ENOENT)
		return find_by_reference(c, text, ret);
	if (r == -EEXIST)
		return err_set(&c->err, EINVAL,
			       "several layers' digests begin with %s; give "
			       "more of its digits",
			       digits);
	return r;
}

static int add_entry(const struct entry *e, uint64_t nid, void *ctx,
		     struct err *err)
{
	(void)nid;
	return batches_add(ctx, encode_entry(e), err);
}

int method_layer_entries(struct call *c)
{
	_cleanup_layer_object_ struct layer_object object = {0};
	_cleanup_(erofs_reader_freep) struct erofs_reader *reader = NULL;
	_cleanup_buf_ struct buf index = BUF_INIT;
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct batches entries;
	struct version_layer layer;
	int r = find_layer(c, &layer);

	if (r == 0)
		r = call_get_layer_path(c, &path);
	if (r == 0)
		r = cache_get_object(c->host->cache, c->host->store, &layer.tar,
				     &layer.object, &object, &index, &c->err);
	if (r == 0)
		r = erofs_reader_open(&reader, index.data, index.size, &c->err);
	if (r < 0)
		return r;
	r = batches_init(
		&entries, c, "entries",
		json_pack("{s:o}", "digest", encode_digest(&layer.tar)));
	if (r == 0)
		r = erofs_reader_walk(reader, (char *)path.data, add_entry,
				      &entries, &c->err);
	if (r == -ENOENT)
		err_set(&c->err, r,
			"the layer has no \"%s\"; \"layerctl layer ls\" lists "
			"what it has",
			(char *)path.data);
	return batches_finish(&entries, r);
}

int method_layer_open(struct call *c)
{
	_cleanup_cache_layer_ struct cache_layer cached = CACHE_LAYER_INIT;
	struct version_layer layer;
	int r = find_layer(c, &layer);

	if (r == 0)
		r = mounting_open_layer(c->host, &layer, &c->progress, &cached,
					&c->err);
	if (r < 0)
		return r;
	c->reply_fd = TAKE_FD(cached.tar_fd);
	c->reply = json_pack("{s:o, s:I}", "digest", encode_digest(&layer.tar),
			     "size", (json_int_t)layer.tar_size);
	return c->reply ? 0 : err_oom(&c->err);
}

int method_layer_verify(struct call *c)
{
	struct version_layer layer;
	struct verified verified;
	int r = find_layer(c, &layer);

	if (r == 0)
		r = layer_verify(c->host, &layer.tar, &layer.object,
				 &c->progress, &verified, &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:o, s:I, s:I, s:I, s:I}", "digest",
			     encode_digest(&layer.tar), "size",
			     (json_int_t)verified.tar_size, "chunks",
			     (json_int_t)verified.chunks, "packs",
			     (json_int_t)verified.packs, "entries",
			     (json_int_t)verified.entries);
	return c->reply ? 0 : err_oom(&c->err);
}

static int count_volume(const char *name, const struct volume *v,
			const struct err *problem, void *ctx)
{
	(void)name;
	(void)v;
	(void)problem;
	++*(json_int_t *)ctx;
	return 0;
}

static int count_session(const char *id, struct session *s,
			 const struct err *problem, void *ctx)
{
	(void)id;
	(void)s;
	(void)problem;
	++*(json_int_t *)ctx;
	return 0;
}

int method_status(struct call *c)
{
	uint64_t packs, chunks, stored, layers, cached;
	json_int_t volumes = 0, sessions = 0;
	unsigned int high = 0, low = 0;
	struct host *h = c->host;
	struct utsname name;
	int r = volume_each(h, count_volume, &volumes, &c->err);

	if (r == 0)
		r = session_each(h, count_session, &sessions, &c->err);
	if (r == 0)
		r = catalog_pack_totals(h->catalog, &packs, &chunks, &stored,
					&c->err);
	if (r == 0)
		r = cache_totals(h->cache, &layers, &cached, &c->err);
	if (r < 0)
		return r;
	if (uname(&name) < 0)
		return err_errno(&c->err, errno, "cannot examine the kernel");
	(void)sscanf(name.release, "%u.%u", &high, &low);
	c->reply = json_pack(
		"{s:s, s:i, s:o, s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:s, s:b}",
		"version", release_text, "pid", (int)getpid(), "state",
		encode_bytes(h->state_dir), "runtime",
		encode_bytes(h->runtime_dir), "store", store_name(h->store),
		"store_id", store_id(h->store), "volumes", volumes, "sessions",
		sessions, "packs", (json_int_t)packs, "chunks",
		(json_int_t)chunks, "stored", (json_int_t)stored,
		"cached_layers", (json_int_t)layers, "cached",
		(json_int_t)cached, "kernel", name.release, "file_backed_erofs",
		(int)(high > 6 || (high == 6 && low >= 12)));
	return c->reply ? 0 : err_oom(&c->err);
}
