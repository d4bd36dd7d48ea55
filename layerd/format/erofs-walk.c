/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The walk keeps one frame for each directory on the way down, and for each
 * file with several names where its first one is. That place is remembered as
 * a chain of directory names (which point into the image), not as a path: a
 * hostile image has room for many links in very deep directories.
 */

#include "format/erofs-walk.h"

#include "util/table.h"

#include <errno.h>
#include <string.h>

#define NO_PLACE UINT32_MAX

/* A directory that was walked and holds files with several names. */
struct place {
	const char *name;
	uint32_t length;
	uint32_t parent; /* NO_PLACE: where the walk began */
};

struct link {
	const char *name;
	uint32_t length;
	uint32_t place;
	uint64_t nid;
	uint32_t seen;
	uint32_t nlink;
};

struct frame {
	struct erofs_object dir;
	uint64_t parent; /* nid */
	const char *name;
	uint32_t length;
	uint32_t path_length;
	uint32_t place;

	uint64_t next_block;
	struct erofs_block block;
	uint32_t next_item;
	struct erofs_item last;

	uint32_t subdirectories;
	unsigned dots;	/* bit 0: "." was seen, bit 1: ".." */
	bool origin;	/* marked as holding whiteouts */
	bool whiteouts; /* holds some */
};

struct walk {
	const struct erofs_view *view;
	bool targets;
	erofs_visit_fn fn;
	void *ctx;
	struct err *err;

	struct buf frames; /* struct frame */
	struct buf places; /* struct place */
	struct buf links;  /* struct link */
	struct table link_table;
	struct erofs_entry_buf entry;

	char *path;
	uint32_t start_length; /* of the path the walk began with */
	char *target;
	uint64_t budget; /* bytes of the image that may still be decoded */
};

static void walk_release(struct walk *w)
{
	buf_release(&w->frames);
	buf_release(&w->places);
	buf_release(&w->links);
	table_release(&w->link_table);
	erofs_entry_buf_release(&w->entry);
	free(w->path);
	free(w->target);
}

static struct frame *top(struct walk *w)
{
	return (struct frame *)(w->frames.data + w->frames.size) - 1;
}

static struct link *link_at(const struct walk *w, uint32_t index)
{
	return (struct link *)w->links.data + index;
}

static bool link_equal(const void *key, uint32_t index, void *ctx)
{
	return link_at(ctx, index)->nid == *(const uint64_t *)key;
}

/* Makes the place of the directory on top and of those above it. */
static int top_place(struct walk *w, uint32_t *ret)
{
	struct frame *frames = (struct frame *)w->frames.data;
	size_t n = w->frames.size / sizeof(*frames);
	size_t i = n - 1;

	/* The first frame is where the walk began and needs none. */
	while (i && frames[i].place == NO_PLACE)
		i--;
	for (i++; i < n; i++) {
		struct place p = {
			.name = frames[i].name,
			.length = frames[i].length,
			.parent = frames[i - 1].place,
		};
		size_t index = w->places.size / sizeof(p);

		if (index >= NO_PLACE || buf_add(&w->places, &p, sizeof(p)) < 0)
			return -ENOMEM;
		frames[i].place = (uint32_t)index;
	}
	*ret = frames[n - 1].place;
	return 0;
}

static void prepend(struct walk *w, uint32_t *at, const char *s,
		    uint32_t length)
{
	if (*at != ENTRY_PATH_MAX)
		w->target[--*at] = '/';
	*at -= length;
	memcpy(w->target + *at, s, length);
}

/* The path of a file's first name, which fitted when it was visited. */
static const char *link_path(struct walk *w, const struct link *l)
{
	const struct place *places = (struct place *)w->places.data;
	uint32_t at = ENTRY_PATH_MAX;

	if (!w->target)
		w->target = malloc(ENTRY_PATH_MAX + 1);
	if (!w->target)
		return NULL;
	w->target[at] = 0;
	prepend(w, &at, l->name, l->length);
	for (uint32_t p = l->place; p != NO_PLACE; p = places[p].parent)
		prepend(w, &at, places[p].name, places[p].length);
	if (w->start_length)
		prepend(w, &at, w->path, w->start_length);
	return w->target + at;
}

/* Remembers where a file with several names was met; *ret is NULL then. */
static int find_link(struct walk *w, const struct erofs_object *o,
		     const struct erofs_item *item, struct link **ret)
{
	uint64_t hash = table_hash_int(o->nid);
	uint32_t found =
		table_find(&w->link_table, hash, &o->nid, link_equal, w);
	struct link l = {
		.name = item->name,
		.length = item->length,
		.nid = o->nid,
		.seen = 1,
		.nlink = o->nlink,
	};
	size_t index = w->links.size / sizeof(l);

	*ret = NULL;
	if (found != TABLE_NONE) {
		*ret = link_at(w, found);
		if ((*ret)->seen++ == o->nlink)
			return erofs_damaged(w->err, o->nid,
					     "has more names than links");
		return 0;
	}
	if (index >= TABLE_NONE || top_place(w, &l.place) < 0 ||
	    table_add(&w->link_table, hash, (uint32_t)index) < 0 ||
	    buf_add(&w->links, &l, sizeof(l)) < 0)
		return err_oom(w->err);
	return 0;
}

static int spend(struct walk *w, const struct erofs_object *o)
{
	uint64_t cost =
		o->end - o->nid * EROFS_SLOT + o->flat.blocks * EROFS_BLOCK;

	if (cost > w->budget)
		return erofs_damaged(w->err, o->nid,
				     "is in several places at once");
	w->budget -= cost;
	return 0;
}

/* Hands o to the visitor under the path that is set. */
static int visit(struct walk *w, const struct erofs_object *o)
{
	int r = spend(w, o);

	if (r < 0)
		return r;
	r = erofs_object_entry(w->view, o, w->path, &w->entry, w->err);
	if (r < 0)
		return r;
	return w->fn(&w->entry.entry, o, true, w->ctx, w->err);
}

static int visit_again(struct walk *w, const struct erofs_object *o,
		       const struct link *l)
{
	struct entry e = {
		.path = w->path,
		.flags = ENTRY_HARDLINK,
		.mode = o->mode,
		.uid = o->uid,
		.gid = o->gid,
		.mtime = o->mtime,
		.mtime_nsec = o->mtime_nsec,
		.target = w->targets ? link_path(w, l) : "",
		.size = S_ISREG(o->mode) ? o->size : 0,
	};

	if (!e.target)
		return err_oom(w->err);
	return w->fn(&e, o, false, w->ctx, w->err);
}

static int enter(struct walk *w, const struct erofs_object *o, uint64_t parent,
		 const struct erofs_item *item)
{
	struct frame f = {
		.dir = *o,
		.parent = parent,
		.name = item ? item->name : NULL,
		.length = item ? item->length : 0,
		.path_length = (uint32_t)strlen(w->path),
		.place = NO_PLACE,
		.origin = w->entry.origin,
	};

	if (buf_add(&w->frames, &f, sizeof(f)) < 0)
		return err_oom(w->err);
	return 0;
}

/* "." and ".." must be what they say. */
static int take_dots(struct walk *w, struct frame *f,
		     const struct erofs_item *item)
{
	uint64_t nid = item->length == 1 ? f->dir.nid : f->parent;

	if (item->nid != nid || item->type != erofs_file_type(S_IFDIR))
		return erofs_damaged(w->err, f->dir.nid,
				     "is a directory with a wrong \".\" or "
				     "\"..\"");
	f->dots |= item->length;
	return 0;
}

static int append_name(struct walk *w, const struct frame *f,
		       const struct erofs_item *item)
{
	uint32_t at = f->path_length;

	if (at + 1 + item->length > ENTRY_PATH_MAX)
		return erofs_damaged(w->err, f->dir.nid,
				     "is a directory with a path too long");
	if (at)
		w->path[at++] = '/';
	memcpy(w->path + at, item->name, item->length);
	w->path[at + item->length] = 0;
	return 0;
}

/* One name of the directory on top, which moves when a frame is added. */
static int take_item(struct walk *w, const struct erofs_item *item)
{
	struct frame *f = top(w);
	uint64_t parent = f->dir.nid;
	struct erofs_object o;
	int r;

	if (item->name[0] == '.' &&
	    (item->length == 1 || (item->length == 2 && item->name[1] == '.')))
		return take_dots(w, f, item);
	r = append_name(w, f, item);
	if (r < 0)
		return r;
	r = erofs_object_read(w->view, item->nid, &o, w->err);
	if (r < 0)
		return r;
	if (item->type != erofs_file_type(o.mode))
		return erofs_damaged(w->err, item->nid,
				     "is not of the type its directory says");
	if (erofs_object_is_whiteout(&o))
		f->whiteouts = true;
	if (S_ISDIR(o.mode)) {
		f->subdirectories++;
	} else if (o.nlink > 1) {
		struct link *l;

		r = find_link(w, &o, item, &l);
		if (r < 0)
			return r;
		if (l)
			return visit_again(w, &o, l);
	}
	r = visit(w, &o);
	if (r < 0 || !S_ISDIR(o.mode))
		return r;
	return enter(w, &o, parent, item);
}

static int leave(struct walk *w)
{
	const struct frame *f = top(w);

	if (f->dots != 3)
		return erofs_damaged(w->err, f->dir.nid,
				     "is a directory without \".\" or \"..\"");
	if (f->dir.nlink != f->subdirectories + 2u)
		return erofs_damaged(w->err, f->dir.nid,
				     "is a directory with a wrong link count");
	if (f->origin != f->whiteouts)
		return erofs_damaged(w->err, f->dir.nid,
				     "is a directory whose whiteouts and mark "
				     "do not agree");
	w->frames.size -= sizeof(*f);
	return 0;
}

/* The next name of the directory on top; 1, or 0 at its end. */
static int next_item(struct walk *w, struct erofs_item *ret)
{
	struct frame *f = top(w);
	uint32_t used = 0;
	int r;

	if (f->next_item == f->block.n) {
		if (f->next_block == erofs_block_count(&f->dir))
			return 0;
		used = f->block.used;
		r = erofs_block_read(w->view, &f->dir, f->next_block, &f->block,
				     w->err);
		if (r < 0)
			return r;
		f->next_block++;
		f->next_item = 0;
	}
	*ret = erofs_block_item(&f->block, f->next_item++);
	if (f->last.name && erofs_name_compare(f->last.name, f->last.length,
					       ret->name, ret->length) >= 0)
		return erofs_damaged(w->err, f->dir.nid,
				     "is a directory out of order");
	if (used &&
	    used + sizeof(struct erofs_dirent) + ret->length <= EROFS_BLOCK)
		return erofs_damaged(w->err, f->dir.nid,
				     "is a directory with a block not full");
	f->last = *ret;
	return 1;
}

static int check_links(struct walk *w)
{
	size_t n = w->links.size / sizeof(struct link);

	for (uint32_t i = 0; i < n; i++)
		if (link_at(w, i)->seen != link_at(w, i)->nlink)
			return erofs_damaged(w->err, link_at(w, i)->nid,
					     "has fewer names than links");
	return 0;
}

static int walk_all(struct walk *w, uint64_t nid, uint64_t parent)
{
	struct erofs_object o;
	struct erofs_item item;
	int r;

	r = erofs_object_read(w->view, nid, &o, w->err);
	if (r < 0)
		return r;
	r = visit(w, &o);
	if (r < 0 || !S_ISDIR(o.mode))
		return r;
	r = enter(w, &o, parent, NULL);
	while (r >= 0 && w->frames.size) {
		r = next_item(w, &item);
		if (r < 0)
			return r;
		r = r ? take_item(w, &item) : leave(w);
	}
	return r;
}

int erofs_walk(const struct erofs_view *v, uint64_t nid, uint64_t parent,
	       const char *path, bool whole, bool targets, erofs_visit_fn fn,
	       void *ctx, struct err *err)
{
	_cleanup_(walk_release) struct walk w = {
		.view = v,
		.targets = targets,
		.fn = fn,
		.ctx = ctx,
		.err = err,
		.start_length = (uint32_t)strlen(path),
		.budget = v->size,
	};
	int r;

	w.path = malloc(ENTRY_PATH_MAX + 1);
	if (!w.path)
		return err_oom(err);
	memcpy(w.path, path, w.start_length + 1);
	r = walk_all(&w, nid, parent);
	if (r >= 0 && whole)
		r = check_links(&w);
	return r;
}
