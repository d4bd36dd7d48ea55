/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, files that are published all at once, and trees that
 * are removed without a step outside them. */
#include "util/cleanup.h"
#include "util/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

struct dir {
	char path[64];
	int fd;
};

static int dir_setup(void **state)
{
	struct dir *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	snprintf(d->path, sizeof(d->path), "/tmp/test-util.XXXXXX");
	assert_non_null(mkdtemp(d->path));
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(d->fd >= 0);
	*state = d;
	return 0;
}

static int dir_teardown(void **state)
{
	struct dir *d = *state;
	int r;

	r = remove_tree_at(AT_FDCWD, d->path);
	close(d->fd);
	assert_int_equal(r, 0);
	assert_int_equal(access(d->path, F_OK), -1);
	free(d);
	return 0;
}

static size_t count_names(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	size_t n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void assert_contents(int dirfd, const char *path, const char *want)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(read_file_at(dirfd, path, 1 << 20, &b), 0);
	assert_string_equal(buf_str(&b), want);
}

static void test_written_file_has_its_contents_and_mode(void **state)
{
	struct dir *d = *state;
	struct stat st;

	assert_int_equal(write_file_at(d->fd, "f", "abc", 3, 0600), 0);
	assert_contents(d->fd, "f", "abc");
	assert_int_equal(fstatat(d->fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(count_names(d->fd), 1);
}

/* Whoever has the old file open keeps the old bytes: it was not written to. */
static void test_replacing_a_file_leaves_the_old_one_whole(void **state)
{
	struct dir *d = *state;
	_cleanup_close_ int old = -1;
	struct stat before, after;
	char bytes[3];

	assert_int_equal(write_file_at(d->fd, "f", "old", 3, 0600), 0);
	old = openat(d->fd, "f", O_RDONLY | O_CLOEXEC);
	assert_true(old >= 0);
	assert_int_equal(fstat(old, &before), 0);
	assert_int_equal(write_file_at(d->fd, "f", "newer", 5, 0600), 0);
	assert_int_equal(pread_full(old, bytes, 3, 0), 0);
	assert_memory_equal(bytes, "old", 3);
	assert_int_equal(fstatat(d->fd, "f", &after, 0), 0);
	assert_true(before.st_ino != after.st_ino);
	assert_contents(d->fd, "f", "newer");
	assert_int_equal(count_names(d->fd), 1);
}

static void test_failed_write_keeps_the_old_file(void **state)
{
	struct rlimit limit, small;
	struct dir *d = *state;
	char big[8192] = "";
	int r;

	assert_int_equal(write_file_at(d->fd, "f", "old", 3, 0600), 0);
	/* A file that may not grow is a disk that is full. */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){.rlim_cur = 4096, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	r = write_file_at(d->fd, "f", big, sizeof(big), 0600);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(r, -EFBIG);
	assert_contents(d->fd, "f", "old");
	assert_int_equal(count_names(d->fd), 1);
}

static void test_write_that_cannot_replace_leaves_no_rest(void **state)
{
	struct dir *d = *state;

	assert_int_equal(mkdirat(d->fd, "f", 0700), 0);
	assert_int_equal(write_file_at(d->fd, "f", "x", 1, 0600), -EISDIR);
	assert_int_equal(write_file_at(d->fd, "no/f", "x", 1, 0600), -ENOENT);
	assert_int_equal(count_names(d->fd), 1);
}

static void test_write_replaces_a_symlink_and_not_its_target(void **state)
{
	struct dir *d = *state;
	struct stat st;

	assert_int_equal(write_file_at(d->fd, "target", "t", 1, 0600), 0);
	assert_int_equal(symlinkat("target", d->fd, "link"), 0);
	assert_int_equal(write_file_at(d->fd, "link", "new", 3, 0600), 0);
	assert_contents(d->fd, "target", "t");
	assert_int_equal(fstatat(d->fd, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void test_read_is_bounded_and_only_of_files(void **state)
{
	struct dir *d = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(write_file_at(d->fd, "f", "12345", 5, 0600), 0);
	assert_int_equal(read_file_at(d->fd, "f", 4, &b), -EFBIG);
	assert_int_equal(read_file_at(d->fd, ".", 4, &b), -EISDIR);
	assert_int_equal(read_file_at(d->fd, "none", 4, &b), -ENOENT);
	assert_int_equal(b.size, 0);
	assert_int_equal(read_file_at(d->fd, "f", 5, &b), 0);
	assert_int_equal(read_file_at(d->fd, "f", 5, &b), 0);
	assert_string_equal(buf_str(&b), "1234512345");
}

static void test_read_past_the_end_is_an_error(void **state)
{
	struct dir *d = *state;
	_cleanup_close_ int fd = -1;
	char bytes[8];

	assert_int_equal(write_file_at(d->fd, "f", "12345", 5, 0600), 0);
	fd = openat(d->fd, "f", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread_full(fd, bytes, 5, 0), 0);
	assert_int_equal(pread_full(fd, bytes, 5, 1), -ENODATA);
	assert_int_equal(read_full(fd, bytes, 6), -ENODATA);
	assert_int_equal(pwrite_full(fd, "ab", 2, 4), 0);
	assert_contents(d->fd, "f", "1234ab");
	assert_int_equal(read_full(-1, bytes, 1), -EBADF);
	assert_int_equal(write_full(-1, bytes, 1), -EBADF);
}

static void test_missing_parents_are_made(void **state)
{
	struct dir *d = *state;
	struct stat st;

	assert_int_equal(mkdir_parents_at(d->fd, "a/b/c", 0700), 0);
	assert_int_equal(mkdir_parents_at(d->fd, "a/b/c", 0700), 0);
	assert_int_equal(fstatat(d->fd, "a/b/c", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(fsync_parent_at(d->fd, "a/b/c"), 0);
	assert_int_equal(fsync_parent_at(d->fd, "a"), 0);
	assert_int_equal(fsync_parent_at(d->fd, "x/b"), -ENOENT);
}

static void test_remove_does_not_follow_symlinks(void **state)
{
	struct dir *d = *state;

	assert_int_equal(mkdir_parents_at(d->fd, "kept/sub", 0700), 0);
	assert_int_equal(write_file_at(d->fd, "kept/f", "k", 1, 0600), 0);
	assert_int_equal(mkdir_parents_at(d->fd, "gone/a/b", 0700), 0);
	assert_int_equal(write_file_at(d->fd, "gone/a/f", "g", 1, 0600), 0);
	assert_int_equal(symlinkat("../kept", d->fd, "gone/link"), 0);
	assert_int_equal(symlinkat("../../kept/f", d->fd, "gone/a/file"), 0);
	assert_int_equal(symlinkat("kept", d->fd, "link"), 0);
	assert_int_equal(remove_tree_at(d->fd, "gone"), 0);
	assert_int_equal(remove_tree_at(d->fd, "link"), 0);
	assert_contents(d->fd, "kept/f", "k");
	assert_int_equal(faccessat(d->fd, "kept/sub", F_OK, 0), 0);
	assert_int_equal(count_names(d->fd), 1);
	assert_int_equal(remove_tree_at(d->fd, "gone"), 0);
}

static void test_deep_trees_are_removed(void **state)
{
	struct dir *d = *state;
	_cleanup_close_ int fd = dup(d->fd);
	struct rlimit old, few = {.rlim_cur = 32};

	for (int i = 0; i < 5000; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "deep", 0700), 0);
		next = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(remove_tree_at(d->fd, "deep"), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(count_names(d->fd), 0);
}

static void test_wide_and_deep_trees_are_removed(void **state)
{
	struct dir *d = *state;
	char path[64];

	for (int i = 0; i < 12; i++)
		for (int j = 0; j < 12; j++) {
			snprintf(path, sizeof(path), "t/.removed-%d/%d/a/b", i,
				 j);
			assert_int_equal(mkdir_parents_at(d->fd, path, 0700),
					 0);
			snprintf(path, sizeof(path), "t/.removed-%d/%d/a/b/f",
				 i, j);
			assert_int_equal(
				write_file_at(d->fd, path, "x", 1, 0600), 0);
		}
	assert_int_equal(remove_tree_at(d->fd, "t"), 0);
	assert_int_equal(count_names(d->fd), 0);
}

static void test_removal_can_be_stopped(void **state)
{
	struct dir *d = *state;
	atomic_bool stop = true;

	assert_int_equal(mkdir_parents_at(d->fd, "t/a/b", 0700), 0);
	assert_int_equal(remove_tree_until(d->fd, "t", &stop), -ECANCELED);
	assert_int_equal(faccessat(d->fd, "t", F_OK, 0), 0);
}

static void test_lock_is_exclusive_and_ends_with_its_file(void **state)
{
	struct dir *d = *state;
	int a, b;

	a = openat(d->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	b = openat(d->fd, "lock", O_RDWR | O_CLOEXEC);
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(lock_fd(a, false), 0);
	assert_int_equal(lock_fd(b, false), -EWOULDBLOCK);
	close(a);
	assert_int_equal(lock_fd(b, true), 0);
	close(b);
}

#define CASE(name)                                                             \
	cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_written_file_has_its_contents_and_mode),
		CASE(test_replacing_a_file_leaves_the_old_one_whole),
		CASE(test_failed_write_keeps_the_old_file),
		CASE(test_write_that_cannot_replace_leaves_no_rest),
		CASE(test_write_replaces_a_symlink_and_not_its_target),
		CASE(test_read_is_bounded_and_only_of_files),
		CASE(test_read_past_the_end_is_an_error),
		CASE(test_missing_parents_are_made),
		CASE(test_remove_does_not_follow_symlinks),
		CASE(test_deep_trees_are_removed),
		CASE(test_wide_and_deep_trees_are_removed),
		CASE(test_removal_can_be_stopped),
		CASE(test_lock_is_exclusive_and_ends_with_its_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
