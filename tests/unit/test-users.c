/* SPDX-License-Identifier: Apache-2.0 */

/* Who uses a file system, and where it is attached: told from /proc, about
 * mounts and processes that the tests make. Needs root. */

#include "mount/users.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

/* What mountinfo and a naive reader of it would trip over. */
#define ODD_NAME "a b\tc\nd\\e\\040f"

struct fixture {
	char top[64];
	char a[128]; /* a tmpfs */
	char b[128];
	dev_t device;
	struct err err;
};

static bool private_mounts;

/* One for the whole program: what it mounts ends with it. */
static int enter_namespace(void **state)
{
	(void)state;
	private_mounts = unshare(CLONE_NEWNS) == 0 &&
			 mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	if (!private_mounts)
		print_message("needs root for mounts of its own\n");
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");
	struct stat st;

	assert_non_null(f);
	*state = f;
	snprintf(f->top, sizeof(f->top), "%.40s/test-users-XXXXXX",
		 tmp && strlen(tmp) <= 40 ? tmp : "/var/tmp");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->a, sizeof(f->a), "%s/" ODD_NAME, f->top);
	snprintf(f->b, sizeof(f->b), "%s/b", f->top);
	assert_int_equal(mkdir(f->a, 0755), 0);
	assert_int_equal(mkdir(f->b, 0755), 0);
	if (!private_mounts)
		return 0;
	assert_int_equal(mount("users", f->a, "tmpfs", 0, NULL), 0);
	assert_int_equal(stat(f->a, &st), 0);
	f->device = st.st_dev;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	while (umount2(f->a, MNT_DETACH) == 0)
		continue;
	while (umount2(f->b, MNT_DETACH) == 0)
		continue;
	assert_int_equal(remove_tree_at(AT_FDCWD, f->top), 0);
	free(f);
	return 0;
}

static void need_mounts(void)
{
	if (!private_mounts)
		skip();
}

/* A process that prepares itself, waits, and dies with the test. */
struct child {
	pid_t pid;
	int stop; /* closed to end it */
};

static struct child start(struct fixture *f, int (*prepare)(struct fixture *))
{
	int ready[2], stop[2];
	struct child c;
	char byte = 0;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(stop[1]);
		byte = prepare(f) == 0 ? 'y' : 'n';
		if (write(ready[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(stop[0], &byte, 1) == 0 ? 0 : 1);
	}
	(void)close(ready[1]);
	(void)close(stop[0]);
	c.stop = stop[1];
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	assert_int_equal(byte, 'y');
	return c;
}

static void stop(struct child *c)
{
	int status;

	(void)close(c->stop);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	assert_int_equal(status, 0);
}

static void find(struct fixture *f, pid_t first, const char *skipped,
		 struct mount_places *ret)
{
	assert_int_equal(
		mount_places_find(f->device, first, skipped, ret, &f->err), 0);
}

static void assert_place(const struct mount_places *p, size_t i, pid_t pid,
			 const char *path)
{
	assert_true(i < p->n);
	assert_int_equal(p->items[i].pid, pid);
	assert_string_equal(p->items[i].path, path);
}

static void test_every_place_is_found_under_its_real_name(void **state)
{
	_cleanup_mount_places_ struct mount_places p = {0};
	struct fixture *f = *state;

	need_mounts();
	assert_int_equal(mount(f->a, f->b, NULL, MS_BIND, NULL), 0);
	find(f, 0, NULL, &p);
	assert_int_equal(p.n, 2);
	assert_place(&p, 0, getpid(), f->a);
	assert_place(&p, 1, getpid(), f->b);
}

static void test_places_at_or_below_the_skipped_path_are_left_out(void **state)
{
	struct fixture *f = *state;
	char inner[160];

	need_mounts();
	snprintf(inner, sizeof(inner), "%s/inner", f->a);
	assert_int_equal(mkdir(inner, 0755), 0);
	assert_int_equal(mount(f->a, inner, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(f->a, f->b, NULL, MS_BIND, NULL), 0);
	{
		_cleanup_mount_places_ struct mount_places p = {0};

		find(f, 0, f->a, &p);
		assert_int_equal(p.n, 1);
		assert_place(&p, 0, getpid(), f->b);
	}
	{
		/* ".../b" is not below ".../" cut short. */
		_cleanup_mount_places_ struct mount_places p = {0};
		char cut[160];

		snprintf(cut, sizeof(cut), "%.*s", (int)strlen(f->b) - 1, f->b);
		find(f, 0, cut, &p);
		assert_int_equal(p.n, 3);
	}
	assert_int_equal(umount2(inner, 0), 0);
}

static void test_file_system_that_is_nowhere_has_no_places(void **state)
{
	_cleanup_mount_places_ struct mount_places p = {0};
	struct fixture *f = *state;

	need_mounts();
	assert_int_equal(umount2(f->a, 0), 0);
	find(f, 0, NULL, &p);
	assert_int_equal(p.n, 0);
}

static int into_own_namespace(struct fixture *f)
{
	return unshare(CLONE_NEWNS) == 0 &&
			       mount(f->a, f->b, NULL, MS_BIND, NULL) == 0 &&
			       umount2(f->a, 0) == 0
		       ? 0
		       : -1;
}

static void test_other_namespaces_are_searched_the_callers_first(void **state)
{
	struct fixture *f = *state;
	struct child c;

	need_mounts();
	c = start(f, into_own_namespace);
	{
		_cleanup_mount_places_ struct mount_places p = {0};

		find(f, c.pid, NULL, &p);
		assert_int_equal(p.n, 2);
		assert_place(&p, 0, c.pid, f->b);
		assert_place(&p, 1, getpid(), f->a);
	}
	{
		_cleanup_mount_places_ struct mount_places p = {0};

		find(f, 0, NULL, &p);
		assert_int_equal(p.n, 2);
		assert_place(&p, 0, getpid(), f->a);
		assert_place(&p, 1, c.pid, f->b);
	}
	stop(&c);
	{
		/* The caller is gone: that is no error. */
		_cleanup_mount_places_ struct mount_places p = {0};

		find(f, c.pid, NULL, &p);
		assert_int_equal(p.n, 1);
	}
}

static int same_namespace(struct fixture *f)
{
	(void)f;
	return 0;
}

static void test_each_namespace_is_reported_once(void **state)
{
	_cleanup_mount_places_ struct mount_places p = {0};
	struct fixture *f = *state;
	struct child c;

	need_mounts();
	c = start(f, same_namespace);
	find(f, c.pid, NULL, &p);
	assert_int_equal(p.n, 1);
	assert_place(&p, 0, c.pid, f->a);
	stop(&c);
}

static void test_overlay_is_found_by_its_device(void **state)
{
	_cleanup_mount_places_ struct mount_places p = {0};
	struct fixture *f = *state;
	char options[600];
	struct stat st;

	need_mounts();
	assert_int_equal(chdir(f->a), 0);
	assert_int_equal(mkdir("lower", 0755) | mkdir("upper", 0755) |
				 mkdir("work", 0755),
			 0);
	snprintf(options, sizeof(options),
		 "lowerdir=lower,upperdir=upper,workdir=work");
	if (mount("overlay", f->b, "overlay", 0, options) < 0) {
		assert_int_equal(chdir("/"), 0);
		print_message("no overlay over a tmpfs here\n");
		skip();
	}
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(stat(f->b, &st), 0);
	f->device = st.st_dev;
	find(f, 0, NULL, &p);
	assert_int_equal(p.n, 1);
	assert_place(&p, 0, getpid(), f->b);
	assert_int_equal(umount2(f->b, 0), 0);
}

/* What is said about one child that uses the file system somehow. */
static void assert_described(struct fixture *f,
			     int (*prepare)(struct fixture *), const char *how)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct child c = start(f, prepare);
	char want[128];

	snprintf(want, sizeof(want), "culprit (pid %d, %s)", (int)c.pid, how);
	assert_int_equal(mount_users_describe(f->device, &b), 1);
	assert_string_equal(buf_str(&b), want);
	stop(&c);
}

static int open_here(struct fixture *f)
{
	char path[160];

	(void)prctl(PR_SET_NAME, "culprit");
	snprintf(path, sizeof(path), "%s/file", f->a);
	return open(path, O_RDWR | O_CREAT, 0600);
}

static int use_directory(struct fixture *f)
{
	(void)prctl(PR_SET_NAME, "culprit");
	return chdir(f->a);
}

static int use_root(struct fixture *f)
{
	(void)prctl(PR_SET_NAME, "culprit");
	return chroot(f->a) < 0 ? -1 : 0;
}

static int use_open_file(struct fixture *f)
{
	return open_here(f) < 0 ? -1 : 0;
}

static int use_mapping(struct fixture *f)
{
	int fd = open_here(f);
	bool mapped =
		fd >= 0 && ftruncate(fd, 4096) == 0 &&
		mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED;

	(void)close(fd);
	return mapped ? 0 : -1;
}

static void test_users_are_named_with_what_they_hold(void **state)
{
	struct fixture *f = *state;

	need_mounts();
	assert_described(f, use_directory, "working directory");
	assert_described(f, use_root, "root directory");
	assert_described(f, use_open_file, "open file");
	assert_described(f, use_mapping, "mapped file");
}

static void test_running_program_is_a_user(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT, program = BUF_INIT;
	struct fixture *f = *state;
	char path[160], want[64];
	int pipes[2], status;
	pid_t pid;

	need_mounts();
	snprintf(path, sizeof(path), "%s/culprit", f->a);
	assert_int_equal(read_file_at(AT_FDCWD, "/bin/cat", 64 << 20, &program),
			 0);
	assert_int_equal(
		write_file_at(AT_FDCWD, path, program.data, program.size, 0755),
		0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(pipes[0], 0);
		(void)execl(path, "culprit", (char *)NULL);
		_exit(1);
	}
	snprintf(want, sizeof(want), "culprit (pid %d, running program)",
		 (int)pid);
	/* Until it has become the program, it is none of the users. */
	for (int i = 0; i < 500 && mount_users_describe(f->device, &b) == 0;
	     i++)
		usleep(10000);
	assert_string_equal(buf_str(&b), want);
	(void)close(pipes[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)close(pipes[0]);
}

static void test_more_than_five_users_are_counted(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	struct child children[7];
	size_t named = 0;

	need_mounts();
	for (size_t i = 0; i < ARRAY_SIZE(children); i++)
		children[i] = start(f, use_directory);
	assert_int_equal(mount_users_describe(f->device, &b), 7);
	assert_non_null(strstr(buf_str(&b), " and 2 more"));
	for (const char *s = buf_str(&b); (s = strstr(s, "(pid ")); s++)
		named++;
	assert_int_equal(named, 5);
	/* The later ones hold the pipes of those before them. */
	for (size_t i = ARRAY_SIZE(children); i-- > 0;)
		stop(&children[i]);
}

static void test_nobody_is_described_by_nothing(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	need_mounts();
	assert_int_equal(mount_users_describe(f->device, &b), 0);
	assert_int_equal(b.size, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_every_place_is_found_under_its_real_name),
		T(test_places_at_or_below_the_skipped_path_are_left_out),
		T(test_file_system_that_is_nowhere_has_no_places),
		T(test_other_namespaces_are_searched_the_callers_first),
		T(test_each_namespace_is_reported_once),
		T(test_overlay_is_found_by_its_device),
		T(test_users_are_named_with_what_they_hold),
		T(test_running_program_is_a_user),
		T(test_more_than_five_users_are_counted),
		T(test_nobody_is_described_by_nothing),
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
