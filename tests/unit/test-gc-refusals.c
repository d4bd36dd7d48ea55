/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hides a volume from the collector and the check: the one deletes nothing
 * and the other names it.
 */
#include "gc-fixture.h"
#include "volume/fsck.h"
#include "volume/gc.h"

/* A path in the store that is put aside, and what stands in its place. */
struct hidden {
	const char *path;
	mode_t with; /* S_IFLNK to where it is, S_IFREG, S_IFIFO, S_IFDIR, or 0
		      */
};

static const char *below(struct fixture *f, const char *path)
{
	static char full[256];

	snprintf(full, sizeof(full), "%.60s/store/%.150s", f->top, path);
	return full;
}

static void hide(struct fixture *f, const struct hidden *h)
{
	char aside[128];

	snprintf(aside, sizeof(aside), "%s/aside", f->top);
	assert_int_equal(rename(below(f, h->path), aside), 0);
	if (h->with == S_IFLNK)
		assert_int_equal(symlink(aside, below(f, h->path)), 0);
	else if (h->with == S_IFDIR)
		assert_int_equal(mkdir(below(f, h->path), 0700), 0);
	else if (h->with)
		assert_int_equal(mknod(below(f, h->path), h->with | 0600, 0),
				 0);
}

static void bring_back(struct fixture *f, const struct hidden *h)
{
	char aside[128];

	snprintf(aside, sizeof(aside), "%s/aside", f->top);
	if (h->with)
		assert_int_equal(remove(below(f, h->path)), 0);
	assert_int_equal(rename(aside, below(f, h->path)), 0);
}

static int find_damage(const struct fsck_finding *found, void *ctx,
		       struct err *err)
{
	(void)err;
	*(bool *)ctx |= strcmp(found->kind, "damaged") == 0 &&
			strstr(found->message, "the store at");
	return 0;
}

static void check(struct fixture *f, bool want)
{
	static const struct fsck_options options;
	struct fsck_totals totals;
	bool found = false;

	assert_ok(f, fsck(f->host, &options, find_damage, &found, &totals,
			  &f->err));
	assert_int_equal(found, want);
}

static void test_nothing_is_deleted_when_a_volume_may_be_hidden(void **state)
{
	static const struct hidden all[] = {
		{"volumes", 0},		  {"volumes", S_IFLNK},
		{"volumes", S_IFREG},	  {"volumes/b", S_IFLNK},
		{"volumes/b", S_IFREG},	  {"volumes/b/1", S_IFLNK},
		{"volumes/b/1", S_IFDIR}, {"volumes/b/head.json", S_IFLNK},
		{"volumes/b/1", S_IFIFO},
	};
	struct fixture *f = *state;
	struct gc_result result;
	struct digest d;

	seal(f, "a", 1, &d);
	seal(f, "b", 2, &d);
	rm(f, "a");
	check(f, false);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		size_t before = count_data(f);

		hide(f, &all[i]);
		for (int dry_run = 0; dry_run < 2; dry_run++)
			assert_refused(f,
				       gc_run(f->host, dry_run, NULL, &result,
					      &f->err),
				       EBADMSG, all[i].path);
		assert_int_equal(count_data(f), before);
		check(f, true);
		bring_back(f, &all[i]);
	}
	assert_whole(f, "b");
	assert_ok(f, gc_run(f->host, false, NULL, &result, &f->err));
	assert_int_equal(result.versions, 1);
	assert_whole(f, "b");
}

static void test_a_new_store_is_collected(void **state)
{
	struct fixture *f = *state;
	struct gc_result result;

	assert_ok(f, gc_run(f->host, false, NULL, &result, &f->err));
	check(f, false);
	/* One that was never used by who did not make the place yet. */
	assert_int_equal(rmdir(below(f, "volumes")), 0);
	store_freep(&f->host->store);
	assert_ok(f, store_open_dir(&f->host->store, below(f, "."), true,
				    &f->err));
	assert_ok(f, gc_run(f->host, false, NULL, &result, &f->err));
	assert_int_equal(count_objects(f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_deleted_when_a_volume_may_be_hidden),
		TEST(test_a_new_store_is_collected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
