/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Squashing random layers, judged by a model: layers are applied to a tree in
 * memory as overlayfs would stack them, once as they were made and once with
 * those that were joined read back from the store's new layer. Both trees must
 * be the same in names, attributes, link groups and bytes. Seeded.
 */

#include "format/erofs-reader.h"
#include "volume-fixture.h"
#include "volume/layer-build.h"
#include "volume/mounting.h"
#include "volume/squash.h"

#include <sys/mman.h>

enum {
	ITEMS = 256,
	LAYERS = 6,
	SEEDS = 14,
	BIG = 4 << 20
};

struct item {
	char path[16];
	uint32_t flags; /* ENTRY_*; in a tree none */
	uint32_t mode, uid, rdev;
	int64_t mtime;
	uint64_t size;
	struct digest content;
	char target[16];
	char xattrs[96];
	uint64_t id; /* equal for the names of one file */
};

struct tree {
	struct item items[ITEMS];
	size_t n;
};

struct test {
	struct fixture *fixture;
	uint64_t seed, next_id;
	struct tree made[LAYERS]; /* the layers as they were meant */
	struct version_layer layers[LAYERS];
	size_t n;
	struct layer_build build;
	bool opaque, whiteouts; /* seen in what was read back */
};

static struct item *find(struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->items[i].path, path) == 0)
			return &t->items[i];
	return NULL;
}

static bool is_below(const char *path, const char *root)
{
	size_t n = strlen(root);

	return n == 0 ? *path : strncmp(path, root, n) == 0 && path[n] == '/';
}

static void drop(struct tree *t, const char *path)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->items[i].path, path) != 0 &&
		    !is_below(t->items[i].path, path))
			t->items[kept++] = t->items[i];
	t->n = kept;
}

static struct item *add(struct tree *t, const struct item *item)
{
	assert_true(t->n < ITEMS);
	t->items[t->n] = *item;
	return &t->items[t->n++];
}

/* What overlayfs shows when layer is put on top of tree. */
static void apply(struct tree *tree, struct tree *layer)
{
	for (size_t i = 0; i < layer->n; i++) {
		struct item item = layer->items[i];
		struct item *old = find(tree, item.path);

		if (item.flags & ENTRY_HARDLINK) {
			item = *find(layer, item.target);
			memcpy(item.path, layer->items[i].path,
			       sizeof(item.path));
		}
		if (S_ISDIR(item.mode) && old && S_ISDIR(old->mode) &&
		    !(item.flags & ENTRY_OPAQUE)) {
			*old = item;
			old->flags = 0;
			continue;
		}
		drop(tree, item.path);
		if (item.flags & ENTRY_WHITEOUT)
			continue;
		item.flags = 0;
		add(tree, &item);
	}
}

static const char *first_name(const struct tree *t, uint64_t id)
{
	const char *first = NULL;

	for (size_t i = 0; i < t->n; i++)
		if (t->items[i].id == id &&
		    (!first || strcmp(t->items[i].path, first) < 0))
			first = t->items[i].path;
	return first;
}

static void assert_same(struct tree *want, struct tree *got)
{
	for (size_t i = 0; i < want->n; i++) {
		const struct item *a = &want->items[i];
		const struct item *b = find(got, a->path);

		if (!b)
			fail_msg("\"%s\" is hidden", a->path);
		if (a->mode != b->mode || a->uid != b->uid ||
		    a->rdev != b->rdev || a->mtime != b->mtime ||
		    a->size != b->size || strcmp(a->target, b->target) != 0 ||
		    strcmp(a->xattrs, b->xattrs) != 0)
			fail_msg("\"%s\" has other attributes", a->path);
		if (!digest_equal(&a->content, &b->content))
			fail_msg("\"%s\" has other bytes", a->path);
		if (!S_ISDIR(a->mode) && strcmp(first_name(want, a->id),
						first_name(got, b->id)) != 0)
			fail_msg("\"%s\" is linked otherwise", a->path);
	}
	for (size_t i = 0; i < got->n; i++)
		if (!find(want, got->items[i].path))
			fail_msg("\"%s\" shows", got->items[i].path);
}

/* The bytes of a file in the making, and where its holes are. */
struct content {
	uint8_t *data;
	struct extent extents[3];
	size_t n_extents;
};

static void make_content(struct test *t, struct item *item, struct entry *e,
			 struct content *c)
{
	item->size = random_below(&t->seed, 5) == 0
			     ? 0
			     : 1 + random_below(&t->seed, 3000);
	if (random_below(&t->seed, 6) == 0)
		item->size = 70000 + random_below(&t->seed, 80000);
	if (strcmp(item->path, "zzz") == 0)
		item->size = BIG;
	c->data = calloc(1, item->size + 1);
	assert_non_null(c->data);
	if (item->size > 70000 && random_below(&t->seed, 2)) {
		e->sparse = true;
		c->n_extents = (size_t)random_below(&t->seed, 4);
		for (size_t i = 0; i < c->n_extents; i++) {
			c->extents[i] = (struct extent){8192 + i * 16384, 4096};
			fill_random(&t->seed, c->data + c->extents[i].offset,
				    4096);
		}
		e->extents = c->extents;
		e->n_extents = c->n_extents;
	} else if (item->size < BIG) {
		fill_random(&t->seed, c->data, item->size);
	}
	assert_int_equal(digest_of(c->data, item->size, &item->content), 0);
}

static void write_content(struct test *t, const struct entry *e,
			  const struct content *c)
{
	const struct extent whole = {0, e->size};
	const struct extent *extents = e->sparse ? c->extents : &whole;
	size_t n = e->sparse ? c->n_extents : 1;
	struct fixture *f = t->fixture;

	assert_ok(f, layer_build_header(&t->build, (struct entry *)e, &f->err));
	if (!entry_data_size(e))
		return;
	for (size_t i = 0; i < n; i++)
		assert_ok(f, pipeline_write(t->build.pipeline,
					    c->data + extents[i].offset,
					    extents[i].length, &f->err));
	assert_ok(f, layer_build_end_data(&t->build, e, &f->err));
}

/* One name of the layer being made, in the layer and in the model. */
static void emit(struct test *t, struct tree *layer, struct item item)
{
	static const struct xattr xattrs[] = {
		{"trusted.overlay.redirect", "nested", 6}, {"user.k", "v", 1}};
	size_t n_xattrs = (size_t)random_below(&t->seed, 8);
	struct fixture *f = t->fixture;
	struct content content = {0};
	struct entry e = {.path = item.path, .flags = item.flags};

	if (!(item.flags & (ENTRY_WHITEOUT | ENTRY_HARDLINK))) {
		item.uid = (uint32_t)random_below(&t->seed, 5);
		item.mtime = (int64_t)random_below(&t->seed, 2000) - 1000;
		item.id = ++t->next_id;
		n_xattrs = n_xattrs < 3 ? n_xattrs : 0;
		for (size_t i = 0; i < n_xattrs; i++)
			snprintf(item.xattrs + strlen(item.xattrs), 40, "%s;",
				 xattrs[i].name);
		e.xattrs = xattrs;
		e.n_xattrs = n_xattrs;
	}
	e.mode = item.mode;
	e.uid = item.uid;
	e.mtime = item.mtime;
	e.rdev_minor = item.rdev;
	e.target = *item.target ? item.target : NULL;
	if (S_ISREG(item.mode) && !(item.flags & ENTRY_HARDLINK)) {
		make_content(t, &item, &e, &content);
		e.size = item.size;
		write_content(t, &e, &content);
	} else {
		assert_ok(f, layer_build_header(&t->build, &e, &f->err));
	}
	assert_ok(f, layer_build_index(&t->build, &e, &f->err));
	free(content.data);
	add(layer, &item);
}

/* A file that precedes in the layer, to link to. */
static const struct item *pick_target(struct test *t, const struct tree *layer)
{
	const struct item *item =
		&layer->items[random_below(&t->seed, layer->n)];

	return S_ISDIR(item->mode) ||
			       item->flags & (ENTRY_WHITEOUT | ENTRY_HARDLINK)
		       ? NULL
		       : item;
}

static void make_names(struct test *t, struct tree *layer, const char *dir);

static void make_name(struct test *t, struct tree *layer, const char *path)
{
	const struct item *target = pick_target(t, layer);
	struct item item = {0};

	snprintf(item.path, sizeof(item.path), "%s", path);
	switch (random_below(&t->seed, 20)) {
	case 0:
	case 1:
	case 2:
	case 3:
		item.mode = S_IFREG | 0644;
		break;
	case 4:
		item.mode = S_IFLNK | 0777;
		snprintf(item.target, sizeof(item.target), "to-%.10s", path);
		break;
	case 5:
		item.mode = S_IFCHR | 0600;
		item.rdev = 3;
		break;
	case 6:
	case 7:
	case 8:
	case 9:
		item.flags = ENTRY_WHITEOUT;
		break;
	case 10:
	case 11:
		if (!target)
			return;
		item.mode = target->mode;
		item.flags = ENTRY_HARDLINK;
		memcpy(item.target, target->path, sizeof(item.target));
		break;
	default:
		item.mode = S_IFDIR | (uint32_t)random_below(&t->seed, 01000);
		if (random_below(&t->seed, 6) == 0)
			item.flags = ENTRY_OPAQUE;
		emit(t, layer, item);
		if (strlen(path) < 5)
			make_names(t, layer, path);
		return;
	}
	emit(t, layer, item);
}

static void make_names(struct test *t, struct tree *layer, const char *dir)
{
	for (char c = 'a'; c <= 'd'; c++) {
		char path[16];

		if (random_below(&t->seed, 2))
			continue;
		snprintf(path, sizeof(path), "%.10s%s%c", dir, *dir ? "/" : "",
			 c);
		make_name(t, layer, path);
	}
}

static void make_layer(struct test *t, bool big)
{
	struct fixture *f = t->fixture;
	struct tree *layer = &t->made[t->n];
	struct item root = {.mode = S_IFDIR | 0755};
	uint64_t stored;

	layer->n = 0;
	assert_ok(f, layer_build_init(&t->build, f->host, &f->err));
	emit(t, layer, root);
	make_names(t, layer, "");
	if (big) {
		struct item item = {.path = "zzz", .mode = S_IFREG | 0600};

		emit(t, layer, item);
	}
	assert_ok(f, layer_build_end(&t->build, &f->err));
	assert_ok(f, layer_build_finish(&t->build, &t->layers[t->n], &stored,
					&f->err));
	layer_build_release(&t->build);
	t->n++;
}

struct reading {
	struct test *test;
	struct tree *layer;
	const struct cache_layer *cached;
	uint64_t first_id;
};

static void read_content(const struct cache_layer *cached,
			 const struct entry *e, struct digest *ret)
{
	const struct extent whole = {0, e->size};
	const struct extent *extents = e->sparse ? e->extents : &whole;
	size_t n = e->sparse ? e->n_extents : 1;
	_cleanup_free_ uint8_t *data = calloc(1, e->size + 1);
	uint64_t from = e->payload;

	assert_non_null(data);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(pread_full(cached->tar_fd,
					    data + extents[i].offset,
					    extents[i].length, from),
				 0);
		from += extents[i].length;
	}
	assert_int_equal(digest_of(data, e->size, ret), 0);
}

static int read_entry(const struct entry *e, uint64_t nid, void *ctx,
		      struct err *err)
{
	struct reading *r = ctx;
	struct item item = {.flags = e->flags,
			    .mode = e->mode,
			    .uid = e->uid,
			    .mtime = e->mtime,
			    .rdev = e->rdev_minor,
			    .size = e->size,
			    .id = r->first_id + nid};

	(void)err;
	snprintf(item.path, sizeof(item.path), "%s", e->path);
	if (e->target)
		snprintf(item.target, sizeof(item.target), "%s", e->target);
	for (size_t i = 0; i < e->n_xattrs; i++)
		snprintf(item.xattrs + strlen(item.xattrs), 40, "%s;",
			 e->xattrs[i].name);
	if (e->flags & ENTRY_WHITEOUT)
		item.mode = 0;
	else if (S_ISREG(e->mode) && !(e->flags & ENTRY_HARDLINK))
		read_content(r->cached, e, &item.content);
	r->test->whiteouts |= e->flags & ENTRY_WHITEOUT;
	r->test->opaque |= e->flags & ENTRY_OPAQUE;
	add(r->layer, &item);
	return 0;
}

/* A layer as store and cache have it. */
static void read_layer(struct test *t, const struct version_layer *layer,
		       struct tree *ret)
{
	_cleanup_cache_layer_ struct cache_layer cached = CACHE_LAYER_INIT;
	_cleanup_(erofs_reader_freep) struct erofs_reader *reader = NULL;
	struct reading r = {t, ret, &cached, t->next_id};
	struct fixture *f = t->fixture;

	assert_ok(f,
		  mounting_open_layer(f->host, layer, NULL, &cached, &f->err));
	assert_ok(f, erofs_reader_open_fd(&reader, cached.index_fd, &f->err));
	assert_ok(f, erofs_reader_check(reader, &layer->tar, layer->tar_size,
					&f->err));
	t->whiteouts = false;
	t->opaque = false;
	ret->n = 0;
	assert_ok(f, erofs_reader_walk(reader, "", read_entry, &r, &f->err));
	t->next_id += 1 << 20;
}

static void drop_cache(struct fixture *f)
{
	struct err err = ERR_INIT;
	char path[160];

	f->host->cache = cache_free(f->host->cache);
	snprintf(path, sizeof(path), "%s/cache", f->host->state_dir);
	assert_int_equal(remove_tree_at(AT_FDCWD, path), 0);
	assert_int_equal(cache_open(&f->host->cache, path, &err), 0);
}

static void show(struct test *t, struct tree *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < t->n; i++)
		apply(ret, &t->made[i]);
}

/* Random layers; as many large ones at the bottom as are to stay. */
static void make_layers(struct test *t, size_t large)
{
	size_t n =
		2 + large + (size_t)random_below(&t->seed, LAYERS - 1 - large);

	t->n = 0;
	for (size_t i = 0; i < n; i++)
		make_layer(t, i < large);
}

static void test_squashed_layers_show_what_they_showed(void **state)
{
	static struct test t;
	static struct tree want, got;

	t = (struct test){.fixture = *state};
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		size_t keep, large = seed % 3;

		print_message("seed %d\n", (int)seed);
		t.seed = seed;
		make_layers(&t, large);
		show(&t, &want);
		if (seed % 5 == 0)
			drop_cache(t.fixture);
		keep = squash_choose(t.layers, t.n);
		assert_true(keep + 2 <= t.n);
		assert_ok(t.fixture, squash_tail(t.fixture->host, t.layers,
						 &t.n, NULL, &t.fixture->err));
		assert_int_equal(t.n, keep + 1);
		read_layer(&t, &t.layers[keep], &t.made[keep]);
		if (keep == 0)
			assert_false(t.whiteouts || t.opaque);
		show(&t, &got);
		assert_same(&want, &got);
	}
}

/* Again on top of what was squashed, as the life of a volume goes on. */
static void test_squashing_again_and_again_changes_nothing(void **state)
{
	static struct test t;
	static struct tree want, got;

	t = (struct test){.fixture = *state, .seed = 99};
	make_layer(&t, true);
	for (int round = 0; round < 8; round++) {
		size_t keep;

		make_layer(&t, false);
		make_layer(&t, false);
		show(&t, &want);
		keep = squash_choose(t.layers, t.n);
		assert_ok(t.fixture, squash_tail(t.fixture->host, t.layers,
						 &t.n, NULL, &t.fixture->err));
		read_layer(&t, &t.layers[keep], &t.made[keep]);
		show(&t, &got);
		assert_same(&want, &got);
	}
}

static void test_equal_layers_squash_to_equal_layers(void **state)
{
	static struct test t;
	struct version_layer layers[LAYERS];
	struct digest tar;
	size_t n;

	t = (struct test){.fixture = *state, .seed = 4};
	make_layers(&t, 0);
	for (int i = 0; i < 2; i++) {
		n = t.n;
		memcpy(layers, t.layers, sizeof(layers));
		assert_ok(t.fixture, squash_tail(t.fixture->host, layers, &n,
						 NULL, &t.fixture->err));
		assert_int_equal(n, 1);
		if (i)
			assert_true(digest_equal(&tar, &layers[0].tar));
		tar = layers[0].tar;
	}
}

static void test_failed_squash_leaves_the_stack_alone(void **state)
{
	static struct test t;
	struct fixture *f = *state;
	struct version_layer layers[LAYERS];
	size_t n;

	t = (struct test){.fixture = f, .seed = 3};
	make_layers(&t, 0);
	n = t.n;
	memcpy(layers, t.layers, sizeof(layers));
	f->host->stopping = true;
	assert_int_equal(squash_tail(f->host, layers, &n, NULL, &f->err),
			 -ECANCELED);
	f->host->stopping = false;
	assert_int_equal(n, t.n);
	assert_memory_equal(layers, t.layers, n * sizeof(*layers));
	layers[1].tar.bytes[0] ^= 1;
	layers[1].object.bytes[0] ^= 1;
	assert_refused(f, squash_tail(f->host, layers, &n, NULL, &f->err),
		       EBADMSG, "is missing in the store");
	assert_int_equal(n, t.n);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_squashed_layers_show_what_they_showed),
		T(test_squashing_again_and_again_changes_nothing),
		T(test_equal_layers_squash_to_equal_layers),
		T(test_failed_squash_leaves_the_stack_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
