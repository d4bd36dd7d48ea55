/* SPDX-License-Identifier: Apache-2.0 */
/* Who takes a version back from a collector has all of it or nothing. */
#include "gc-fixture.h"
#include "store-hook.h"
#include "volume/gc.h"

/* So long somebody is looked out for who should not come. */
#define LOOKOUT_MS 200

struct keeper {
	struct fixture *fixture;
	struct digest version;
	pthread_t thread;
	bool started;
	int result;
	struct err err;
	atomic_bool reading;
	atomic_uint removed; /* by the collector */
	bool was_removed;    /* while the version was being read */
};

static void *fork_main(void *ctx)
{
	struct keeper *k = ctx;

	k->result = volume_fork(k->fixture->host, &k->version, "late", &k->err);
	return NULL;
}

/* When all is condemned and nothing is removed yet. */
static int start_fork(const char *stage, uint64_t done, uint64_t total,
		      uint64_t files, void *ctx)
{
	struct keeper *k = ctx;

	if (strcmp(stage, "sweep") != 0 || k->started)
		return 0;
	k->started = true;
	assert_int_equal(pthread_create(&k->thread, NULL, fork_main, k), 0);
	while (!k->reading)
		(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	return 0;
}

/* The places are what is read last of a version. */
static int at_places(const char *what, const char *key, void *ctx)
{
	struct keeper *k = ctx;
	unsigned int before = k->removed;

	if (strcmp(what, "remove") == 0 && strncmp(key, "gc/", 3) != 0)
		k->removed++;
	if (strcmp(what, "get") != 0 || !strstr(key, "/places") ||
	    !k->started || k->reading)
		return 0;
	k->reading = true;
	for (int i = 0; i < LOOKOUT_MS && k->removed == before; i++)
		(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	k->was_removed = k->removed != before;
	return 0;
}

static void collect(struct fixture *f, struct keeper *k,
		    struct gc_result *result)
{
	const struct progress progress = {.report = start_fork, .ctx = k};
	struct store_hook hook = {.before = at_places, .ctx = k};

	hook_store(f->host->store, &hook);
	assert_ok(f, gc_run(f->host, false, &progress, result, &f->err));
	assert_true(k->started);
	assert_int_equal(pthread_join(k->thread, NULL), 0);
	unhook_store(f->host->store);
}

static void test_nothing_is_removed_while_a_version_is_taken_back(void **state)
{
	struct fixture *f = *state;
	struct keeper k = {.fixture = f};
	struct gc_result result;

	seal(f, "b", 2, &(struct digest){0});
	seal(f, "a", 1, &k.version);
	rm(f, "a");
	collect(f, &k, &result);
	assert_false(k.was_removed);
	assert_int_equal(k.result, 0);
	assert_int_equal(result.versions, 0);
	assert_whole(f, "late");
	assert_whole(f, "b");
}

static int fork_once(const char *stage, uint64_t done, uint64_t total,
		     uint64_t files, void *ctx)
{
	struct keeper *k = ctx;

	if (strcmp(stage, "sweep") != 0 || k->started)
		return 0;
	k->started = true;
	(void)fork_main(k);
	return 0;
}

static int fail_places(const char *what, const char *key, void *ctx)
{
	struct keeper *k = ctx;

	return k->started && strcmp(what, "get") == 0 && strstr(key, "/places")
		       ? -EIO
		       : 0;
}

static void test_a_version_that_could_not_be_read_goes_as_a_whole(void **state)
{
	struct fixture *f = *state;
	struct keeper k = {.fixture = f};
	const struct progress progress = {.report = fork_once, .ctx = &k};
	struct store_hook hook = {.before = fail_places, .ctx = &k};
	struct gc_result result;
	size_t before;

	seal(f, "b", 2, &(struct digest){0});
	before = count_data(f);
	seal(f, "a", 1, &k.version);
	rm(f, "a");
	hook_store(f->host->store, &hook);
	assert_ok(f, gc_run(f->host, false, &progress, &result, &f->err));
	unhook_store(f->host->store);
	assert_int_equal(k.result, -EIO);
	assert_int_equal(result.versions, 1);
	assert_int_equal(count_data(f), before);
	assert_whole(f, "b");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_removed_while_a_version_is_taken_back),
		TEST(test_a_version_that_could_not_be_read_goes_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
