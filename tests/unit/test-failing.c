/* SPDX-License-Identifier: Apache-2.0 */

/* Each allocation, or each system call for files and mounts, of a seal, of a
 * mount and of gc fails once. The operation says so or does without; nothing
 * leaks (the sanitizer looks), and repeating it succeeds. Needs root, as it
 * mounts. The argument is "memory" or "io". */

#include "volume-fixture.h"

#include "failing-io.h"
#include "failing-malloc.h"

#include "mount/apply.h"
#include "volume/gc.h"
#include "volume/mounting.h"
#include "volume/remove.h"
#include "volume/seal.h"
#include "volume/session.h"
#include "volume/verify.h"
#include "volume/volume.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/xattr.h>

/* Runs in which a place may be reached. */
#define TRIES 10

/* What the volume "data" began with. */
static struct version *data_version;

static const struct seal_options options = {.message = "a message"};

struct work {
	/* What may fail; i numbers the calls from 0. */
	int (*run)(struct fixture *f, size_t i);
	/* After run returned r: puts right what it left, checks the result. */
	void (*check)(struct fixture *f, size_t i, int r);
};

/* Run number run, in which the i-th place after the first two runs fails if it
 * is reached; whether it was. */
static bool fail_once(struct fixture *f, const struct work *w, size_t i,
		      size_t run)
{
	bool failed;
	int r;

	f->err = ERR_INIT;
	if (i == 1)
		failing_record();
	else if (i > 1)
		failing_arm(i - 2);
	r = w->run(f, run);
	failed = failing_stop();
	if (r < 0 && (!failed || r != f->err.code || !f->err.text[0] ||
		      (failing.error == ENOMEM && r != -ENOMEM)))
		fail_msg("run %zu: %d, %d: %s", run, r, f->err.code,
			 f->err.text);
	w->check(f, run, r);
	return failed;
}

/* The first run is for what is allocated once in a process, the second one
 * finds the places, and then each of them fails in one. Threads share work
 * differently each time, so that a place may not be reached at once, or, on a
 * busy machine, never again. All are started here, as the callers are what
 * places are known by. */
static void fail_everywhere(struct fixture *f, const struct work *w)
{
	size_t failed = 0, run = 0;
	int tries;

	failing.n = 0;
	for (size_t i = 0; i < 2 + failing.n; i++) {
		bool reached = false;

		tries = i < 2 ? 1 : TRIES;
		while (!reached && tries-- > 0)
			reached = fail_once(f, w, i, run++);
		failed += reached;
	}
	print_message("%zu of %zu places failed\n", failed, failing.n);
	assert_true(failed > failing.n / 2);
}

static void write_file(int dir, const char *name, size_t size, uint64_t seed)
{
	_cleanup_close_ int fd = openat(
		dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	_cleanup_free_ uint8_t *data = malloc(size + 8);

	assert_true(fd >= 0 && data);
	fill_random(&seed, data, size);
	assert_int_equal(write_full(fd, data, size), 0);
}

static void fill_tree(int dir)
{
	_cleanup_close_ int fd = -1;

	write_file(dir, "small", 100, 1);
	write_file(dir, "large", 300000, 2);
	assert_int_equal(linkat(dir, "large", dir, "link", 0), 0);
	assert_int_equal(symlinkat("small", dir, "symlink"), 0);
	assert_int_equal(mkdirat(dir, "directory", 0755), 0);
	write_file(dir, "directory/file", 5000, 3);
	fd = openat(dir, "small", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fsetxattr(fd, "user.note", "text", 4, 0), 0);
	close(fd);
	fd = openat(dir, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(ftruncate(fd, 4 << 20), 0);
	assert_int_equal(pwrite_full(fd, "data", 4, 2 << 20), 0);
}

static void make_tree(const struct fixture *f)
{
	_cleanup_close_ int fd = -1;

	assert_int_equal(mkdirat(f->host->state_fd, "tree", 0755), 0);
	fd = openat(f->host->state_fd, "tree",
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fill_tree(fd);
}

static int setup_host(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char state_dir[128], runtime_dir[128];

	assert_non_null(f);
	*state = f;
	if (geteuid() != 0)
		return 0;
	make_top(f->top);
	snprintf(state_dir, sizeof(state_dir), "%s/state", f->top);
	snprintf(runtime_dir, sizeof(runtime_dir), "%s/run", f->top);
	assert_int_equal(mkdir(state_dir, 0700), 0);
	assert_int_equal(mkdir(runtime_dir, 0700), 0);
	assert_ok(f,
		  host_open(&f->host, state_dir, runtime_dir, NULL, &f->err));
	make_tree(f);
	return 0;
}

static int teardown_host(void **state)
{
	struct fixture *f = *state;

	if (f->host) {
		assert_ok(f, mounting_sweep(f->host, &f->err));
		assert_ok(f, session_collect_trash(f->host, &f->err));
		version_freep(&data_version);
		(void)umount2(f->host->lower_dir, MNT_DETACH);
		(void)umount2(f->host->mount_dir, MNT_DETACH);
		host_free(f->host);
		assert_int_equal(remove_tree_at(AT_FDCWD, f->top), 0);
	}
	free(f);
	return 0;
}

static void need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("needs root, as it mounts\n");
	skip();
}

static int seal_tree(struct fixture *f, const char *name)
{
	_cleanup_close_ int fd = openat(f->host->state_fd, "tree",
					O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct seal_result result = {0};
	int r = seal_directory(f->host, name, fd, &options, &result, &f->err);

	if (r == 0)
		seal_result_release(&result);
	return r;
}

static void assert_head_is_whole(struct fixture *f, const char *name)
{
	_cleanup_resolved_ struct resolved found = {0};
	_cleanup_(version_freep) struct version *v = NULL;
	struct verified verified;

	assert_ok(f, reference_resolve(f->host, name, &found, &f->err));
	assert_ok(f, version_load(f->host, &found.version, &v, &f->err));
	assert_true(v->n_layers > 0);
	for (size_t i = 0; i < v->n_layers; i++)
		assert_ok(f, layer_verify(f->host, &v->layers[i].tar,
					  &v->layers[i].object, NULL, &verified,
					  &f->err));
}

static const char *numbered(char name[static 32], size_t i)
{
	snprintf(name, 32, "volume-%zu", i);
	return name;
}

static int run_new(struct fixture *f, size_t i)
{
	char name[32];

	return seal_tree(f, numbered(name, i));
}

static void check_new(struct fixture *f, size_t i, int r)
{
	char name[32];
	int again = seal_tree(f, numbered(name, i));

	/* A failure at the very end may come after the volume was made. */
	if (r == 0)
		assert_int_equal(again, -EEXIST);
	else if (again != 0)
		assert_int_equal(again, -EEXIST);
	assert_head_is_whole(f, name);
}

static void test_new_that_fails_can_be_repeated(void **state)
{
	static const struct work w = {run_new, check_new};

	need_root();
	fail_everywhere(*state, &w);
}

static void make_data(struct fixture *f)
{
	_cleanup_resolved_ struct resolved found = {0};

	assert_ok(f, seal_tree(f, "data"));
	assert_ok(f, reference_resolve(f->host, "data", &found, &f->err));
	assert_ok(f, version_load(f->host, &found.version, &data_version,
				  &f->err));
}

/* The layer is not in the cache. */
static int run_mount(struct fixture *f, size_t i)
{
	const struct version *v = data_version;
	_cleanup_close_ int fd = -1;

	(void)i;
	return mounting_make(f->host, v->layers, v->n_layers, "data@1", NULL,
			     NULL, false, NULL, &fd, &f->err);
}

static void empty_cache(struct fixture *f)
{
	const struct version *v = data_version;
	char hex[DIGEST_HEX_SIZE], path[DIGEST_HEX_SIZE + 8];

	assert_ok(f, mounting_sweep(f->host, &f->err));
	for (size_t i = 0; i < v->n_layers; i++) {
		digest_hex(&v->layers[i].tar, hex);
		snprintf(path, sizeof(path), "cache/%s", hex);
		(void)remove_tree_at(f->host->state_fd, path);
	}
}

static void check_mount(struct fixture *f, size_t i, int r)
{
	if (r < 0)
		assert_ok(f, run_mount(f, i));
	empty_cache(f);
}

static void test_mount_that_fails_can_be_repeated(void **state)
{
	static const struct work w = {run_mount, check_mount};
	struct fixture *f = *state;

	need_root();
	make_data(f);
	empty_cache(f);
	fail_everywhere(f, &w);
}

static int start_session(struct fixture *f)
{
	_cleanup_(session_freep) struct session *s = NULL;
	_cleanup_close_ int root = -1;
	int r = session_find(f->host, "data", true, &s, &f->err);

	if (r == -ENOENT)
		r = session_create(f->host, "data", &s, &f->err);
	return r < 0 ? r : session_mount(f->host, s, NULL, &root, &f->err);
}

static int end_session(struct fixture *f)
{
	_cleanup_(session_freep) struct session *s = NULL;
	int r = session_find(f->host, "data", true, &s, &f->err);

	return r < 0 ? r : session_remove(f->host, s, &f->err);
}

static int run_session(struct fixture *f, size_t i)
{
	(void)i;
	return start_session(f);
}

static void check_session(struct fixture *f, size_t i, int r)
{
	(void)i;
	if (r < 0)
		assert_ok(f, start_session(f));
	assert_ok(f, end_session(f));
	empty_cache(f);
}

static void test_session_that_fails_can_be_repeated(void **state)
{
	static const struct work w = {run_session, check_session};
	struct fixture *f = *state;

	need_root();
	make_data(f);
	fail_everywhere(f, &w);
}

static int run_end(struct fixture *f, size_t i)
{
	(void)i;
	return end_session(f);
}

static void check_end(struct fixture *f, size_t i, int r)
{
	int again = end_session(f);

	(void)i;
	if (r == 0)
		assert_int_equal(again, -ENOENT);
	assert_ok(f, start_session(f));
}

static void test_end_that_fails_can_be_repeated(void **state)
{
	static const struct work w = {run_end, check_end};
	struct fixture *f = *state;

	need_root();
	assert_ok(f, seal_tree(f, "data"));
	assert_ok(f, start_session(f));
	fail_everywhere(f, &w);
	assert_ok(f, end_session(f));
}

static void change_mount(struct fixture *f, size_t i)
{
	_cleanup_(session_freep) struct session *s = NULL;
	_cleanup_close_ int root = -1;
	char name[32];

	assert_ok(f, session_find(f->host, "data", true, &s, &f->err));
	assert_ok(f, session_mount(f->host, s, NULL, &root, &f->err));
	write_file(root, "changed", 1000 + i, i);
	write_file(root, numbered(name, i), 10, i);
	if (i > 0)
		assert_int_equal(unlinkat(root, numbered(name, i - 1), 0), 0);
	(void)fchmodat(root, "large", i % 2 ? 0600 : 0644, 0);
}

static int run_commit(struct fixture *f, size_t i)
{
	_cleanup_(session_freep) struct session *s = NULL;
	struct seal_result result = {0};
	int r = session_find(f->host, "data", true, &s, &f->err);

	(void)i;
	if (r == 0)
		r = seal_session(f->host, s, &options, &result, &f->err);
	if (r == 0)
		seal_result_release(&result);
	return r;
}

static void check_commit(struct fixture *f, size_t i, int r)
{
	if (r < 0)
		assert_ok(f, run_commit(f, i));
	if (i % 16 == 0)
		assert_head_is_whole(f, "data");
	change_mount(f, i + 1);
}

static void test_commit_that_fails_can_be_repeated(void **state)
{
	static const struct work w = {run_commit, check_commit};
	struct fixture *f = *state;

	need_root();
	assert_ok(f, seal_tree(f, "data"));
	assert_ok(f, start_session(f));
	change_mount(f, 0);
	fail_everywhere(f, &w);
	assert_head_is_whole(f, "data");
	assert_ok(f, end_session(f));
}

/* A volume that is gone, with data of its own and some of "data". */
static void make_dead(struct fixture *f, size_t i)
{
	static const struct reference dead = {.kind = REFERENCE_NEWEST,
					      .volume = "dead"};
	_cleanup_close_ int fd = openat(f->host->state_fd, "tree",
					O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t versions;

	write_file(fd, "own", 100000, 1000 + i);
	assert_ok(f, seal_tree(f, "dead"));
	assert_ok(f, volume_remove(f->host, &dead, false, getpid(), &versions,
				   &f->err));
}

static int run_gc(struct fixture *f, size_t i)
{
	struct gc_result result;

	(void)i;
	return gc_run(f->host, false, NULL, &result, &f->err);
}

static void check_gc(struct fixture *f, size_t i, int r)
{
	struct gc_result result;

	if (r < 0)
		assert_ok(f, run_gc(f, i));
	assert_ok(f, gc_run(f->host, true, NULL, &result, &f->err));
	assert_int_equal(result.bytes + result.cached, 0);
	if (i % 16 == 0)
		assert_head_is_whole(f, "data");
	make_dead(f, i + 1);
}

static void test_gc_that_fails_can_be_repeated(void **state)
{
	static const struct work w = {run_gc, check_gc};
	struct fixture *f = *state;

	need_root();
	assert_ok(f, seal_tree(f, "data"));
	make_dead(f, 0);
	fail_everywhere(f, &w);
	assert_head_is_whole(f, "data");
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_host, teardown_host)
	const struct CMUnitTest tests[] = {
		T(test_new_that_fails_can_be_repeated),
		T(test_mount_that_fails_can_be_repeated),
		T(test_session_that_fails_can_be_repeated),
		T(test_end_that_fails_can_be_repeated),
		T(test_commit_that_fails_can_be_repeated),
		T(test_gc_that_fails_can_be_repeated),
	};

	if (argc != 2 ||
	    (strcmp(argv[1], "memory") != 0 && strcmp(argv[1], "io") != 0)) {
		fprintf(stderr, "usage: %s memory|io\n", argv[0]);
		return 2;
	}
	failing.error = strcmp(argv[1], "io") == 0 ? EIO : ENOMEM;
	if (geteuid() == 0 &&
	    (unshare(CLONE_NEWNS) < 0 ||
	     mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)) {
		perror("a mount namespace of our own");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
