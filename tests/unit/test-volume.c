/* SPDX-License-Identifier: Apache-2.0 */

/* The record of a volume in a store that several hosts share: who may write,
 * which number a version gets, and what a crash in between leaves. */

#include "store-hook.h"
#include "store/layout.h"
#include "volume-fixture.h"
#include "volume/tag.h"
#include "volume/volume.h"

#include <pthread.h>

static const struct digest versions[] = {{{0x10}}, {{0x20}}, {{0x30}}};

static struct volume *load(struct fixture *f, const char *name)
{
	struct volume *v = NULL;

	assert_ok(f, volume_load(f->host, name, &v, &f->err));
	return v;
}

static void make_session(struct host *h, const char *id)
{
	char path[64];

	snprintf(path, sizeof(path), "sessions/%s", id);
	assert_int_equal(mkdirat(h->state_fd, path, 0700), 0);
}

static uint64_t take(struct fixture *f, struct host *h, const char *session)
{
	uint64_t epoch;

	assert_ok(f, volume_lease_take(h, "data", session, &epoch, &f->err));
	return epoch;
}

static void advance(struct fixture *f, const char *name,
		    const struct digest *version)
{
	_cleanup_(volume_freep) struct volume *v = load(f, name);

	assert_ok(f, volume_advance(f->host, v, version, NULL, 0, &f->err));
}

static void assert_at(struct fixture *f, uint64_t sequence,
		      const struct digest *version)
{
	_cleanup_(volume_freep) struct volume *v = load(f, "data");
	struct digest d;

	assert_ok(f, volume_version_at(f->host, v, sequence, &d, &f->err));
	assert_true(digest_equal(&d, version));
}

static void test_created_volume_is_empty_and_free(void **state)
{
	struct fixture *f = *state;
	_cleanup_(volume_freep) struct volume *v = NULL;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	v = load(f, "data");
	assert_string_equal(v->name, "data");
	assert_false(v->has_head);
	assert_int_equal(v->sequence, 0);
	assert_int_equal(v->lease_epoch, 0);
	assert_null(v->lease_session);
	assert_true(v->created > 0 && v->created == v->modified);
	assert_refused(f, volume_create(f->host, "data", &f->err), EEXIST,
		       "data");
}

static void test_bad_names_and_unknown_volumes_are_refused(void **state)
{
	static const char *const bad[] = {"", "A", "a/b", ".a", "a.", "a b"};
	struct fixture *f = *state;
	struct volume *v = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_refused(f, volume_create(f->host, bad[i], &f->err),
			       EINVAL, "name");
		assert_refused(f, volume_load(f->host, bad[i], &v, &f->err),
			       EINVAL, "name");
		assert_refused(
			f, volume_fork(f->host, &versions[0], bad[i], &f->err),
			EINVAL, "name");
	}
	assert_refused(f, volume_load(f->host, "data", &v, &f->err), ENOENT,
		       "there is no volume data");
	assert_null(v);
}

static void test_older_record_does_not_overwrite_a_newer(void **state)
{
	struct fixture *f = *state;
	_cleanup_(volume_freep) struct volume *a = NULL;
	_cleanup_(volume_freep) struct volume *b = NULL;
	_cleanup_(volume_freep) struct volume *now = NULL;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	a = load(f, "data");
	b = load(f, "data");
	a->modified = 5;
	b->modified = 6;
	assert_ok(f, volume_save(f->host, a, &f->err));
	assert_refused(f, volume_save(f->host, b, &f->err), ESTALE,
		       "changed by somebody else");
	a->modified = 7;
	assert_ok(f, volume_save(f->host, a, &f->err));
	now = load(f, "data");
	assert_int_equal(now->modified, 7);
}

static void test_names_that_could_be_new_are_told_from_others(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];

	assert_ok(f, volume_check_new(f->host, "data", &f->err));
	assert_ok(f, volume_create(f->host, "data", &f->err));
	assert_refused(f, volume_check_new(f->host, "data", &f->err), EEXIST,
		       "there is a volume data already");
	assert_refused(f, volume_check_new(f->host, "Data", &f->err), EINVAL,
		       "name");
	store_key_head(key, "odd");
	assert_ok(f, store_replace(f->host->store, key, "{}", 2, &f->err));
	assert_refused(f, volume_check_new(f->host, "odd", &f->err), EBADMSG,
		       "volumes/odd/head.json");
}

struct seen {
	struct buf names;
	int unreadable;
};

static int see(const char *name, const struct volume *v,
	       const struct err *problem, void *ctx)
{
	struct seen *seen = ctx;

	assert_int_equal(buf_printf(&seen->names, "%s ", name), 0);
	if (v)
		assert_string_equal(v->name, name);
	else
		seen->unreadable += problem->code == -EBADMSG;
	return strcmp(name, "stop") == 0 ? 7 : 0;
}

static void test_each_volume_is_told_by_name_in_order(void **state)
{
	static const char *const names[] = {"b", "a", "c-1", "c"};
	struct fixture *f = *state;
	struct seen seen = {0};
	char key[STORE_KEY_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_ok(f, volume_create(f->host, names[i], &f->err));
	/* A fork that was cut short, and a record that is damaged. */
	store_key_sequence(key, "half", 1);
	assert_ok(f, store_create(f->host->store, key, "x", 1, &f->err));
	store_key_head(key, "odd");
	assert_ok(f, store_replace(f->host->store, key, "{}", 2, &f->err));
	assert_ok(f, volume_each(f->host, see, &seen, &f->err));
	assert_string_equal(buf_str(&seen.names), "a b c c-1 odd ");
	assert_int_equal(seen.unreadable, 1);
	seen.names.size = 0;
	assert_ok(f, volume_create(f->host, "stop", &f->err));
	assert_ok(f, volume_create(f->host, "then", &f->err));
	assert_int_equal(volume_each(f->host, see, &seen, &f->err), 7);
	assert_string_equal(buf_str(&seen.names), "a b c c-1 odd stop ");
	buf_release(&seen.names);
}

static void test_second_writer_is_told_who_the_first_is(void **state)
{
	struct fixture *f = *state;
	_cleanup_(host_freep) struct host *two = make_host(f->top, "two");
	uint64_t epoch = 99;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	make_session(f->host, "s1");
	assert_int_equal(take(f, f->host, "s1"), 1);
	assert_refused(
		f, volume_lease_take(f->host, "data", "s2", &epoch, &f->err),
		EBUSY, "session s1 of host host-one");
	/* Another host cannot know whether the session is still there. */
	assert_refused(f, volume_lease_take(two, "data", "s1", &epoch, &f->err),
		       EBUSY, "session s1 of host host-one");
	assert_int_equal(epoch, 99);
	/* What is not ours is not released. */
	assert_ok(f, volume_lease_release(two, "data", "s1", &f->err));
	assert_ok(f, volume_lease_release(f->host, "data", "s2", &f->err));
	assert_refused(f, volume_lease_take(two, "data", "s3", &epoch, &f->err),
		       EBUSY, "s1");
	assert_ok(f, volume_lease_release(f->host, "data", "s1", &f->err));
	assert_int_equal(take(f, two, "s3"), 2);
}

static void test_lease_of_a_vanished_session_is_taken_over(void **state)
{
	struct fixture *f = *state;
	_cleanup_(host_freep) struct host *two = make_host(f->top, "two");
	uint64_t epoch;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	assert_int_equal(take(f, f->host, "gone"), 1);
	assert_refused(f, volume_lease_take(two, "data", "s2", &epoch, &f->err),
		       EBUSY, "gone");
	assert_int_equal(take(f, f->host, "s2"), 2);
}

static void test_session_that_takes_its_lease_again_gets_a_new_epoch(
	void **state)
{
	struct fixture *f = *state;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	make_session(f->host, "s1");
	assert_int_equal(take(f, f->host, "s1"), 1);
	assert_int_equal(take(f, f->host, "s1"), 2);
}

struct racer {
	pthread_t thread;
	struct host *host;
	char session[8];
	int r;
	struct err err;
};

static void *race(void *ctx)
{
	struct racer *r = ctx;
	uint64_t epoch;

	r->r = volume_lease_take(r->host, "data", r->session, &epoch, &r->err);
	return NULL;
}

static void test_one_of_several_racers_gets_the_lease(void **state)
{
	struct fixture *f = *state;
	_cleanup_(host_freep) struct host *two = make_host(f->top, "two");
	struct racer racers[4] = {0};

	assert_ok(f, volume_create(f->host, "data", &f->err));
	for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
		racers[i].host = i % 2 ? two : f->host;
		snprintf(racers[i].session, sizeof(racers[i].session), "s%d",
			 (int)i);
		make_session(racers[i].host, racers[i].session);
	}
	for (int round = 0; round < 10; round++) {
		struct racer *winner = NULL;

		for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
			racers[i].err = ERR_INIT;
			assert_int_equal(pthread_create(&racers[i].thread, NULL,
							race, &racers[i]),
					 0);
		}
		for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
			assert_int_equal(pthread_join(racers[i].thread, NULL),
					 0);
			if (racers[i].r == 0) {
				assert_null(winner);
				winner = &racers[i];
			} else {
				assert_true(racers[i].r == -EBUSY ||
					    racers[i].r == -ESTALE);
			}
		}
		assert_non_null(winner);
		assert_ok(f, volume_lease_release(winner->host, "data",
						  winner->session, &f->err));
	}
}

static void test_versions_are_numbered_one_after_the_other(void **state)
{
	struct fixture *f = *state;
	_cleanup_(volume_freep) struct volume *v = NULL;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		advance(f, "data", &versions[i]);
	v = load(f, "data");
	assert_true(v->has_head);
	assert_true(digest_equal(&v->head, &versions[2]));
	assert_int_equal(v->sequence, 3);
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		assert_at(f, i + 1, &versions[i]);
}

static void test_same_version_again_gets_a_number_of_its_own(void **state)
{
	struct fixture *f = *state;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	advance(f, "data", &versions[0]);
	advance(f, "data", &versions[0]);
	assert_at(f, 1, &versions[0]);
	assert_at(f, 2, &versions[0]);
}

/* Asserts that no object has the number. */
static void assert_unused(struct fixture *f, uint64_t sequence)
{
	char key[STORE_KEY_MAX];
	uint64_t size;

	store_key_sequence(key, "data", sequence);
	assert_int_equal(store_size(f->host->store, key, &size, NULL), -ENOENT);
}

static void assert_lost(struct fixture *f, const char *session, uint64_t epoch)
{
	_cleanup_(volume_freep) struct volume *v = load(f, "data");

	assert_refused(f,
		       volume_advance(f->host, v, &versions[1], session, epoch,
				      &f->err),
		       ESTALE, "lost the right to write volume data");
	assert_unused(f, 1);
}

static void test_only_the_holder_of_the_lease_advances(void **state)
{
	struct fixture *f = *state;
	_cleanup_(host_freep) struct host *two = make_host(f->top, "two");
	_cleanup_(volume_freep) struct volume *v = NULL;
	uint64_t epoch;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	make_session(f->host, "s1");
	assert_lost(f, "s1", 0);
	epoch = take(f, f->host, "s1");
	assert_lost(f, "s1", epoch + 1);
	assert_lost(f, "s1", epoch - 1);
	assert_lost(f, "s2", epoch);
	assert_ok(f, volume_lease_release(f->host, "data", "s1", &f->err));
	assert_lost(f, "s1", epoch);
	/* The same name on another host is another session. */
	epoch = take(f, two, "s1");
	assert_lost(f, "s1", epoch);
	assert_ok(f, volume_lease_release(two, "data", "s1", &f->err));
	epoch = take(f, f->host, "s1");
	v = load(f, "data");
	assert_ok(f, volume_advance(f->host, v, &versions[0], "s1", epoch,
				    &f->err));
	assert_int_equal(v->sequence, 1);
	/* And goes on doing so, from what it has. */
	assert_ok(f, volume_advance(f->host, v, &versions[1], "s1", epoch,
				    &f->err));
	assert_at(f, 2, &versions[1]);
}

static void test_lease_lost_while_sealing_stops_the_publication(void **state)
{
	struct fixture *f = *state;
	_cleanup_(host_freep) struct host *two = make_host(f->top, "two");
	_cleanup_(volume_freep) struct volume *sealing = NULL;
	_cleanup_(volume_freep) struct volume *now = NULL;
	uint64_t epoch;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	epoch = take(f, f->host, "s1");
	sealing = load(f, "data");
	assert_ok(f, volume_lease_release(f->host, "data", "s1", &f->err));
	take(f, two, "s2");
	assert_refused(f,
		       volume_advance(f->host, sealing, &versions[0], "s1",
				      epoch, &f->err),
		       ESTALE, "changed by somebody else");
	now = load(f, "data");
	assert_false(now->has_head);
	assert_string_equal(now->lease_session, "s2");
}

static void tag_meanwhile(struct fixture *f, const char *tag)
{
	struct digest previous;
	bool moved;

	assert_ok(f, volume_tag(f->host, "data", tag, &versions[0], true,
				&moved, &previous, &f->err));
}

/* Just before the record is written. */
static int tag_at_swap(const char *what, const char *key, void *ctx)
{
	static bool within;

	if (strcmp(what, "swap") == 0 && !within) {
		within = true;
		tag_meanwhile(ctx, "late");
		within = false;
	}
	return 0;
}

static void test_tags_set_while_sealing_are_kept(void **state)
{
	struct fixture *f = *state;
	struct store_hook hook = {.before = tag_at_swap, .ctx = f};
	_cleanup_(volume_freep) struct volume *sealing = NULL;
	_cleanup_(volume_freep) struct volume *now = NULL;
	uint64_t epoch;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	advance(f, "data", &versions[0]);
	make_session(f->host, "s1");
	epoch = take(f, f->host, "s1");
	sealing = load(f, "data");
	tag_meanwhile(f, "early");
	hook_store(f->host->store, &hook);
	assert_ok(f, volume_advance(f->host, sealing, &versions[1], "s1", epoch,
				    &f->err));
	unhook_store(f->host->store);
	assert_int_equal(f->err.code, 0);
	assert_int_equal(sealing->sequence, 2);
	assert_at(f, 2, &versions[1]);
	assert_unused(f, 3);
	now = load(f, "data");
	assert_true(digest_equal(&now->head, &versions[1]));
	assert_int_equal(now->n_tags, 2);
	assert_true(volume_is_leased(now, f->host));
	/* A head that is somebody else's is not gone over. */
	advance(f, "data", &versions[2]);
	assert_refused(f,
		       volume_advance(f->host, sealing, &versions[0], "s1",
				      epoch, &f->err),
		       ESTALE, "changed by somebody else");
}

/* What a seal leaves that ended after its sequence object. */
static void leave_sequence(struct fixture *f, const char *name,
			   uint64_t sequence, const struct digest *version)
{
	char key[STORE_KEY_MAX], hex[DIGEST_HEX_SIZE], text[80];
	int n = snprintf(text, sizeof(text), "sha256:%s",
			 digest_hex(version, hex));

	store_key_sequence(key, name, sequence);
	assert_ok(f,
		  store_create(f->host->store, key, text, (size_t)n, &f->err));
}

static void test_unfinished_number_is_reused_for_the_same_version(void **state)
{
	struct fixture *f = *state;
	_cleanup_(volume_freep) struct volume *v = NULL;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	leave_sequence(f, "data", 1, &versions[0]);
	advance(f, "data", &versions[0]);
	v = load(f, "data");
	assert_int_equal(v->sequence, 1);
	assert_at(f, 1, &versions[0]);
	assert_unused(f, 2);
}

static void test_unfinished_numbers_of_others_are_passed_over(void **state)
{
	struct fixture *f = *state;
	_cleanup_(volume_freep) struct volume *v = NULL;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	leave_sequence(f, "data", 1, &versions[1]);
	leave_sequence(f, "data", 2, &versions[2]);
	advance(f, "data", &versions[0]);
	v = load(f, "data");
	assert_int_equal(v->sequence, 3);
	assert_true(digest_equal(&v->head, &versions[0]));
	assert_at(f, 3, &versions[0]);
	assert_at(f, 1, &versions[1]);
}

static void test_numbers_that_are_no_version_are_told(void **state)
{
	struct fixture *f = *state;
	_cleanup_(volume_freep) struct volume *v = NULL;
	char key[STORE_KEY_MAX];
	struct digest d;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	v = load(f, "data");
	for (size_t i = 0; i < 3; i++)
		assert_ok(f, volume_advance(f->host, v, &versions[i], NULL, 0,
					    &f->err));
	assert_refused(f, volume_version_at(f->host, v, 0, &d, &f->err), ENOENT,
		       "has no version 0");
	assert_refused(f, volume_version_at(f->host, v, 4, &d, &f->err), ENOENT,
		       "its newest is 3");
	store_key_sequence(key, "data", 2);
	assert_ok(f, store_remove(f->host->store, key, &f->err));
	assert_refused(f, volume_version_at(f->host, v, 2, &d, &f->err), ENOENT,
		       "did not finish");
	assert_ok(f, store_replace(f->host->store, key, "removed", 7, &f->err));
	assert_refused(f, volume_version_at(f->host, v, 2, &d, &f->err), ENOENT,
		       "was removed");
	assert_ok(f,
		  store_replace(f->host->store, key, "sha256:x", 8, &f->err));
	assert_refused(f, volume_version_at(f->host, v, 2, &d, &f->err),
		       EBADMSG, "does not hold a digest");
	assert_at(f, 3, &versions[2]);
}

static void test_fork_is_a_volume_of_its_own(void **state)
{
	struct fixture *f = *state;
	_cleanup_(volume_freep) struct volume *v = NULL;
	_cleanup_(volume_freep) struct volume *fork = NULL;
	struct digest d;

	assert_ok(f, volume_create(f->host, "data", &f->err));
	advance(f, "data", &versions[0]);
	make_session(f->host, "s1");
	take(f, f->host, "s1");
	assert_ok(f, volume_fork(f->host, &versions[0], "fork", &f->err));
	fork = load(f, "fork");
	assert_int_equal(fork->sequence, 1);
	assert_true(digest_equal(&fork->head, &versions[0]));
	assert_null(fork->lease_session);
	assert_ok(f, volume_version_at(f->host, fork, 1, &d, &f->err));
	assert_true(digest_equal(&d, &versions[0]));
	advance(f, "fork", &versions[1]);
	v = load(f, "data");
	assert_int_equal(v->sequence, 1);
	assert_refused(f, volume_fork(f->host, &versions[1], "data", &f->err),
		       EEXIST, "data");
	assert_refused(f, volume_create(f->host, "fork", &f->err), EEXIST,
		       "fork");
	assert_ok(f, catalog_find_version(f->host->catalog, "10000000", &d,
					  &f->err));
	assert_true(digest_equal(&d, &versions[0]));
}

static void test_fork_cut_short_after_its_record_has_a_first_version(
	void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];

	assert_ok(f, volume_fork(f->host, &versions[0], "data", &f->err));
	store_key_sequence(key, "data", 1);
	assert_ok(f, store_remove(f->host->store, key, &f->err));
	assert_at(f, 1, &versions[0]);
	assert_refused(f, volume_fork(f->host, &versions[1], "data", &f->err),
		       EEXIST, "data");
	/* The next one makes up for it. */
	advance(f, "data", &versions[1]);
	assert_at(f, 1, &versions[0]);
	assert_at(f, 2, &versions[1]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_created_volume_is_empty_and_free),
		T(test_bad_names_and_unknown_volumes_are_refused),
		T(test_older_record_does_not_overwrite_a_newer),
		T(test_names_that_could_be_new_are_told_from_others),
		T(test_each_volume_is_told_by_name_in_order),
		T(test_second_writer_is_told_who_the_first_is),
		T(test_lease_of_a_vanished_session_is_taken_over),
		T(test_session_that_takes_its_lease_again_gets_a_new_epoch),
		T(test_one_of_several_racers_gets_the_lease),
		T(test_versions_are_numbered_one_after_the_other),
		T(test_same_version_again_gets_a_number_of_its_own),
		T(test_only_the_holder_of_the_lease_advances),
		T(test_lease_lost_while_sealing_stops_the_publication),
		T(test_tags_set_while_sealing_are_kept),
		T(test_unfinished_number_is_reused_for_the_same_version),
		T(test_unfinished_numbers_of_others_are_passed_over),
		T(test_numbers_that_are_no_version_are_told),
		T(test_fork_is_a_volume_of_its_own),
		T(test_fork_cut_short_after_its_record_has_a_first_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
