/* SPDX-License-Identifier: Apache-2.0 */
/* VersionEntries, VersionFile, Diff: into versions without a mount. */
#include "server/methods.h"

#include "server/batches.h"
#include "server/encode.h"
#include "util/cleanup.h"
#include "volume/diff.h"
#include "volume/mounting.h"
#include "volume/tree-walk.h"

#include <errno.h>
#include <sys/stat.h>

static int open_tree(struct call *c, const char *reference, struct tree **ret)
{
	_cleanup_resolved_ struct resolved found = {0};
	_cleanup_(version_freep) struct version *v = NULL;
	int r = reference_resolve(c->host, reference, &found, &c->err);

	if (r == 0)
		r = version_load(c->host, &found.version, &v, &c->err);
	if (r == 0)
		r = tree_open(ret, c->host, v, &c->progress, &c->err);
	return r;
}

static json_t *encode_node(struct tree *t, const struct tree_node *node,
			   const struct entry *e)
{
	json_t *o = encode_entry(e);

	if (o && tree_n_layers(t))
		(void)json_object_set_new(
			o, "layer",
			encode_digest(&tree_layer(t, node->part.layer)->tar));
	return o;
}

struct entries {
	struct batches batches;
	struct tree *tree;
};

static int add_entry(const struct tree_node *node, const struct entry *e,
		     void *ctx, struct err *err)
{
	struct entries *entries = ctx;

	return batches_add(&entries->batches,
			   encode_node(entries->tree, node, e), err);
}

static int no_such_path(struct call *c, const char *reference, const char *path)
{
	return err_set(&c->err, ENOENT,
		       "%s has no \"%s\"; \"layerctl ls %s:/\" lists what it "
		       "has",
		       reference, path, reference);
}

int method_version_entries(struct call *c)
{
	_cleanup_(tree_freep) struct tree *t = NULL;
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct entries entries;
	const char *reference;
	bool recursive = false;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = call_get_bool(c, "recursive", &recursive);
	if (r == 0)
		r = call_get_layer_path(c, &path);
	if (r == 0)
		r = open_tree(c, reference, &t);
	if (r < 0)
		return r;
	entries.tree = t;
	r = batches_init(&entries.batches, c, "entries", NULL);
	if (r == 0)
		r = tree_walk(t, (char *)path.data, recursive, add_entry,
			      &entries, &c->err);
	if (r == -ENOENT && !c->err.code)
		r = no_such_path(c, reference, (char *)path.data);
	return batches_finish(&entries.batches, r);
}

/* What is no file has no data to hand out. */
static int open_data(struct call *c, struct tree *t,
		     const struct tree_node *node)
{
	_cleanup_cache_layer_ struct cache_layer cached = CACHE_LAYER_INIT;
	int r;

	if (!S_ISREG(node->mode))
		return 0;
	r = mounting_open_layer(c->host, tree_layer(t, node->part.layer),
				&c->progress, &cached, &c->err);
	if (r == 0)
		c->reply_fd = TAKE_FD(cached.tar_fd);
	return r;
}

int method_version_file(struct call *c)
{
	_cleanup_(tree_freep) struct tree *t = NULL;
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct tree_node node;
	struct entry e;
	const char *reference;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = call_get_layer_path(c, &path);
	if (r == 0)
		r = open_tree(c, reference, &t);
	if (r == 0)
		r = tree_find(t, (char *)path.data, &node, &c->err);
	if (r == -ENOENT && !c->err.code)
		return no_such_path(c, reference, (char *)path.data);
	if (r == 0)
		r = tree_entry(t, &node, (char *)path.data, &e, &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:o}", "entry", encode_node(t, &node, &e));
	if (!c->reply)
		return err_oom(&c->err);
	return open_data(c, t, &node);
}

static json_t *encode_what(uint32_t what)
{
	static const char *const names[] = {"type",  "content", "mode",
					    "owner", "time",	"xattr"};
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (what & 1u << i)
			(void)json_array_append_new(list,
						    json_string(names[i]));
	return list;
}

static int add_difference(const struct diff_item *item, void *ctx,
			  struct err *err)
{
	static const char *const kinds[] = {
		[DIFF_ADDED] = "added",
		[DIFF_REMOVED] = "removed",
		[DIFF_CHANGED] = "changed",
		[DIFF_RENAMED] = "renamed",
	};
	json_t *o =
		json_pack("{s:s, s:o, s:o, s:o}", "kind", kinds[item->kind],
			  "path", encode_bytes(item->path), "from",
			  item->from ? encode_bytes(item->from) : json_null(),
			  "what", encode_what(item->what));

	if (o && item->before)
		(void)json_object_update_new(
			o, json_pack("{s:s, s:I}", "before",
				     encode_kind(item->before), "size_before",
				     (json_int_t)item->before_size));
	if (o && item->after)
		(void)json_object_update_new(
			o, json_pack("{s:s, s:I}", "after",
				     encode_kind(item->after), "size_after",
				     (json_int_t)item->after_size));
	return batches_add(ctx, o, err);
}

int method_diff(struct call *c)
{
	_cleanup_(tree_freep) struct tree *before = NULL;
	_cleanup_(tree_freep) struct tree *after = NULL;
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct batches batches;
	const char *from, *to;
	bool renames = true;
	int r = call_need_string(c, "from", &from);

	if (r == 0)
		r = call_need_string(c, "to", &to);
	if (r == 0)
		r = call_get_bool(c, "renames", &renames);
	if (r == 0)
		r = call_get_layer_path(c, &path);
	if (r == 0)
		r = open_tree(c, from, &before);
	if (r == 0)
		r = open_tree(c, to, &after);
	if (r < 0)
		return r;
	r = batches_init(&batches, c, "differences", NULL);
	if (r == 0)
		r = diff_trees(before, after, (char *)path.data, renames,
			       add_difference, &batches, &c->err);
	return batches_finish(&batches, r);
}
