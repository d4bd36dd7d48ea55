/* SPDX-License-Identifier: Apache-2.0 */

/* Renaming: what goes along, what is refused, and who is first. */

#include "store/layout.h"
#include "volume-fixture.h"
#include "volume/remove.h"
#include "volume/rename.h"
#include "volume/tag.h"
#include "volume/volume-private.h"

#include <pthread.h>

static struct digest number(uint64_t n)
{
	struct digest d;

	assert_int_equal(digest_of(&n, sizeof(n), &d), 0);
	return d;
}

/* A volume with versions 1 to n. */
static void make(struct fixture *f, const char *name, uint64_t n)
{
	struct digest d = number(1);

	assert_ok(f, volume_fork(f->host, &d, name, &f->err));
	for (uint64_t i = 2; i <= n; i++) {
		_cleanup_(volume_freep) struct volume *v = NULL;

		d = number(i);
		assert_ok(f, volume_load(f->host, name, &v, &f->err));
		assert_ok(f, volume_advance(f->host, v, &d, NULL, 0, &f->err));
	}
}

static void assert_versions(struct fixture *f, const char *name, uint64_t n)
{
	_cleanup_(volume_freep) struct volume *v = NULL;

	assert_ok(f, volume_load(f->host, name, &v, &f->err));
	assert_int_equal(v->sequence, n);
	for (uint64_t i = 1; i <= n; i++) {
		struct digest d, want = number(i);

		assert_ok(f, volume_version_at(f->host, v, i, &d, &f->err));
		assert_true(digest_equal(&d, &want));
	}
}

static void assert_gone(struct fixture *f, const char *name)
{
	struct volume *v = NULL;

	assert_refused(f, volume_load(f->host, name, &v, &f->err), ENOENT,
		       "there is no volume");
}

static void test_all_of_a_volume_goes_along(void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct fixture *f = *state;
	struct digest d = number(2), previous;
	bool moved;

	make(f, "old", 3);
	assert_ok(f, volume_tag(f->host, "old", "t", &d, false, &moved,
				&previous, &f->err));
	assert_ok(f, volume_rename(f->host, "old", "new", &f->err));
	assert_gone(f, "old");
	assert_versions(f, "new", 3);
	assert_ok(f, volume_load(f->host, "new", &v, &f->err));
	assert_int_equal(v->n_tags, 1);
	assert_null(v->moving_from);
	/* And back again, and the old name is free. */
	assert_ok(f, volume_rename(f->host, "new", "old", &f->err));
	assert_versions(f, "old", 3);
	make(f, "new", 1);
}

static void test_bad_names_are_refused_and_change_nothing(void **state)
{
	struct fixture *f = *state;

	make(f, "old", 2);
	make(f, "other", 1);
	assert_refused(f, volume_rename(f->host, "old", "other", &f->err),
		       EEXIST, "there is a volume other already");
	assert_refused(f, volume_rename(f->host, "old", "old", &f->err), EINVAL,
		       "has that name already");
	assert_refused(f, volume_rename(f->host, "old", "No", &f->err), EINVAL,
		       "name");
	assert_refused(f, volume_rename(f->host, "none", "new", &f->err),
		       ENOENT, "there is no volume none");
	assert_versions(f, "old", 2);
	assert_versions(f, "other", 1);
}

static void test_volume_with_a_writer_anywhere_keeps_its_name(void **state)
{
	struct fixture *f = *state;
	struct host *two = make_host(f->top, "two");
	uint64_t epoch;

	make(f, "old", 1);
	assert_ok(f, volume_lease_take(two, "old", "s", &epoch, &f->err));
	assert_refused(f, volume_rename(f->host, "old", "new", &f->err), EBUSY,
		       "has session s of host host-two");
	assert_ok(f, volume_lease_release(two, "old", "s", &f->err));
	assert_ok(f, volume_rename(f->host, "old", "new", &f->err));
	host_free(two);
}

/* Marks a record as step 1 does. */
static void mark(struct fixture *f, const char *from, const char *to)
{
	_cleanup_(volume_freep) struct volume *v = NULL;

	assert_ok(f, volume_load(f->host, from, &v, &f->err));
	v->moving_to = strdup(to);
	assert_ok(f, volume_write(f->host, v, &f->err));
}

static int count(const char *name, const struct volume *v,
		 const struct err *problem, void *ctx)
{
	(void)problem;
	assert_non_null(v);
	assert_string_equal(name, "new");
	++*(int *)ctx;
	return 0;
}

static void test_whoever_looks_completes_a_rename(void **state)
{
	struct fixture *f = *state;
	int n = 0;

	make(f, "old", 3);
	mark(f, "old", "new");
	assert_ok(f, volume_each(f->host, count, &n, &f->err));
	assert_int_equal(n, 1);
	assert_versions(f, "new", 3);
	mark(f, "new", "newer");
	assert_gone(f, "new");
	assert_versions(f, "newer", 3);
}

static int remove_volume(struct fixture *f, const char *name)
{
	struct reference ref;
	uint64_t versions;

	assert_int_equal(reference_parse(name, &ref, NULL), 0);
	return volume_remove(f->host, &ref, false, getpid(), &versions,
			     &f->err);
}

static void test_rename_is_completed_before_its_volume_is_removed(void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct fixture *f = *state;

	make(f, "old", 3);
	mark(f, "old", "new");
	assert_refused(f, remove_volume(f, "old"), ENOENT, "its name is new");
	assert_versions(f, "new", 3);
	mark(f, "new", "newer");
	/* As step 2 does. */
	assert_ok(f, volume_read(f->host, "new", &v, &f->err));
	free(v->name);
	free(v->moving_to);
	v->name = strdup("newer");
	v->moving_to = NULL;
	v->moving_from = strdup("new");
	assert_ok(f, volume_write_new(f->host, v, &f->err));
	assert_refused(f, remove_volume(f, "newer@3"), EBUSY, "is the newest");
	assert_ok(f, remove_volume(f, "newer@2"));
	assert_ok(f, remove_volume(f, "newer"));
	assert_gone(f, "new");
	assert_gone(f, "newer");
}

static void test_name_of_a_volume_half_removed_is_free(void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct fixture *f = *state;

	make(f, "old", 3);
	make(f, "new", 5);
	assert_ok(f, volume_load(f->host, "new", &v, &f->err));
	v->removed = true;
	assert_ok(f, volume_write(f->host, v, &f->err));
	assert_ok(f, volume_rename(f->host, "old", "new", &f->err));
	assert_versions(f, "new", 3);
}

static void test_removed_numbers_go_along(void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct fixture *f = *state;
	struct digest d;

	make(f, "old", 3);
	assert_ok(f, remove_volume(f, "old@2"));
	assert_ok(f, volume_rename(f->host, "old", "new", &f->err));
	assert_ok(f, volume_load(f->host, "new", &v, &f->err));
	assert_refused(f, volume_version_at(f->host, v, 2, &d, &f->err), ENOENT,
		       "was removed");
	assert_ok(f, volume_version_at(f->host, v, 1, &d, &f->err));
}

static void test_name_that_was_taken_meanwhile_takes_the_mark_back(void **state)
{
	struct fixture *f = *state;

	make(f, "old", 3);
	mark(f, "old", "new");
	/* As a host does that does not load "old". */
	{
		struct volume other = {.name = (char *)"new"};

		assert_ok(f, volume_write_new(f->host, &other, &f->err));
	}
	assert_versions(f, "old", 3);
	assert_ok(f, volume_rename(f->host, "old", "else", &f->err));
	assert_versions(f, "else", 3);
}

static void test_name_of_versions_without_a_record_is_not_taken(void **state)
{
	static const char lost[] = "volume new has versions but no record";
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct digest d = number(1);

	make(f, "old", 2);
	store_key_sequence(key, "new", 1);
	assert_ok(f, store_create(f->host->store, key, "junk", 4, &f->err));
	assert_refused(f, volume_rename(f->host, "old", "new", &f->err),
		       EBADMSG, lost);
	assert_refused(f, volume_create(f->host, "new", &f->err), EBADMSG,
		       lost);
	assert_refused(f, volume_fork(f->host, &d, "new", &f->err), EBADMSG,
		       lost);
	assert_ok(f, store_get(f->host->store, key, 8, &b, &f->err));
	assert_string_equal(buf_str(&b), "junk");
	assert_versions(f, "old", 2);
}

static void test_record_that_a_power_cut_brings_back_goes_again(void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct fixture *f = *state;

	make(f, "old", 2);
	assert_ok(f, volume_load(f->host, "old", &v, &f->err));
	assert_ok(f, volume_rename(f->host, "old", "new", &f->err));
	v->moving_to = strdup("new");
	v->moved = true;
	assert_ok(f, volume_write_new(f->host, v, &f->err));
	assert_gone(f, "old");
	assert_versions(f, "new", 2);
}

static void test_half_renamed_volume_is_read_where_nothing_is_written(
	void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct fixture *f = *state;
	struct digest d = number(1), previous;
	char path[160];
	bool moved;
	int fd;

	make(f, "old", 2);
	mark(f, "old", "new");
	/* In the way of the new one's directory. */
	snprintf(path, sizeof(path), "%s/store/volumes/new", f->top);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_ok(f, volume_load(f->host, "old", &v, &f->err));
	assert_true(v->unsettled);
	assert_versions(f, "old", 2);
	assert_refused(f,
		       volume_tag(f->host, "old", "t", &d, false, &moved,
				  &previous, &f->err),
		       EBUSY, "half renamed, to new");
	assert_int_equal(unlink(path), 0);
	assert_gone(f, "old");
	assert_versions(f, "new", 2);
}

struct racer {
	struct fixture *f;
	char name[16];
	pthread_t thread;
	int result;
};

static void *race(void *ctx)
{
	struct racer *r = ctx;
	struct err err = ERR_INIT;

	r->result = volume_rename(r->f->host, "old", r->name, &err);
	return NULL;
}

static void *race_tag(void *ctx)
{
	struct racer *r = ctx;
	struct digest d = number(1), previous;
	struct err err = ERR_INIT;
	bool moved;

	r->result = volume_tag(r->f->host, "old", r->name, &d, false, &moved,
			       &previous, &err);
	return NULL;
}

static void test_of_several_renames_one_wins_and_no_tag_is_lost(void **state)
{
	struct fixture *f = *state;
	struct racer racers[8], taggers[4];
	_cleanup_(volume_freep) struct volume *v = NULL;
	size_t won = 0, tagged = 0;
	const char *name = NULL;

	make(f, "old", 2);
	for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
		racers[i] = (struct racer){.f = f};
		snprintf(racers[i].name, sizeof(racers[i].name), "new%zu", i);
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race,
						&racers[i]),
				 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(taggers); i++) {
		taggers[i] = (struct racer){.f = f};
		snprintf(taggers[i].name, sizeof(taggers[i].name), "t%zu", i);
		assert_int_equal(pthread_create(&taggers[i].thread, NULL,
						race_tag, &taggers[i]),
				 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
		pthread_join(racers[i].thread, NULL);
		if (racers[i].result == 0) {
			name = racers[i].name;
			won++;
		} else {
			assert_int_equal(racers[i].result, -ENOENT);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(taggers); i++) {
		pthread_join(taggers[i].thread, NULL);
		tagged += taggers[i].result == 0;
	}
	assert_int_equal(won, 1);
	assert_versions(f, name, 2);
	assert_gone(f, "old");
	assert_ok(f, volume_load(f->host, name, &v, &f->err));
	assert_int_equal(v->n_tags, tagged);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_all_of_a_volume_goes_along),
		T(test_bad_names_are_refused_and_change_nothing),
		T(test_volume_with_a_writer_anywhere_keeps_its_name),
		T(test_whoever_looks_completes_a_rename),
		T(test_rename_is_completed_before_its_volume_is_removed),
		T(test_name_of_a_volume_half_removed_is_free),
		T(test_removed_numbers_go_along),
		T(test_name_that_was_taken_meanwhile_takes_the_mark_back),
		T(test_name_of_versions_without_a_record_is_not_taken),
		T(test_record_that_a_power_cut_brings_back_goes_again),
		T(test_half_renamed_volume_is_read_where_nothing_is_written),
		T(test_of_several_renames_one_wins_and_no_tag_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
