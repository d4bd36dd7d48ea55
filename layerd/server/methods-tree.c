/* SPDX-License-Identifier: Apache-2.0 */
/* VersionEntries, VersionFile, Diff: into versions without a mount, and what a
 * session shows besides. */
#include "server/methods.h"

#include "server/batches.h"
#include "server/encode.h"
#include "server/sessions.h"
#include "util/cleanup.h"
#include "volume/diff.h"
#include "volume/draft.h"
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
	bool brief;
};

static int add_entry(const struct tree_node *node, const struct entry *e,
		     void *ctx, struct err *err)
{
	struct entries *entries = ctx;

	return batches_add(&entries->batches,
			   entries->brief ? encode_name(e)
					  : encode_node(entries->tree, node, e),
			   err);
}

int method_version_entries(struct call *c)
{
	_cleanup_(tree_freep) struct tree *t = NULL;
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct entries entries = {0};
	const char *reference;
	bool recursive = false;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = call_get_bool(c, "recursive", &recursive);
	if (r == 0)
		r = call_get_bool(c, "brief", &entries.brief);
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
		r = call_no_such_path(c, reference, (char *)path.data);
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

static int reply_version_file(struct call *c, const char *reference,
			      const char *path)
{
	_cleanup_(tree_freep) struct tree *t = NULL;
	struct tree_node node;
	struct entry e;
	int r = open_tree(c, reference, &t);

	if (r == 0)
		r = tree_find(t, path, &node, &c->err);
	if (r == -ENOENT && !c->err.code)
		return call_no_such_path(c, reference, path);
	if (r == 0)
		r = tree_entry(t, &node, path, &e, &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:o}", "entry", encode_node(t, &node, &e));
	if (!c->reply)
		return err_oom(&c->err);
	return open_data(c, t, &node);
}

/* The descriptor is of the file itself, whose first byte is its first. */
static int reply_live_file(struct call *c, const char *path)
{
	_cleanup_(session_freep) struct session *s = NULL;
	_cleanup_target_ struct target t = {0};
	struct entry e = {.path = path};
	struct stat st;
	int r = call_get_target(c, &t);

	if (r == 0)
		r = need_target_session(c, &t, &s);
	if (r == 0)
		r = draft_open_file(c->host, s, path, &c->progress, &st,
				    &c->reply_fd, &c->err);
	if (r == -ENOENT && !c->err.code)
		return err_set(&c->err, ENOENT,
			       "the mount of volume %s has no \"%s\" now",
			       s->volume, path);
	if (r < 0)
		return r;
	e.mode = st.st_mode;
	e.uid = st.st_uid;
	e.gid = st.st_gid;
	e.mtime = st.st_mtim.tv_sec;
	e.mtime_nsec = (uint32_t)st.st_mtim.tv_nsec;
	e.size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	c->reply = json_pack("{s:o}", "entry", encode_entry(&e));
	return c->reply ? 0 : err_oom(&c->err);
}

int method_version_file(struct call *c)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	const char *reference = NULL;
	int r = call_get_layer_path(c, &path);

	if (r == 0)
		r = call_get_string(c, "reference", &reference);
	if (r == 0 && !reference == !call_has(c, "target"))
		return err_set(&c->err, EINVAL,
			       "the parameter reference is needed, or target "
			       "in its place");
	if (r < 0)
		return r;
	return reference ? reply_version_file(c, reference, (char *)path.data)
			 : reply_live_file(c, (char *)path.data);
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

/* One side of a comparison: a version, or what a session shows now. */
struct sides {
	const char *from, *to; /* NULL: the session's side, or its version */
	struct target target;
	struct session *live;
	struct buf path;
	struct tree *trees[2];
};

static void sides_release(struct sides *s)
{
	for (size_t i = 0; i < 2; i++)
		tree_free(s->trees[i]);
	session_free(s->live);
	target_release(&s->target);
	buf_release(&s->path);
}
#define _cleanup_sides_ __attribute__((cleanup(sides_release)))

static int get_sides(struct call *c, struct sides *s)
{
	bool live = call_has(c, "target");
	int r = call_get_string(c, "from", &s->from);

	if (r == 0)
		r = call_get_string(c, "to", &s->to);
	if (r == 0)
		r = call_get_layer_path(c, &s->path);
	if (r < 0)
		return r;
	if (live && s->from && s->to)
		return err_set(&c->err, EINVAL,
			       "two versions and a target are one too many to "
			       "compare");
	if (!live && (!s->from || !s->to))
		return err_set(&c->err, EINVAL,
			       "the parameters from and to are needed, or a "
			       "target in the place of one");
	return live ? call_get_target(c, &s->target) : 0;
}

/* A place in the mount restricts the comparison to what is there. */
static int restrict_to_place(struct call *c, struct sides *s)
{
	_cleanup_buf_ struct buf inside = BUF_INIT;
	int r = session_inside(c, s->live, s->target.path, &inside);

	if (r < 0 || !inside.size)
		return r;
	if (!s->path.size) {
		r = buf_add(&s->path, inside.data, inside.size);
		return r < 0 || !buf_str(&s->path) ? err_oom(&c->err) : 0;
	}
	return strcmp((char *)s->path.data, (char *)inside.data) == 0
		       ? 0
		       : err_set(&c->err, EINVAL,
				 "the two places are at different paths; give "
				 "the path once, behind the reference or in "
				 "the mount");
}

/* The version that a session was sealed as last, or nothing. */
static int open_sealed(struct call *c, const struct session *s,
		       struct tree **ret)
{
	_cleanup_(version_freep) struct version *v = NULL;
	int r = s->has_sealed ? version_load(c->host, &s->sealed, &v, &c->err)
			      : version_new(&v);

	if (r == -ENOMEM)
		return err_oom(&c->err);
	return r < 0 ? r : tree_open(ret, c->host, v, &c->progress, &c->err);
}

static int open_live_sides(struct call *c, struct sides *s)
{
	const char *other = s->from ? s->from : s->to;
	int live = s->to ? 0 : 1;
	int r = need_target_session(c, &s->target, &s->live);

	if (r == 0 && s->target.path)
		r = restrict_to_place(c, s);
	/* First, as long as it is known which seal it follows. */
	if (r == 0)
		r = other ? open_tree(c, other, &s->trees[1 - live])
			  : open_sealed(c, s->live, &s->trees[1 - live]);
	if (r == 0)
		r = tree_open_live(&s->trees[live], c->host, s->live,
				   &c->progress, &c->err);
	return r;
}

static int find_differences(struct call *c, bool renames,
			    struct diff_items **ret, json_t **ret_common)
{
	_cleanup_sides_ struct sides s = {0};
	int r = get_sides(c, &s);

	if (r == 0 && (s.target.path || s.target.volume))
		r = open_live_sides(c, &s);
	else if (r == 0)
		r = open_tree(c, s.from, &s.trees[0]);
	if (r == 0 && !s.trees[1])
		r = open_tree(c, s.to, &s.trees[1]);
	if (r == 0)
		r = diff_trees(ret, s.trees[0], s.trees[1], (char *)s.path.data,
			       renames, &c->err);
	if (r < 0)
		return r;
	*ret_common = json_object();
	if (*ret_common && s.live)
		(void)json_object_set_new(
			*ret_common, "sealed",
			s.live->has_sealed ? encode_digest(&s.live->sealed)
					   : json_null());
	return *ret_common ? 0 : err_oom(&c->err);
}

int method_diff(struct call *c)
{
	_cleanup_(diff_items_freep) struct diff_items *items = NULL;
	struct batches batches;
	json_t *common = NULL;
	bool renames = true;
	int r = call_get_bool(c, "renames", &renames);

	/* No session stays locked while a slow reader takes the answer. */
	if (r == 0)
		r = find_differences(c, renames, &items, &common);
	if (r < 0)
		return r;
	r = batches_init(&batches, c, "differences", common);
	if (r == 0)
		r = diff_items_each(items, add_difference, &batches, &c->err);
	return batches_finish(&batches, r);
}
