/* SPDX-License-Identifier: Apache-2.0 */

/* The names of files that have several: those of the layers' indexes that a
 * merged tree still has. A plain directory plays the merged mount. */

#include "format/erofs-writer.h"
#include "volume-fixture.h"
#include "volume/links.h"

#include <limits.h>
#include <sys/mman.h>

static struct stat inode(uint64_t device, uint64_t number)
{
	return (struct stat){.st_dev = device, .st_ino = number};
}

static void test_set_finds_what_was_added_and_nothing_else(void **state)
{
	struct stat other = inode(1, 1);
	struct inode_set s = {0};
	uint32_t index;

	(void)state;
	assert_int_equal(inode_set_find(&s, &other), TABLE_NONE);
	for (uint64_t i = 0; i < 5000; i++) {
		struct stat st = inode(1, i * i << 20);

		assert_int_equal(inode_set_add(&s, &st, &index), 0);
		assert_int_equal(index, i);
	}
	for (uint64_t i = 0; i < 5000; i++) {
		struct stat st = inode(1, i * i << 20);

		assert_int_equal(inode_set_add(&s, &st, &index), 0);
		assert_int_equal(index, i);
		assert_int_equal(inode_set_find(&s, &st), i);
	}
	assert_int_equal(s.n, 5000);
	assert_int_equal(inode_set_find(&s, &other), TABLE_NONE);
	inode_set_release(&s);
	other = inode(1, 0);
	assert_int_equal(inode_set_find(&s, &other), TABLE_NONE);
}

static void test_set_tells_file_systems_apart(void **state)
{
	struct stat one = inode(1, 12), two = inode(2, 12);
	struct inode_set s = {0};
	uint32_t index;

	(void)state;
	assert_int_equal(inode_set_add(&s, &one, &index), 0);
	assert_int_equal(inode_set_find(&s, &two), TABLE_NONE);
	assert_int_equal(inode_set_add(&s, &two, &index), 0);
	assert_int_equal(index, 1);
	inode_set_release(&s);
}

/* An index with files "target" and hard links, in pairs of names. */
static struct erofs_reader *make_index(const char *const pairs[][2], size_t n)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	_cleanup_close_ int fd = memfd_create("index", MFD_CLOEXEC);
	struct erofs_reader *reader = NULL;
	const struct digest tar = {{1}};
	struct err err = ERR_INIT;
	uint64_t size;

	reader = NULL;
	assert_int_equal(erofs_writer_new(&w), 0);
	for (size_t i = 0; i < n; i++) {
		struct entry e = {.path = pairs[i][0],
				  .mode = S_IFREG | 0644,
				  .target = pairs[i][1],
				  .flags = pairs[i][1] ? ENTRY_HARDLINK : 0};

		if (erofs_writer_add(w, &e, &err) < 0)
			fail_msg("%s", err.text);
	}
	if (erofs_writer_finish(w, &tar, 1024, fd, &size, &err) < 0 ||
	    erofs_reader_open_fd(&reader, fd, &err) < 0)
		fail_msg("%s", err.text);
	return reader;
}

static void make_file(struct fixture *f, const char *path)
{
	int dir = f->host->state_fd;
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash) {
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path),
			 path);
		assert_int_equal(mkdir_parents_at(dir, parent, 0755), 0);
	}
	assert_int_equal(write_file_at(dir, path, "", 0, 0644), 0);
}

static void link_file(struct fixture *f, const char *from, const char *to)
{
	int dir = f->host->state_fd;

	make_file(f, to);
	assert_int_equal(unlinkat(dir, to, 0), 0);
	assert_int_equal(linkat(dir, from, dir, to, 0), 0);
}

static void want(struct fixture *f, struct inode_set *s, const char *path)
{
	struct stat st;
	uint32_t index;

	assert_int_equal(fstatat(f->host->state_fd, path, &st, 0), 0);
	assert_int_equal(inode_set_add(s, &st, &index), 0);
}

/* names: what must be found, directories with a slash at the end. */
static void assert_found_since(struct fixture *f,
			       struct erofs_reader *const *layers,
			       size_t n_layers, const struct inode_set *wanted,
			       int64_t since_ns, const char *names)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct link_names l = {0};

	assert_ok(f, link_names_find(layers, n_layers, f->host->state_fd,
				     wanted, since_ns, &l, &f->err));
	for (size_t i = 0; i < l.n; i++)
		assert_int_equal(buf_printf(&b, "%s%s ", l.items[i].path,
					    l.items[i].directory ? "/" : ""),
				 0);
	assert_string_equal(buf_str(&b), names);
	link_names_release(&l);
}

static void assert_found(struct fixture *f, struct erofs_reader *const *layers,
			 size_t n_layers, const struct inode_set *wanted,
			 const char *names)
{
	assert_found_since(f, layers, n_layers, wanted, INT64_MAX, names);
}

static void test_all_names_of_wanted_files_are_found_once(void **state)
{
	static const char *const lower[][2] = {
		{"a", NULL},	 {"d/e/b", "a"}, {"d/z", "a"},
		{"alone", NULL}, {"x", NULL},	 {"y", "x"},
	};
	static const char *const upper[][2] = {{"a", NULL}, {"new/c", "a"}};
	_cleanup_(erofs_reader_freep) struct erofs_reader *one =
		make_index(lower, ARRAY_SIZE(lower));
	_cleanup_(erofs_reader_freep) struct erofs_reader *two =
		make_index(upper, ARRAY_SIZE(upper));
	struct erofs_reader *const layers[] = {one, two};
	struct inode_set wanted = {0};
	struct fixture *f = *state;

	make_file(f, "a");
	link_file(f, "a", "d/e/b");
	link_file(f, "a", "d/z");
	link_file(f, "a", "new/c");
	make_file(f, "x");
	link_file(f, "x", "y");
	want(f, &wanted, "a");
	assert_found(f, layers, 2, &wanted, "a d/ d/e/ d/e/b d/z new/ new/c ");
	assert_found(f, layers, 1, &wanted, "a d/ d/e/ d/e/b d/z ");
	assert_found(f, layers, 0, &wanted, "");
	inode_set_release(&wanted);
	assert_found(f, layers, 2, &wanted, "");
}

static void test_names_of_other_files_by_now_are_left_out(void **state)
{
	static const char *const lower[][2] = {{"a", NULL},
					       {"deleted", "a"},
					       {"replaced", "a"},
					       {"directory", "a"},
					       {"kept", "a"}};
	_cleanup_(erofs_reader_freep) struct erofs_reader *layer =
		make_index(lower, ARRAY_SIZE(lower));
	struct inode_set wanted = {0};
	struct fixture *f = *state;

	make_file(f, "a");
	link_file(f, "a", "kept");
	make_file(f, "replaced");
	make_file(f, "directory/inside");
	want(f, &wanted, "a");
	assert_found(f, &layer, 1, &wanted, "a kept ");
	inode_set_release(&wanted);
}

static void test_directory_that_became_a_link_hides_its_names(void **state)
{
	static const char *const lower[][2] = {{"a/f", NULL}, {"b/f", "a/f"}};
	_cleanup_(erofs_reader_freep) struct erofs_reader *layer =
		make_index(lower, ARRAY_SIZE(lower));
	struct inode_set wanted = {0};
	struct fixture *f = *state;

	make_file(f, "a/f");
	link_file(f, "a/f", "c/f");
	assert_int_equal(symlinkat("c", f->host->state_fd, "b"), 0);
	want(f, &wanted, "a/f");
	assert_found(f, &layer, 1, &wanted, "a/ a/f ");
	inode_set_release(&wanted);
}

static void test_linked_symlinks_count_themselves(void **state)
{
	static const char *const lower[][2] = {{"a", NULL}, {"b", "a"}};
	_cleanup_(erofs_reader_freep) struct erofs_reader *layer =
		make_index(lower, ARRAY_SIZE(lower));
	struct inode_set wanted = {0};
	struct fixture *f = *state;
	int dir = f->host->state_fd;

	make_file(f, "target");
	assert_int_equal(symlinkat("target", dir, "a"), 0);
	assert_int_equal(linkat(dir, "a", dir, "b", 0), 0);
	want(f, &wanted, "target");
	assert_found(f, &layer, 1, &wanted, "");
	inode_set_release(&wanted);
}

/* The ctime of path, that of others made to differ by what is done between. */
static int64_t ctime_of(struct fixture *f, const char *path)
{
	struct stat st;

	assert_int_equal(
		fstatat(f->host->state_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
}

/* Changes path until its ctime is later than that of all before. */
static int64_t touch_later(struct fixture *f, const char *path)
{
	int64_t before = ctime_of(f, path);

	while (ctime_of(f, path) == before) {
		usleep(1000);
		assert_int_equal(fchmodat(f->host->state_fd, path, 0600, 0), 0);
	}
	return ctime_of(f, path);
}

static void test_names_of_files_changed_since_then_are_found(void **state)
{
	static const char *const lower[][2] = {
		{"old", NULL}, {"old2", "old"}, {"new", NULL}, {"new2", "new"}};
	_cleanup_(erofs_reader_freep) struct erofs_reader *layer =
		make_index(lower, ARRAY_SIZE(lower));
	const struct inode_set nothing = {0};
	struct fixture *f = *state;
	int64_t since;

	make_file(f, "new");
	link_file(f, "new", "new2");
	make_file(f, "old");
	link_file(f, "old", "old2");
	(void)touch_later(f, "old");
	since = touch_later(f, "new");
	while (since <= ctime_of(f, "old"))
		since = touch_later(f, "new");
	assert_found_since(f, &layer, 1, &nothing, since, "new new2 ");
	assert_found_since(f, &layer, 1, &nothing, since + 1, "");
	assert_found_since(f, &layer, 1, &nothing, INT64_MIN,
			   "new new2 old old2 ");
}

static void test_index_tells_files_that_lost_their_names(void **state)
{
	struct fixture *f = *state;
	int session = f->host->state_fd;
	int64_t changed;

	assert_int_equal(link_index_changed(session, INT64_MIN), 0);
	make_file(f, "work/index/named");
	link_file(f, "work/index/named", "upper/name");
	make_file(f, "work/index/directory/inside");
	assert_int_equal(link_index_changed(session, INT64_MIN), 0);
	make_file(f, "work/index/nameless");
	changed = touch_later(f, "work/index/nameless");
	assert_int_equal(link_index_changed(session, changed), 1);
	assert_int_equal(link_index_changed(session, changed + 1), 0);
	assert_int_equal(unlinkat(session, "work/index/nameless", 0), 0);
	assert_int_equal(unlinkat(session, "upper/name", 0), 0);
	assert_int_equal(link_index_changed(session, INT64_MIN), 1);
}

/* A path that takes more than one system call to reach. */
static void test_names_beyond_path_max_are_found(void **state)
{
	enum {
		DEPTH = 25,
		NAME = 200
	};
	struct fixture *f = *state;
	_cleanup_close_ int dir = dup(f->host->state_fd);
	_cleanup_buf_ struct buf path = BUF_INIT, names = BUF_INIT;
	_cleanup_(erofs_reader_freep) struct erofs_reader *layer = NULL;
	struct inode_set wanted = {0};
	char name[NAME + 1];

	memset(name, 'n', NAME);
	name[NAME] = 0;
	make_file(f, "a");
	assert_int_equal(buf_add_str(&names, "a "), 0);
	for (int i = 0; i < DEPTH; i++) {
		int next;

		assert_int_equal(mkdirat(dir, name, 0755), 0);
		next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(dir);
		dir = next;
		assert_int_equal(buf_add_str(&path, name), 0);
		assert_int_equal(buf_printf(&names, "%s/ ", buf_str(&path)), 0);
		assert_int_equal(buf_add_str(&path, "/"), 0);
	}
	assert_int_equal(linkat(f->host->state_fd, "a", dir, "b", 0), 0);
	assert_int_equal(buf_add_str(&path, "b"), 0);
	assert_int_equal(buf_printf(&names, "%s ", buf_str(&path)), 0);
	assert_true(path.size > PATH_MAX);
	{
		const char *const pairs[][2] = {{"a", NULL},
						{buf_str(&path), "a"}};

		layer = make_index(pairs, 2);
	}
	want(f, &wanted, "a");
	assert_found(f, &layer, 1, &wanted, buf_str(&names));
	inode_set_release(&wanted);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_set_finds_what_was_added_and_nothing_else),
		cmocka_unit_test(test_set_tells_file_systems_apart),
		T(test_all_names_of_wanted_files_are_found_once),
		T(test_names_of_other_files_by_now_are_left_out),
		T(test_directory_that_became_a_link_hides_its_names),
		T(test_linked_symlinks_count_themselves),
		T(test_names_of_files_changed_since_then_are_found),
		T(test_index_tells_files_that_lost_their_names),
		T(test_names_beyond_path_max_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
