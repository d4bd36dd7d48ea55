/* SPDX-License-Identifier: Apache-2.0 */

/* A comparison tells its progress all along, and ends when it is told to. */

#include "volume-fixture.h"
#include "volume/diff.h"
#include "volume/seal.h"

#define NAMES 1000
#define MOVED 20
/* Compared by chunks, without a look at the data. */
#define LARGE 70000

struct counter {
	unsigned int n, end_at; /* 0: never */
};

/* Opening a tree tells of other stages. */
static int count(const char *stage, uint64_t done, uint64_t total,
		 uint64_t files, void *ctx)
{
	struct counter *c = ctx;

	(void)done;
	(void)total;
	(void)files;
	c->n += strcmp(stage, "compare") == 0;
	return c->n && c->n == c->end_at ? -ECANCELED : 0;
}

static void write_data(int dir, const char *name, uint64_t seed, size_t size)
{
	_cleanup_close_ int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	_cleanup_free_ uint8_t *data = malloc(size);

	assert_true(fd >= 0 && data);
	fill_random(&seed, data, size);
	assert_int_equal(write_full(fd, data, size), 0);
}

/* Two trees of one fixture, with nothing in common. */
struct trees {
	struct counter counter;
	struct progress progress;
	struct tree *before, *after;
};

static void open_sealed(struct fixture *f, const char *name, struct trees *t,
			struct tree **ret)
{
	static const struct seal_options no_options;
	struct seal_result result = {0};
	_cleanup_close_ int dir = openat(f->host->state_fd, name,
					 O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(dir >= 0);
	assert_ok(f, seal_directory(f->host, name, dir, &no_options, &result,
				    &f->err));
	assert_ok(f, tree_open(ret, f->host, result.version, &t->progress,
			       &f->err));
	seal_result_release(&result);
}

static void trees_open(struct fixture *f, struct trees *t)
{
	open_sealed(f, "before", t, &t->before);
	open_sealed(f, "after", t, &t->after);
}

static void trees_release(struct trees *t)
{
	tree_free(t->before);
	tree_free(t->after);
}

/* How often it told its progress. */
static unsigned int compare(struct fixture *f, struct trees *t, bool renames,
			    unsigned int end_at, int result)
{
	_cleanup_(diff_items_freep) struct diff_items *items = NULL;

	t->counter = (struct counter){.end_at = end_at};
	f->err = ERR_INIT;
	assert_int_equal(
		diff_trees(&items, t->before, t->after, "", renames, &f->err),
		result);
	return t->counter.n;
}

static int make_directory(struct fixture *f, const char *name)
{
	int fd;

	assert_int_equal(mkdirat(f->host->state_fd, name, 0755), 0);
	fd = openat(f->host->state_fd, name, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void test_walk_over_many_names_can_be_ended(void **state)
{
	struct fixture *f = *state;
	struct trees t = {.progress = {.report = count, .ctx = &t.counter}};
	_cleanup_close_ int before = make_directory(f, "before");
	_cleanup_close_ int after = make_directory(f, "after");
	unsigned int n;

	assert_int_equal(symlinkat("gone", before, "gone"), 0);
	for (int i = 0; i < NAMES; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(symlinkat(name, after, name), 0);
	}
	trees_open(f, &t);
	n = compare(f, &t, false, 0, 0);
	assert_true(n >= 3);
	for (unsigned int i = 1; i <= n; i++)
		assert_int_equal(compare(f, &t, false, i, -ECANCELED), i);
	trees_release(&t);
}

static void test_search_for_moved_files_can_be_ended(void **state)
{
	struct fixture *f = *state;
	struct trees t = {.progress = {.report = count, .ctx = &t.counter}};
	_cleanup_close_ int before = make_directory(f, "before");
	_cleanup_close_ int after = make_directory(f, "after");
	unsigned int n;

	for (unsigned int i = 0; i < MOVED; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "%u", i);
		write_data(before, name, i, LARGE);
		(void)snprintf(name, sizeof(name), "moved-%u", i);
		write_data(after, name, i, LARGE);
	}
	trees_open(f, &t);
	n = compare(f, &t, true, 0, 0);
	assert_true(n >= compare(f, &t, false, 0, 0) + MOVED);
	for (unsigned int i = 1; i <= n; i++)
		assert_int_equal(compare(f, &t, true, i, -ECANCELED), i);
	trees_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_walk_over_many_names_can_be_ended, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_search_for_moved_files_can_be_ended, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
