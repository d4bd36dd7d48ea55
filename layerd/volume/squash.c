/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining layers without a mount, from their indexes and tarballs.
 *
 * All names of the layers are listed and sorted; for each path the topmost
 * layer that is not hidden there gives the object. What must hold: over any
 * layers below, the new layer shows exactly what the joined ones showed.
 */
#include "volume/squash.h"

#include "format/erofs-reader.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/table.h"
#include "volume/layer-build.h"
#include "volume/mounting.h"

#include <errno.h>
#include <unistd.h>

struct name {
	size_t path; /* offset in paths */
	uint64_t nid;
	uint32_t layer; /* index among the joined ones, 0 is the lowest */
	uint32_t flags; /* ENTRY_* */
	uint32_t mode;
};

/* A directory on the way to the current path, and from which layer on its
 * contents show. */
struct scope {
	size_t path;
	uint32_t lowest;
};

struct squash {
	struct host *host;
	const struct progress *progress;
	struct cache_layer *layers;
	struct erofs_reader **readers;
	size_t n_layers;
	bool bottom; /* nothing is below the joined layers */
	uint32_t reading;
	struct buf paths;
	struct name *names;
	size_t n, alloc;
	struct scope *scopes;
	size_t depth, scopes_alloc;
	struct layer_build build;
	/* First names of linked files, by layer and nid. */
	struct table firsts;
	struct err *err;
};

/* A stack that stays longer than this would soon be squashed again. */
#define KEEP_MAX (VERSION_LAYERS_MAX * 3 / 4)

size_t squash_choose(const struct version_layer *layers, size_t n)
{
	uint64_t gathered = 0, above = 0;
	size_t keep = n;

	while (keep > 0) {
		uint64_t size = layers[keep - 1].tar_size;

		if (n - keep >= 2 && size > 2 * gathered)
			break;
		gathered += size;
		keep--;
	}
	if (keep < KEEP_MAX)
		return keep;
	/* Large layers leave no room: those that are large only compared with
	 * the commits of today become one, and each layer that stays is more
	 * than twice as large as all above it. */
	for (size_t i = n; i-- > 0; above += layers[i].tar_size)
		if (i < keep && layers[i].tar_size <= 2 * above)
			keep = i;
	return keep;
}

static const char *path_of(const struct squash *s, size_t offset)
{
	return (const char *)s->paths.data + offset;
}

static int collect(const struct entry *e, uint64_t nid, void *ctx,
		   struct err *err)
{
	struct squash *s = ctx;

	if (s->n == s->alloc) {
		size_t n = s->alloc ? s->alloc * 2 : 256;
		struct name *names;

		names = reallocarray(s->names, n, sizeof(*names));
		if (!names)
			return err_oom(err);
		s->names = names;
		s->alloc = n;
	}
	s->names[s->n++] = (struct name){.path = s->paths.size,
					 .nid = nid,
					 .layer = s->reading,
					 .flags = e->flags,
					 .mode = e->mode};
	return buf_add(&s->paths, e->path, strlen(e->path) + 1) < 0
		       ? err_oom(err)
		       : 0;
}

/* By path; of one path the topmost layer first. */
static int compare(const void *a, const void *b, void *ctx)
{
	const struct name *x = a, *y = b;
	const struct squash *s = ctx;
	int r = entry_path_compare(path_of(s, x->path), path_of(s, y->path));

	return r ? r : (x->layer < y->layer) - (x->layer > y->layer);
}

static bool is_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return n == 0 || (strncmp(path, directory, n) == 0 && path[n] == '/');
}

/* The lowest layer that shows at path, leaving directories it is not in. */
static uint32_t lowest_at(struct squash *s, const char *path)
{
	while (s->depth &&
	       !is_below(path, path_of(s, s->scopes[s->depth - 1].path)))
		s->depth--;
	return s->depth ? s->scopes[s->depth - 1].lowest : 0;
}

static int enter(struct squash *s, size_t path, uint32_t lowest)
{
	if (s->depth == s->scopes_alloc) {
		size_t n = s->scopes_alloc ? s->scopes_alloc * 2 : 64;
		struct scope *scopes;

		scopes = reallocarray(s->scopes, n, sizeof(*scopes));
		if (!scopes)
			return err_oom(s->err);
		s->scopes = scopes;
		s->scopes_alloc = n;
	}
	s->scopes[s->depth++] = (struct scope){.path = path, .lowest = lowest};
	return 0;
}

static bool equal_first(const void *key, uint32_t index, void *ctx)
{
	const struct squash *s = ctx;
	const struct name *want = key;

	return s->names[index].layer == want->layer &&
	       s->names[index].nid == want->nid;
}

static int emit_link(struct squash *s, const struct name *name, uint32_t first)
{
	struct entry link = {.path = path_of(s, name->path),
			     .flags = ENTRY_HARDLINK,
			     .mode = name->mode,
			     .target = path_of(s, s->names[first].path)};

	return layer_build_add(&s->build, &link, s->err);
}

static int emit_full(struct squash *s, const struct name *name, bool opaque)
{
	struct erofs_reader *reader = s->readers[name->layer];
	const char *path = path_of(s, name->path);
	struct entry e;
	uint64_t nid, from, size;
	int r = erofs_reader_lookup(reader, path, &e, &nid, s->err);

	if (r < 0)
		return err_prefix(s->err, r, "cannot squash \"%s\"", path);
	e.path = path;
	e.flags = opaque ? ENTRY_OPAQUE : 0;
	from = e.payload;
	size = entry_data_size(&e);
	r = layer_build_header(&s->build, &e, s->err);
	if (r == 0 && size)
		r = layer_build_copy(&s->build, s->layers[name->layer].tar_fd,
				     from, size, s->err);
	if (r == 0 && size)
		r = layer_build_end_data(&s->build, &e, s->err);
	return r < 0 ? r : layer_build_index(&s->build, &e, s->err);
}

static int emit_object(struct squash *s, size_t index)
{
	const struct name *name = &s->names[index];
	uint64_t hash = table_hash_int(name->nid * 64 + name->layer);
	uint32_t first = table_find(&s->firsts, hash, name, equal_first, s);

	if (first != TABLE_NONE)
		return emit_link(s, name, first);
	if (table_add(&s->firsts, hash, (uint32_t)index) < 0)
		return err_oom(s->err);
	return emit_full(s, name, false);
}

static int emit_whiteout(struct squash *s, const struct name *name)
{
	struct entry e = {.path = path_of(s, name->path),
			  .flags = ENTRY_WHITEOUT};

	return s->bottom ? 0 : layer_build_add(&s->build, &e, s->err);
}

/* All layers' names for one path, topmost first: names[from..to). */
static int emit_path(struct squash *s, size_t from, size_t to)
{
	const struct name *top = &s->names[from];
	uint32_t lowest = lowest_at(s, path_of(s, top->path));
	uint32_t shown = 0;
	bool opaque = false;
	int r;

	if (top->layer < lowest)
		return 0;
	if (top->flags & ENTRY_WHITEOUT) {
		r = emit_whiteout(s, top);
		return r < 0 ? r : enter(s, top->path, top->layer);
	}
	if ((top->mode & 0170000) != 0040000) {
		r = emit_object(s, from);
		return r < 0 ? r : enter(s, top->path, top->layer);
	}
	for (size_t i = from; i < to && s->names[i].layer >= lowest; i++) {
		const struct name *n = &s->names[i];

		if ((n->flags & ENTRY_WHITEOUT) ||
		    (n->mode & 0170000) != 0040000) {
			opaque = true;
			break;
		}
		shown = n->layer;
		if (n->flags & ENTRY_OPAQUE) {
			opaque = true;
			break;
		}
	}
	if (!opaque)
		shown = lowest;
	r = emit_full(s, top, opaque && !s->bottom);
	return r < 0 ? r : enter(s, top->path, MAX(shown, lowest));
}

static int emit_all(struct squash *s)
{
	int r = 0;

	qsort_r(s->names, s->n, sizeof(*s->names), compare, s);
	for (size_t i = 0; r == 0 && i < s->n;) {
		const char *path = path_of(s, s->names[i].path);
		size_t next = i + 1;

		while (next < s->n &&
		       strcmp(path, path_of(s, s->names[next].path)) == 0)
			next++;
		r = emit_path(s, i, next);
		if (r == 0 && i % 1024 == 0)
			r = progress_report(s->host, s->progress, "squash", 0,
					    0, i);
		i = next;
	}
	return r;
}

static int open_layers(struct squash *s, const struct version_layer *layers)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_layers; i++) {
		r = mounting_open_layer(s->host, &layers[i], s->progress,
					&s->layers[i], s->err);
		if (r == 0)
			r = erofs_reader_open_fd(&s->readers[i],
						 s->layers[i].index_fd, s->err);
		s->reading = (uint32_t)i;
		if (r == 0)
			r = erofs_reader_walk(s->readers[i], "", collect, s,
					      s->err);
	}
	return r;
}

static void release(struct squash *s)
{
	layer_build_release(&s->build);
	for (size_t i = 0; i < s->n_layers; i++) {
		erofs_reader_free(s->readers ? s->readers[i] : NULL);
		if (s->layers)
			cache_layer_release(&s->layers[i]);
	}
	table_release(&s->firsts);
	buf_release(&s->paths);
	free(s->readers);
	free(s->layers);
	free(s->names);
	free(s->scopes);
}

int squash_tail(struct host *h, struct version_layer *layers, size_t *n,
		const struct progress *progress, struct err *err)
{
	size_t keep = squash_choose(layers, *n);
	struct squash s = {.host = h,
			   .progress = progress,
			   .n_layers = *n - keep,
			   .bottom = keep == 0,
			   .err = err};
	struct version_layer joined;
	uint64_t stored;
	int r = 0;

	s.layers = calloc(s.n_layers, sizeof(*s.layers));
	s.readers = calloc(s.n_layers, sizeof(*s.readers));
	if (!s.layers || !s.readers) {
		s.n_layers = 0;
		r = err_oom(err);
	}
	for (size_t i = 0; i < s.n_layers; i++)
		s.layers[i] = CACHE_LAYER_INIT;
	if (r == 0)
		r = open_layers(&s, &layers[keep]);
	if (r == 0)
		r = layer_build_init(&s.build, h, err);
	if (r == 0)
		r = emit_all(&s);
	if (r == 0)
		r = layer_build_end(&s.build, err);
	if (r == 0)
		r = layer_build_finish(&s.build, &joined, &stored, err);
	if (r == 0)
		r = fault_point("squash.joined");
	release(&s);
	if (r < 0)
		return r;
	layers[keep] = joined;
	*n = keep + 1;
	return 0;
}
