/* SPDX-License-Identifier: Apache-2.0 */

/* The change list, and the walker that keeps its directories open. */

#include "volume-fixture.h"
#include "volume/changes.h"
#include "volume/walker.h"

#include <dirent.h>
#include <limits.h>

static uint32_t add(struct changes *c, uint32_t parent, const char *name,
		    enum change_kind kind, uint8_t flags)
{
	uint32_t item;

	assert_int_equal(changes_add(c, parent, name, kind, flags, 0, &item),
			 0);
	assert_int_equal(item, c->n - 1);
	return item;
}

static uint32_t add_root(struct changes *c)
{
	return add(c, CHANGE_NONE, "", CHANGE_DIRECTORY, 0);
}

static void assert_path(const struct changes *c, uint32_t item,
			const char *path)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	/* What was there before is no part of it. */
	assert_int_equal(buf_add_str(&b, "something longer than before"), 0);
	assert_int_equal(change_path(c, item, &b), 0);
	assert_int_equal(b.size, strlen(path));
	assert_string_equal(b.data, path);
}

static void test_paths_are_built_from_names(void **state)
{
	_cleanup_changes_ struct changes c = CHANGES_INIT;
	uint32_t root = add_root(&c);
	uint32_t a = add(&c, root, "a", CHANGE_DIRECTORY, 0);
	uint32_t odd = add(&c, a, "\xff\n b", CHANGE_DIRECTORY, 0);
	uint32_t file = add(&c, odd, "file", CHANGE_OBJECT, 0);
	uint32_t top = add(&c, root, "top", CHANGE_WHITEOUT, 0);

	(void)state;
	assert_int_equal(root, CHANGE_ROOT);
	assert_path(&c, root, "");
	assert_path(&c, a, "a");
	assert_path(&c, odd, "a/\xff\n b");
	assert_path(&c, file, "a/\xff\n b/file");
	assert_path(&c, top, "top");
	assert_string_equal(change_name(&c, file), "file");
}

static void test_need_marks_the_item_and_its_directories_only(void **state)
{
	_cleanup_changes_ struct changes c = CHANGES_INIT;
	uint32_t root = add_root(&c);
	uint32_t a = add(&c, root, "a", CHANGE_DIRECTORY, 0);
	uint32_t b = add(&c, a, "b", CHANGE_DIRECTORY, 0);
	uint32_t other = add(&c, a, "c", CHANGE_DIRECTORY, 0);
	uint32_t file = add(&c, b, "f", CHANGE_OBJECT, 0);

	(void)state;
	assert_int_equal(c.needed, 0);
	changes_need(&c, file);
	assert_true(c.items[file].flags & CHANGE_NEEDED);
	assert_true(c.items[b].flags & CHANGE_NEEDED);
	assert_true(c.items[a].flags & CHANGE_NEEDED);
	assert_true(c.items[root].flags & CHANGE_NEEDED);
	assert_false(c.items[other].flags & CHANGE_NEEDED);
	assert_int_equal(c.needed, 4);
	assert_int_equal(c.changed, 1);
	changes_need(&c, file);
	changes_need(&c, a);
	assert_int_equal(c.needed, 4);
	changes_need(&c, other);
	assert_int_equal(c.needed, 5);
	assert_int_equal(c.changed, 1);
}

static void test_needed_items_mark_their_directories_when_added(void **state)
{
	_cleanup_changes_ struct changes c = CHANGES_INIT;
	uint32_t root = add_root(&c);
	uint32_t a = add(&c, root, "a", CHANGE_DIRECTORY, CHANGE_OPAQUE);
	uint32_t gone = add(&c, a, "gone", CHANGE_WHITEOUT,
			    CHANGE_NEEDED | CHANGE_KNOWN);

	(void)state;
	assert_int_equal(c.items[a].flags, CHANGE_OPAQUE | CHANGE_NEEDED);
	assert_int_equal(c.items[gone].flags, CHANGE_NEEDED | CHANGE_KNOWN);
	assert_int_equal(c.needed, 3);
	assert_int_equal(c.changed, 1);
}

static void test_links_count_when_they_are_needed(void **state)
{
	_cleanup_changes_ struct changes c = CHANGES_INIT;
	uint32_t root = add_root(&c);
	uint32_t a = add(&c, root, "a", CHANGE_OBJECT, CHANGE_LINKED);

	(void)state;
	assert_false(c.has_links);
	changes_need(&c, a);
	assert_true(c.has_links);
}

static void test_list_grows_and_keeps_what_it_has(void **state)
{
	_cleanup_changes_ struct changes c = CHANGES_INIT;
	uint32_t parent = add_root(&c);
	char name[32];

	(void)state;
	for (uint32_t i = 1; i < 5000; i++) {
		uint32_t item;

		snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(changes_add(&c, i % 100 ? parent : i - 1, name,
					     CHANGE_DIRECTORY, 0, i * 7, &item),
				 0);
		assert_int_equal(item, i);
	}
	for (uint32_t i = 1; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_string_equal(change_name(&c, i), name);
		assert_int_equal(c.items[i].parent, i % 100 ? parent : i - 1);
		assert_int_equal(c.items[i].captured, i * 7);
	}
}

static size_t open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static void assert_opens(struct walker *w, uint32_t item, const char *path)
{
	int fd = walker_open(w, item);
	struct stat want, got;

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(-fd));
	assert_int_equal(fstatat(w->root_fd, path, &want, 0), 0);
	assert_int_equal(fstat(fd, &got), 0);
	assert_int_equal(got.st_ino, want.st_ino);
}

static void test_walker_opens_directories_in_any_order(void **state)
{
	struct fixture *f = *state;
	_cleanup_changes_ struct changes c = CHANGES_INIT;
	struct walker w = {.changes = &c, .root_fd = f->host->state_fd};
	uint32_t root = add_root(&c);
	uint32_t a = add(&c, root, "a", CHANGE_DIRECTORY, 0);
	uint32_t ab = add(&c, a, "b", CHANGE_DIRECTORY, 0);
	uint32_t abc = add(&c, ab, "c", CHANGE_DIRECTORY, 0);
	uint32_t ad = add(&c, a, "d", CHANGE_DIRECTORY, 0);
	uint32_t e = add(&c, root, "e", CHANGE_DIRECTORY, 0);
	size_t before = open_descriptors();

	assert_int_equal(
		mkdir_parents_at(f->host->state_fd, "a/b/c", 0755) |
			mkdir_parents_at(f->host->state_fd, "a/d", 0755) |
			mkdir_parents_at(f->host->state_fd, "e", 0755),
		0);
	for (int i = 0; i < 2; i++) {
		assert_opens(&w, abc, "a/b/c");
		assert_opens(&w, abc, "a/b/c");
		assert_opens(&w, ab, "a/b");
		assert_opens(&w, ad, "a/d");
		assert_opens(&w, abc, "a/b/c");
		assert_opens(&w, e, "e");
		assert_opens(&w, root, ".");
		assert_opens(&w, a, "a");
	}
	assert_int_equal(open_descriptors(), before + 1);
	walker_release(&w);
	assert_int_equal(open_descriptors(), before);
}

static void test_walker_says_what_is_no_directory_any_more(void **state)
{
	struct fixture *f = *state;
	int dir = f->host->state_fd;
	_cleanup_changes_ struct changes c = CHANGES_INIT;
	struct walker w = {.changes = &c, .root_fd = dir};
	uint32_t root = add_root(&c);
	uint32_t a = add(&c, root, "a", CHANGE_DIRECTORY, 0);
	uint32_t b = add(&c, a, "b", CHANGE_DIRECTORY, 0);
	uint32_t deep = add(&c, b, "deep", CHANGE_DIRECTORY, 0);
	uint32_t other = add(&c, a, "other", CHANGE_DIRECTORY, 0);

	assert_int_equal(mkdir_parents_at(dir, "a/other/deep", 0755), 0);
	assert_int_equal(walker_open(&w, deep), -ENOENT);
	assert_opens(&w, other, "a/other");
	assert_int_equal(symlinkat("other", dir, "a/b"), 0);
	assert_int_equal(walker_open(&w, deep), -ENOTDIR);
	assert_opens(&w, a, "a");
	assert_int_equal(unlinkat(dir, "a/b", 0), 0);
	assert_int_equal(write_file_at(dir, "a/b", "", 0, 0600), 0);
	assert_int_equal(walker_open(&w, b), -ENOTDIR);
	assert_int_equal(walker_open(&w, b), -ENOTDIR);
	assert_opens(&w, other, "a/other");
	walker_release(&w);
}

static void test_walker_reaches_paths_beyond_path_max(void **state)
{
	enum {
		DEPTH = 40
	};
	struct fixture *f = *state;
	_cleanup_changes_ struct changes c = CHANGES_INIT;
	_cleanup_close_ int dir = dup(f->host->state_fd);
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct walker w = {.changes = &c, .root_fd = f->host->state_fd};
	uint32_t item = add_root(&c);
	ino_t inodes[DEPTH + 1] = {0};
	char name[201];
	struct stat st;

	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (int i = 1; i <= DEPTH; i++) {
		int next;

		item = add(&c, item, name, CHANGE_DIRECTORY, 0);
		assert_int_equal(mkdirat(dir, name, 0755), 0);
		next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(dir);
		dir = next;
		assert_int_equal(fstat(dir, &st), 0);
		inodes[i] = st.st_ino;
	}
	assert_int_equal(change_path(&c, item, &path), 0);
	assert_true(path.size > PATH_MAX);
	for (uint32_t i = DEPTH; i > 13; i -= 13) {
		int fd = walker_open(&w, i);

		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_ino, inodes[i]);
	}
	walker_release(&w);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_are_built_from_names),
		cmocka_unit_test(
			test_need_marks_the_item_and_its_directories_only),
		cmocka_unit_test(
			test_needed_items_mark_their_directories_when_added),
		cmocka_unit_test(test_links_count_when_they_are_needed),
		cmocka_unit_test(test_list_grows_and_keeps_what_it_has),
		T(test_walker_opens_directories_in_any_order),
		T(test_walker_says_what_is_no_directory_any_more),
		T(test_walker_reaches_paths_beyond_path_max),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
