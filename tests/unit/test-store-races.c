/* SPDX-License-Identifier: Apache-2.0 */

/* The directory store among racing processes, killed ones and full disks. */

#include "store-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define BLOB "blobs/sha256/aa"

static void assert_content(struct fixture *f, const char *key, const char *want)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(store_get(f->store, key, 1 << 20, &b, &f->err), 0);
	assert_int_equal(b.size, strlen(want));
	assert_memory_equal(b.data, want, b.size);
}

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x)) {                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,     \
				#x);                                           \
			_exit(1);                                              \
		}                                                              \
	} while (0)

/* Runs fn in n processes that start together; the number that exit with 0. */
static int race(struct fixture *f, int n, int (*fn)(struct fixture *f, int i))
{
	int gate[2], won = 0, status;
	char c;

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			(void)close(gate[1]);
			(void)!read(gate[0], &c, 1);
			_exit(fn(f, i));
		}
	}
	(void)close(gate[0]);
	(void)close(gate[1]);
	for (int i = 0; i < n; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status));
		assert_in_range(WEXITSTATUS(status), 0, 1);
		won += WEXITSTATUS(status) == 0;
	}
	return won;
}

static int create_one(struct fixture *f, int i)
{
	char text[16];
	int r;

	snprintf(text, sizeof(text), "racer %d", i);
	r = store_create(f->store, "volumes/v/1", text, strlen(text), NULL);
	return r == 0 ? 0 : r == -EEXIST ? 1 : 2;
}

static void test_one_of_eight_creators_wins(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(race(f, 8, create_one), 1);
	assert_int_equal(store_get(f->store, "volumes/v/1", 99, &b, &f->err),
			 0);
	assert_memory_equal(b.data, "racer ", 6);
	assert_int_equal(leftovers(f->path), 0);
}

static int open_new(struct fixture *f, int i)
{
	struct store *s;
	char path[128];

	snprintf(path, sizeof(path), "%s/fresh", f->top);
	if (store_open_dir(&s, path, true, NULL) < 0)
		return 2;
	if (store_put(s, BLOB, "a", 1, NULL) < 0)
		return 2;
	store_free(s);
	return 0;
}

static void test_eight_can_create_the_same_store(void **state)
{
	assert_int_equal(race(*state, 8, open_new), 8);
}

#define INCREMENTS 15

static int increment(struct fixture *f, int i)
{
	for (int done = 0; done < INCREMENTS;) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		struct store_tag tag;
		char text[32];
		int r;

		r = store_read_record(f->store, "counter", 99, &b, &tag, NULL);
		if (r < 0 && r != -ENOENT)
			return 2;
		snprintf(text, sizeof(text), "%lu",
			 r < 0 ? 1 : strtoul(buf_str(&b), NULL, 10) + 1);
		r = store_swap_record(f->store, "counter", r < 0 ? NULL : &tag,
				      text, strlen(text), NULL, NULL);
		if (r < 0)
			return 2;
		done += r == 0;
	}
	return 0;
}

static void test_no_swap_is_lost_among_processes(void **state)
{
	struct fixture *f = *state;
	char want[16];

	assert_int_equal(race(f, 6, increment), 6);
	snprintf(want, sizeof(want), "%d", 6 * INCREMENTS);
	assert_content(f, "counter", want);
}

#define DROPS 100

/* Half of them make and remove records, the others drop their place. */
static int make_or_drop(struct fixture *f, int i)
{
	char key[64];

	snprintf(key, sizeof(key), "volumes/x/record-%d", i);
	for (int n = 0; n < DROPS; n++) {
		if (i % 2) {
			CHECK(store_drop(f->store, "volumes/x/", &f->err) == 0);
			continue;
		}
		CHECK(store_swap_record(f->store, key, NULL, "x", 1, NULL,
					&f->err) == 0);
		CHECK(store_remove(f->store, key, &f->err) == 0);
	}
	if (i == 0)
		CHECK(store_swap_record(f->store, key, NULL, "last", 4, NULL,
					&f->err) == 0);
	return 0;
}

static void test_a_place_is_dropped_beside_writers_of_records(void **state)
{
	struct fixture *f = *state;
	char path[200];
	struct stat st;

	assert_int_equal(race(f, 4, make_or_drop), 4);
	assert_content(f, "volumes/x/record-0", "last");
	snprintf(path, sizeof(path), "%s/volumes/x", f->path);
	assert_int_equal(store_drop(f->store, "volumes/x/", &f->err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(store_remove(f->store, "volumes/x/record-0", &f->err),
			 0);
	assert_int_equal(store_drop(f->store, "volumes/x/", &f->err), 0);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(store_drop(f->store, "volumes/x/", &f->err), 0);
}

static int put_until_killed(struct fixture *f, int i)
{
	static char data[300000];

	memset(data, 'k', sizeof(data));
	for (unsigned n = 0;; n++) {
		char key[64];

		snprintf(key, sizeof(key), "packs/%02x/%u", n % 4, n);
		if (store_put(f->store, key, data, sizeof(data), NULL) < 0 ||
		    store_replace(f->store, "places", data, sizeof(data),
				  NULL) < 0)
			_exit(2);
	}
}

static int check_whole(const char *key, uint64_t size, void *ctx,
		       struct err *err)
{
	++*(size_t *)ctx;
	return size == 300000 ? 0 : -EBADMSG;
}

static void test_killed_writer_leaves_whole_objects_only(void **state)
{
	struct fixture *f = *state;
	struct timespec pause = {.tv_nsec = 7 * 1000 * 1000};
	size_t n = 0;

	for (int i = 0; i < 8; i++) {
		pid_t pid = fork();

		if (pid == 0)
			put_until_killed(f, i);
		pause.tv_nsec += 3 * 1000 * 1000;
		nanosleep(&pause, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	assert_int_equal(
		store_list(f->store, "packs/", check_whole, &n, &f->err), 0);
	assert_true(n > 0);
}

#ifdef LAYERD_FAULT_POINTS
/* Creates one object and swaps one record; dies or fails on the way. */
static int write_both(struct fixture *f, const char *point, const char *code)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct store_tag tag;
	int r;

	CHECK(store_read_record(f->store, "v/head", 9, &b, &tag, NULL) == 0);
	setenv("LAYERD_FAULT", point, 1);
	if (code)
		setenv("LAYERD_FAULT_ERRNO", code, 1);
	r = store_create(f->store, "v/1", "new", 3, NULL);
	if (r == 0)
		r = store_swap_record(f->store, "v/head", &tag, "new", 3, NULL,
				      NULL);
	return r < 0 ? 1 : 0;
}

static void assert_old_or_new(struct fixture *f)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	uint64_t size;
	int r;

	r = store_size(f->store, "v/1", &size, &f->err);
	assert_true(r == -ENOENT || (r == 0 && size == 3));
	assert_int_equal(store_get(f->store, "v/head", 9, &b, &f->err), 0);
	assert_int_equal(b.size, 3);
	assert_true(memcmp(b.data, "old", 3) == 0 ||
		    memcmp(b.data, "new", 3) == 0);
}

static void fail_at(struct fixture *f, const char *point, const char *code)
{
	int status;
	pid_t pid;

	assert_int_equal(store_replace(f->store, "v/head", "old", 3, &f->err),
			 0);
	assert_int_equal(store_remove(f->store, "v/1", &f->err), 0);
	pid = fork();
	if (pid == 0)
		_exit(write_both(f, point, code));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (code)
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	else
		assert_true(WIFSIGNALED(status));
	assert_old_or_new(f);
	/* The same again, undisturbed. */
	(void)store_create(f->store, "v/1", "new", 3, &f->err);
	assert_content(f, "v/1", "new");
	assert_int_equal(store_replace(f->store, "v/head", "new", 3, NULL), 0);
}
#endif

static void test_writes_that_end_at_any_step_can_be_repeated(void **state)
{
#ifdef LAYERD_FAULT_POINTS
	static const char *const points[] = {
		"store-sync",	"store-sync:2",	  "store-link",
		"store-rename", "store-sync-dir", "store-sync-dir:2"};

	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		fail_at(*state, points[i], NULL);
		fail_at(*state, points[i], "5");
	}
#else
	(void)state;
	print_message("needs a build with -Dfault_points=true\n");
	skip();
#endif
}

/*
 * Runs fn with a new store on a small tmpfs, in a mount namespace of its own.
 * Skips aloud without the privilege for that.
 */
static void on_small_disk(struct fixture *f,
			  void (*fn)(struct store *s, const char *path))
{
	struct store *s = NULL;
	struct err err = ERR_INIT;
	char path[128];
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("needs root to mount a small file system\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/small", f->top);
	assert_int_equal(mkdir(path, 0700), 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("small", path, "tmpfs", 0, "size=1m") < 0)
			_exit(77);
		if (store_open_dir(&s, path, true, &err) < 0)
			_exit(1);
		fn(s, path);
		store_free(s);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("no private mounts here\n");
		skip();
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void fill_disk(struct store *s, const char *path)
{
	_cleanup_free_ char *data = calloc(1, 4 << 20);
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct store_upload *u = NULL;
	struct err err = ERR_INIT;
	struct store_tag tag;

	CHECK(data);
	CHECK(store_swap_record(s, "counter", NULL, "1", 1, &tag, &err) == 0);
	CHECK(store_put(s, BLOB, data, 4 << 20, &err) == -ENOSPC);
	CHECK(strstr(err.text, path) && strstr(err.text, "4194304"));
	CHECK(strstr(err.text, "same command again"));
	CHECK(store_swap_record(s, "counter", &tag, data, 4 << 20, NULL,
				NULL) == -ENOSPC);
	CHECK(store_upload_new(s, 4 << 20, &u, NULL) == 0);
	CHECK(store_upload_add(u, data, 4 << 20, NULL) == -ENOSPC);
	store_upload_free(u);
	/* What was there is, and there is room again. */
	CHECK(store_get(s, "counter", 9, &b, NULL) == 0 && b.size == 1);
	CHECK(leftovers(path) == 0);
	CHECK(store_put(s, BLOB, data, 512 << 10, NULL) == 0);
}

static void test_full_store_says_so_and_loses_nothing(void **state)
{
	on_small_disk(*state, fill_disk);
}

static void write_read_only(struct store *s, const char *path)
{
	struct store *again = NULL;
	struct store_upload *u = NULL;
	struct err err = ERR_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;

	CHECK(store_put(s, BLOB, "abc", 3, NULL) == 0);
	CHECK(store_swap_record(s, "v/head", NULL, "1", 1, NULL, NULL) == 0);
	CHECK(mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	CHECK(store_open_dir(&again, path, true, NULL) == 0);
	CHECK(store_get(again, BLOB, 9, &b, NULL) == 0 && b.size == 3);
	CHECK(store_put(again, BLOB, "abc", 3, NULL) == 0);
	CHECK(store_put(again, "packs/aa/x", "abc", 3, &err) == -EROFS);
	CHECK(strstr(err.text, path) && strstr(err.text, "read-only"));
	CHECK(store_swap_record(again, "v/head", NULL, "1", 1, NULL, NULL) ==
	      -EROFS);
	CHECK(store_upload_new(again, 0, &u, NULL) == -EROFS);
	store_free(again);
}

static void test_read_only_store_can_be_read(void **state)
{
	on_small_disk(*state, write_read_only);
}

/* As on file systems without O_TMPFILE (NFS) and hard links (vfat). */
static void forbid_tmpfile_and_links(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY,
			 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(77);
}

static int use_plain_files(struct fixture *f)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct store_upload *u;
	struct store_tag tag;

	forbid_tmpfile_and_links();
	CHECK(openat(AT_FDCWD, f->path, O_TMPFILE | O_WRONLY, 0600) < 0);
	CHECK(errno == EOPNOTSUPP);
	CHECK(store_create(f->store, "v/1", "a", 1, NULL) == 0);
	CHECK(store_create(f->store, "v/1", "b", 1, NULL) == -EEXIST);
	CHECK(store_put(f->store, "v/1", "bc", 2, NULL) == 0);
	CHECK(store_replace(f->store, "v/1", "def", 3, NULL) == 0);
	CHECK(store_get(f->store, "v/1", 9, &b, NULL) == 0 && b.size == 3);
	CHECK(store_swap_record(f->store, "v/head", NULL, "1", 1, &tag, NULL) ==
	      0);
	CHECK(store_swap_record(f->store, "v/head", &tag, "2", 1, NULL, NULL) ==
	      0);
	CHECK(store_upload_new(f->store, 3, &u, NULL) == 0);
	CHECK(store_upload_add(u, "abc", 3, NULL) == 0);
	CHECK(store_upload_finish(u, "packs/aa/x", NULL) == 0);
	CHECK(store_upload_new(f->store, 3, &u, NULL) == 0);
	store_upload_free(u);
	CHECK(leftovers(f->path) == 0);
	return 0;
}

static void test_store_needs_neither_tmpfile_nor_links(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(use_plain_files(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("no seccomp filters here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_content(f, "v/head", "2");
	assert_content(f, "packs/aa/x", "abc");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_one_of_eight_creators_wins),
		T(test_eight_can_create_the_same_store),
		T(test_no_swap_is_lost_among_processes),
		T(test_a_place_is_dropped_beside_writers_of_records),
		T(test_killed_writer_leaves_whole_objects_only),
		T(test_writes_that_end_at_any_step_can_be_repeated),
		T(test_full_store_says_so_and_loses_nothing),
		T(test_read_only_store_can_be_read),
		T(test_store_needs_neither_tmpfile_nor_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
