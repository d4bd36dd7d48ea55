/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging, as overlayfs does it (Documentation/filesystems/overlayfs.rst): a
 * name is what the topmost layer has that has it; directories of one name are
 * merged downwards until a layer has none, or something else, or hides what is
 * below by a whiteout or by being opaque.
 */
#include "volume/tree.h"

#include "util/cleanup.h"
#include "volume/session.h"
#include "volume/tree-private.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static struct tree_index *index_new(void)
{
	struct tree_index *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->users = 1;
	x->cached = CACHE_LAYER_INIT;
	return x;
}

static void index_drop(struct tree_index *x)
{
	if (!x || --x->users)
		return;
	erofs_reader_free(x->reader);
	draft_free(x->draft);
	buf_release(&x->data);
	layer_object_release(&x->object);
	cache_layer_release(&x->cached);
	free(x);
}

struct tree *tree_free(struct tree *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; t->indexes && i < t->n; i++)
		index_drop(t->indexes[i]);
	free(t->indexes);
	free(t->layers);
	free(t);
	return NULL;
}

void tree_freep(struct tree **t)
{
	*t = tree_free(*t);
}

/* From the cache where it is, as it was checked when it came there. */
static int open_index(struct tree_index *x, struct host *h,
		      const struct version_layer *layer, struct err *err)
{
	_cleanup_cache_layer_ struct cache_layer cached = CACHE_LAYER_INIT;
	_cleanup_layer_object_ struct layer_object object = {0};
	int r = cache_layer_open(h->cache, &layer->tar, &cached, err);

	if (r == 0 && digest_equal(&cached.object, &layer->object))
		return erofs_reader_open_fd(&x->reader, cached.index_fd, err);
	if (r < 0)
		return r;
	r = cache_get_object(h->cache, h->store, &layer->tar, &layer->object,
			     &object, &x->data, err);
	if (r == 0)
		r = erofs_reader_open(&x->reader, x->data.data, x->data.size,
				      err);
	if (r == 0)
		r = erofs_reader_check(x->reader, &layer->tar, layer->tar_size,
				       err);
	return r;
}

static struct tree_index *find_index(const struct tree *like,
				     const struct version_layer *layer)
{
	for (size_t i = 0; like && i < like->n; i++)
		if (digest_equal(&like->layers[i].object, &layer->object) &&
		    !like->indexes[i]->draft)
			return like->indexes[i];
	return NULL;
}

static int open_layers(struct tree **ret, struct host *h,
		       const struct version_layer *layers, size_t n,
		       const struct tree *like, const struct progress *progress,
		       struct err *err)
{
	_cleanup_(tree_freep) struct tree *t = calloc(1, sizeof(*t));
	int r = 0;

	if (!t)
		return err_oom(err);
	t->host = h;
	t->progress = progress;
	t->layers = calloc(n + 1, sizeof(*t->layers));
	t->indexes = calloc(n + 1, sizeof(struct tree_index *));
	if (!t->layers || !t->indexes)
		return err_oom(err);
	t->n = n;
	for (size_t i = 0; r == 0 && i < n; i++) {
		t->layers[i] = layers[i];
		t->indexes[i] = find_index(like, &layers[i]);
		if (t->indexes[i]) {
			t->indexes[i]->users++;
			continue;
		}
		t->indexes[i] = index_new();
		if (!t->indexes[i])
			return err_oom(err);
		r = progress_report(h, progress, "fetch", 0, 0, i);
		if (r == 0)
			r = open_index(t->indexes[i], h, &t->layers[i], err);
	}
	if (r == 0)
		*ret = TAKE_PTR(t);
	return r;
}

int tree_open_layers(struct tree **ret, struct host *h,
		     const struct version_layer *layers, size_t n,
		     const struct progress *progress, struct err *err)
{
	return open_layers(ret, h, layers, n, NULL, progress, err);
}

int tree_open(struct tree **ret, struct host *h, const struct version *v,
	      const struct progress *progress, struct err *err)
{
	return open_layers(ret, h, v->layers, v->n_layers, NULL, progress, err);
}

int tree_open_like(struct tree **ret, struct host *h, const struct version *v,
		   const struct tree *like, const struct progress *progress,
		   struct err *err)
{
	return open_layers(ret, h, v->layers, v->n_layers, like, progress, err);
}

/* Takes both over when it succeeds. */
static int add_draft(struct tree *t, struct draft *draft,
		     struct erofs_reader *reader)
{
	struct tree_index *x = index_new();

	if (!x)
		return -ENOMEM;
	x->reader = reader;
	x->draft = draft;
	t->indexes[t->n++] = x;
	return 0;
}

int tree_open_live(struct tree **ret, struct host *h, struct session *s,
		   const struct progress *progress, struct err *err)
{
	_cleanup_(tree_freep) struct tree *t = NULL;
	_cleanup_(draft_freep) struct draft *draft = NULL;
	_cleanup_(erofs_reader_freep) struct erofs_reader *reader = NULL;
	int r = draft_open(&draft, h, s, progress, &reader, err);

	/* Only now it is known what the session goes by: see unsealed_scan().
	 */
	if (r == 0)
		r = tree_open_layers(&t, h, s->sealed_layers,
				     s->n_sealed_layers, progress, err);
	if (r < 0)
		return r;
	if (reader) {
		if (add_draft(t, draft, reader) < 0)
			return err_oom(err);
		draft = NULL;
		reader = NULL;
	}
	*ret = TAKE_PTR(t);
	return 0;
}

size_t tree_n_layers(const struct tree *t)
{
	return t->n;
}

int tree_report(const struct tree *t, const char *stage, uint64_t files)
{
	return progress_report(t->host, t->progress, stage, 0, 0, files);
}

const struct version_layer *tree_layer(const struct tree *t, uint32_t layer)
{
	return &t->layers[layer];
}

static struct erofs_reader *reader_of(struct tree *t, uint32_t layer)
{
	return t->indexes[layer]->reader;
}

/*
 * Adds what one layer has to a node that is made from the topmost down. 1 when
 * nothing below shows any more.
 */
static int add_part(struct tree *t, struct tree_part part,
		    struct tree_node *node, struct err *err)
{
	struct entry e;
	int r = erofs_reader_entry(reader_of(t, part.layer), part.nid, "", &e,
				   err);

	if (r < 0)
		return r;
	if (e.flags & ENTRY_WHITEOUT || (node->mode && !S_ISDIR(e.mode)))
		return 1;
	if (!node->mode) {
		node->part = part;
		node->mode = e.mode;
	}
	if (!S_ISDIR(e.mode))
		return 1;
	node->directory.parts[node->directory.n++] = part;
	return e.flags & ENTRY_OPAQUE ? 1 : 0;
}

int tree_root(struct tree *t, struct tree_node *ret, struct err *err)
{
	int r = 0;

	*ret = (struct tree_node){.mode = t->n ? 0 : S_IFDIR | 0755};
	for (size_t i = t->n; r == 0 && i-- > 0;) {
		const struct erofs_view *v =
			erofs_reader_view(reader_of(t, (uint32_t)i));

		r = add_part(t,
			     (struct tree_part){.layer = (uint32_t)i,
						.nid = v->root_nid},
			     ret, err);
	}
	return MIN(r, 0);
}

static int find_child(struct tree *t, const struct tree_directory *directory,
		      const char *name, size_t length, struct tree_node *ret,
		      struct err *err)
{
	struct tree_node node = {0};
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < directory->n; i++) {
		struct tree_part part = directory->parts[i];
		const struct erofs_view *v =
			erofs_reader_view(reader_of(t, part.layer));
		struct erofs_object o;
		struct erofs_item item;

		r = erofs_directory_read(v, part.nid, &o, err);
		if (r == 0)
			r = erofs_directory_find(v, &o, name, length, &item,
						 err);
		if (r == -ENOENT) {
			r = 0;
			continue;
		}
		part.nid = item.nid;
		if (r == 0)
			r = add_part(t, part, &node, err);
	}
	if (r < 0)
		return r;
	if (!node.mode)
		return -ENOENT;
	*ret = node;
	return 0;
}

int tree_find(struct tree *t, const char *path, struct tree_node *ret,
	      struct err *err)
{
	struct tree_node node;
	int r = tree_root(t, &node, err);

	while (r == 0 && *path) {
		struct tree_directory above = node.directory;
		size_t length = strcspn(path, "/");

		if (!S_ISDIR(node.mode) ||
		    erofs_directory_is_dots(path, length))
			return -ENOENT;
		r = find_child(t, &above, path, length, &node, err);
		path += length;
		path += *path == '/';
	}
	if (r == 0)
		*ret = node;
	return r;
}

int tree_entry(struct tree *t, const struct tree_node *node, const char *path,
	       struct entry *ret, struct err *err)
{
	if (!t->n) {
		*ret = (struct entry){.path = path, .mode = node->mode};
		return 0;
	}
	return erofs_reader_entry(reader_of(t, node->part.layer),
				  node->part.nid, path, ret, err);
}

int tree_read(const struct tree *t, const struct tree_part *part,
	      const char *path, struct erofs_entry_buf *ret, struct err *err)
{
	const struct erofs_view *v;
	struct erofs_object o;
	int r;

	if (!t->n) {
		ret->entry =
			(struct entry){.path = path, .mode = S_IFDIR | 0755};
		return 0;
	}
	v = erofs_reader_view(t->indexes[part->layer]->reader);
	r = erofs_object_read(v, part->nid, &o, err);
	return r < 0 ? r : erofs_object_entry(v, &o, path, ret, err);
}

int tree_links(const struct tree *t, const struct tree_part *part,
	       uint32_t *ret, struct err *err)
{
	struct erofs_object o;
	int r = erofs_object_read(
		erofs_reader_view(t->indexes[part->layer]->reader), part->nid,
		&o, err);

	if (r == 0)
		*ret = S_ISDIR(o.mode) ? 1 : o.nlink;
	return r;
}

static bool same_part(const struct tree *t, const struct tree_part *part,
		      const struct tree *other, const struct tree_part *theirs)
{
	return part->nid == theirs->nid &&
	       digest_equal(&t->layers[part->layer].object,
			    &other->layers[theirs->layer].object);
}

bool tree_same(const struct tree *t, const struct tree_node *node,
	       const struct tree *other, const struct tree_node *theirs)
{
	const struct tree_directory *a = &node->directory;
	const struct tree_directory *b = &theirs->directory;

	if (!t->n || !other->n)
		return t->n == other->n;
	if (a->n != b->n || !same_part(t, &node->part, other, &theirs->part))
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!same_part(t, &a->parts[i], other, &b->parts[i]))
			return false;
	return true;
}

static int advance(struct tree_reading *reading, struct err *err)
{
	int r = erofs_cursor_next(&reading->cursor, err);

	reading->ended = r <= 0;
	return MIN(r, 0);
}

void tree_names_release(struct tree_names *names)
{
	free(names->readings);
	names->readings = NULL;
}

int tree_names_open(struct tree_names *names, struct tree *t,
		    const struct tree_directory *directory, struct err *err)
{
	int r = 0;

	*names = (struct tree_names){.tree = t, .n = directory->n};
	names->readings = calloc(names->n + 1, sizeof(*names->readings));
	if (!names->readings)
		return err_oom(err);
	for (uint32_t i = 0; r == 0 && i < names->n; i++) {
		const struct tree_part *part = &directory->parts[i];
		struct tree_reading *reading = &names->readings[i];

		reading->layer = part->layer;
		r = erofs_cursor_open(
			&reading->cursor,
			erofs_reader_view(reader_of(t, part->layer)), part->nid,
			err);
		if (r == 0)
			r = advance(reading, err);
	}
	return r;
}

static int compare_item(const struct erofs_item *a, const struct erofs_item *b)
{
	return erofs_name_compare(a->name, a->length, b->name, b->length);
}

/* The smallest name that a reading is at; NULL at the end of all. */
static const struct erofs_item *smallest(const struct tree_names *names)
{
	const struct erofs_item *found = NULL;

	for (uint32_t i = 0; i < names->n; i++) {
		const struct tree_reading *reading = &names->readings[i];

		if (!reading->ended &&
		    (!found || compare_item(&reading->cursor.item, found) < 0))
			found = &reading->cursor.item;
	}
	return found;
}

/* Takes one name from all that have it; ret->mode is 0 when it is hidden. */
static int take_name(struct tree_names *names, const struct erofs_item *name,
		     struct tree_node *ret, struct err *err)
{
	/* The readings move on, and name with them. */
	const struct erofs_item item = *name;
	bool done = false;
	int r = 0;

	*ret = (struct tree_node){0};
	memcpy(names->name, item.name, item.length);
	names->name[item.length] = 0;
	for (uint32_t i = 0; r == 0 && i < names->n; i++) {
		struct tree_reading *reading = &names->readings[i];
		const struct tree_part part = {.layer = reading->layer,
					       .nid = reading->cursor.item.nid};

		if (reading->ended ||
		    compare_item(&reading->cursor.item, &item) != 0)
			continue;
		r = done ? 1 : add_part(names->tree, part, ret, err);
		done = r > 0;
		if (r >= 0)
			r = advance(reading, err);
	}
	return r;
}

int tree_names_next(struct tree_names *names, struct tree_node *ret,
		    struct err *err)
{
	const struct erofs_item *name;

	while ((name = smallest(names))) {
		int r = take_name(names, name, ret, err);

		if (r < 0)
			return r;
		if (ret->mode)
			return 1;
	}
	return 0;
}
