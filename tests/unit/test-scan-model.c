/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Scans of a tree that changes at random, judged by a model: a shadow tree to
 * which each scan's items are applied as an overlay would show them. It must
 * equal the real tree after each scan, and no item may be for an object that
 * the shadow shows already. Seeded; needs root for overlayfs' marks.
 */

#include "scan-fixture.h"

#include <dirent.h>

enum {
	NODES = 4096,
	SEEDS = 25,
	ROUNDS = 10,
	STEPS = 12
};

/* Paths with all that tells one state of an object from another. */
struct tree {
	struct node {
		char path[120];
		struct stat st;
	} nodes[NODES];
	size_t n;
};

struct model {
	struct scans scans;
	struct tree shadow, actual;
	uint64_t seed;
};

static struct node *find(struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->nodes[i].path, path) == 0)
			return &t->nodes[i];
	return NULL;
}

static bool is_below(const char *path, const char *root)
{
	size_t n = strlen(root);

	return n == 0 || (strncmp(path, root, n) == 0 && path[n] == '/');
}

static void drop(struct tree *t, const char *path, bool itself)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++)
		if (!is_below(t->nodes[i].path, path) &&
		    !(itself && strcmp(t->nodes[i].path, path) == 0))
			t->nodes[kept++] = t->nodes[i];
	t->n = kept;
}

static void put(struct tree *t, const char *path, const struct stat *st)
{
	struct node *node = find(t, path);

	if (!node) {
		assert_true(t->n < NODES);
		node = &t->nodes[t->n++];
	}
	assert_true(strlen(path) < sizeof(node->path));
	memcpy(node->path, path, strlen(path) + 1);
	node->st = *st;
}

static bool same_object(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
	       a->st_gid == b->st_gid && a->st_rdev == b->st_rdev &&
	       (S_ISDIR(a->st_mode) || a->st_size == b->st_size) &&
	       a->st_ino == b->st_ino &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool is_hidden(const struct stat *st)
{
	return S_ISSOCK(st->st_mode) ||
	       (S_ISCHR(st->st_mode) && st->st_rdev == 0);
}

/* What a version would show: neither whiteouts nor sockets. */
static void read_tree(struct tree *t, int dir, const char *prefix)
{
	DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[120];
		struct stat st;

		if (e->d_name[0] == '.')
			continue;
		assert_int_equal(
			fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		if (is_hidden(&st))
			continue;
		snprintf(path, sizeof(path), "%.100s%s%.8s", prefix,
			 *prefix ? "/" : "", e->d_name);
		put(t, path, &st);
		if (S_ISDIR(st.st_mode)) {
			_cleanup_close_ int fd = open_at(dir, e->d_name);

			read_tree(t, fd, path);
		}
	}
	(void)closedir(d);
}

static void apply_object(struct model *m, const char *path)
{
	struct node *old = find(&m->shadow, path);
	struct stat st;

	assert_int_equal(
		fstatat(m->scans.upper, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	if (old && same_object(&old->st, &st))
		fail_msg("%s was found changed and is not", path);
	drop(&m->shadow, path, true);
	put(&m->shadow, path, &st);
}

static void apply_whiteout(struct model *m, const char *path)
{
	struct stat st;

	if (fstatat(m->scans.upper, path, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!is_hidden(&st))
			fail_msg("%s was found gone and is there", path);
	} else if (!find(&m->shadow, path)) {
		fail_msg("%s was found gone twice", path);
	}
	drop(&m->shadow, path, true);
}

static void apply_directory(struct model *m, const char *path, bool opaque)
{
	struct node *old = find(&m->shadow, path);
	struct stat st;

	assert_int_equal(
		fstatat(m->scans.upper, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	if (opaque || (old && !S_ISDIR(old->st.st_mode)))
		drop(&m->shadow, path, true);
	put(&m->shadow, path, &st);
}

static void apply(struct model *m)
{
	const struct changes *c = &m->scans.changes;
	_cleanup_buf_ struct buf path = BUF_INIT;

	for (uint32_t i = 1; i < c->n; i++) {
		const struct change *change = &c->items[i];

		if (!(change->flags & CHANGE_NEEDED))
			continue;
		assert_int_equal(change_path(c, i, &path), 0);
		assert_true(c->items[change->parent].flags & CHANGE_NEEDED);
		if (change->kind == CHANGE_OBJECT)
			apply_object(m, (char *)path.data);
		else if (change->kind == CHANGE_WHITEOUT)
			apply_whiteout(m, (char *)path.data);
		else
			apply_directory(m, (char *)path.data,
					change->flags & CHANGE_OPAQUE);
	}
}

static void compare(struct model *m)
{
	m->actual.n = 0;
	read_tree(&m->actual, m->scans.upper, "");
	for (size_t i = 0; i < m->actual.n; i++) {
		const struct node *a = &m->actual.nodes[i];
		const struct node *b = find(&m->shadow, a->path);

		if (!b)
			fail_msg("%s was not found", a->path);
		if (!same_object(&a->st, &b->st))
			fail_msg("%s was found as it is not", a->path);
	}
	for (size_t i = 0; i < m->shadow.n; i++)
		if (!find(&m->actual, m->shadow.nodes[i].path))
			fail_msg("%s was not found gone",
				 m->shadow.nodes[i].path);
}

/* One of few names, so that they collide, up to three deep. */
static void random_path(struct model *m, char path[static 120])
{
	size_t depth = 1 + random_below(&m->seed, 3);

	*path = 0;
	for (size_t i = 0; i < depth; i++)
		snprintf(path + strlen(path), 120 - strlen(path), "%s%c",
			 i ? "/" : "", 'a' + (int)random_below(&m->seed, 5));
}

/* A random change. Those that are not possible just now do nothing. */
static void step(struct model *m)
{
	int u = m->scans.upper, r = 0;
	char a[120], b[120];

	random_path(m, a);
	random_path(m, b);
	switch (random_below(&m->seed, 16)) {
	case 0:
	case 1:
	case 2:
		r = openat(u, a, O_WRONLY | O_CREAT | O_APPEND, 0644);
		if (r >= 0)
			assert_int_equal(write_full(r, b, strlen(b)), 0);
		(void)close(r);
		break;
	case 3:
	case 4:
	case 5:
		r = mkdirat(u, a, 0755);
		break;
	case 6:
		r = fchmodat(u, a, next_random(&m->seed) & 0777, 0);
		break;
	case 7:
		r = unlinkat(u, a, 0);
		break;
	case 8:
		(void)remove_tree_at(u, a);
		break;
	case 9:
		r = renameat(u, a, u, b);
		break;
	case 10:
		r = renameat2(u, a, u, b, RENAME_EXCHANGE);
		break;
	case 11:
		r = linkat(u, a, u, b, 0);
		break;
	case 12:
		r = symlinkat(b, u, a);
		break;
	case 13:
		(void)unlinkat(u, a, 0);
		r = mknodat(u, a, S_IFCHR, 0);
		break;
	case 14:
		r = mknodat(u, a, S_IFSOCK | 0600, 0);
		break;
	default:
		/* As overlayfs does where a whiteout was. */
		(void)remove_tree_at(u, a);
		if (mkdirat(u, a, 0755) == 0)
			mark(u, a, "opaque", "y");
	}
	(void)r;
}

/* The layers have what the scans before have found. */
static bool shadow_has(const char *path, void *ctx)
{
	struct model *m = ctx;

	return find(&m->shadow, path);
}

static void run(struct model *m, uint64_t seed)
{
	void *f;

	m->seed = seed;
	m->shadow.n = 0;
	assert_int_equal(setup(&f), 0);
	scans_init(&m->scans, f);
	m->scans.lower = NULL;
	m->scans.model = shadow_has;
	m->scans.model_ctx = m;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < STEPS; i++)
			step(m);
		/* A capture that is lost now and then: all is taken anew. */
		if (random_below(&m->seed, 12) == 0) {
			closep(&m->scans.capture);
			m->shadow.n = 0;
		}
		scan(&m->scans);
		apply(m);
		compare(m);
		if (random_below(&m->seed, 4) == 0)
			assert_scan(&m->scans, "");
	}
	scans_release(&m->scans);
	assert_int_equal(teardown(&f), 0);
}

static void test_items_of_random_changes_rebuild_the_tree(void **state)
{
	struct model *m;
	bool marks;
	void *f;

	(void)state;
	assert_int_equal(setup(&f), 0);
	marks = can_mark(f);
	assert_int_equal(teardown(&f), 0);
	if (!marks)
		skip();
	m = calloc(1, sizeof(*m));
	assert_non_null(m);
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		print_message("seed %d\n", (int)seed);
		run(m, seed);
	}
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items_of_random_changes_rebuild_the_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
