/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collecting on a store by hand: what is dead goes, what is needed stays,
 * whoever comes to need it and at which step of the collector ever.
 */
#include "gc-fixture.h"
#include "store-hook.h"
#include "volume/gc.h"

/* Something that is done when a collector has come so far. */
struct plan {
	struct fixture *fixture;
	const char *stage;
	int at;	     /* which report of the stage */
	int reports; /* of the stage so far */
	int result;  /* of that report */
	void (*act)(struct plan *p);
	struct digest version;
	unsigned int side; /* of the gate */
	bool inside;
	bool waits; /* is inside, so that it is waited */
	struct progress progress;
};

static int on_report(const char *stage, uint64_t done, uint64_t total,
		     uint64_t files, void *ctx)
{
	struct plan *p = ctx;
	struct gate *gate = &p->fixture->host->gate;

	if (strcmp(stage, p->stage) == 0 && ++p->reports == p->at) {
		if (p->act)
			p->act(p);
		return p->result;
	}
	/* One wait is over and the next one begins. */
	if (strcmp(stage, "wait") == 0 && p->waits && p->inside) {
		unsigned int old = p->side;

		p->side = gate_enter(gate);
		gate_leave(gate, old);
	}
	return 0;
}

static void leave(struct plan *p)
{
	if (p->inside)
		gate_leave(&p->fixture->host->gate, p->side);
	p->inside = false;
}

static int run(struct plan *p, struct gc_result *ret)
{
	struct fixture *f = p->fixture;
	int r;

	p->progress = (struct progress){.report = on_report, .ctx = p};
	p->inside = p->waits;
	if (p->waits)
		p->side = gate_enter(&f->host->gate);
	f->err = ERR_INIT;
	r = gc_run(f->host, false, &p->progress, ret, &f->err);
	leave(p);
	return r;
}

static void collect(struct fixture *f, struct gc_result *ret)
{
	assert_ok(f, gc_run(f->host, false, NULL, ret, &f->err));
}

static void test_what_is_dead_goes_and_the_rest_stays(void **state)
{
	struct fixture *f = *state;
	struct gc_result result;
	struct digest d;

	seal(f, "a", 1, &d);
	seal(f, "b", 2, &d);
	collect(f, &result);
	assert_int_equal(result.bytes, 0);
	rm(f, "a");
	collect(f, &result);
	assert_int_equal(result.versions, 1);
	assert_int_equal(result.layers, 1);
	assert_int_equal(result.packs, 1);
	assert_int_equal(result.cached_layers, 1);
	assert_true(result.bytes > 400000 && result.cached > 400000);
	assert_whole(f, "b");
	rm(f, "b");
	collect(f, &result);
	assert_int_equal(count_objects(f), 0);
}

static void test_the_catalog_forgets_with_the_store(void **state)
{
	_cleanup_(version_freep) struct version *v = NULL;
	struct fixture *f = *state;
	char hex[DIGEST_HEX_SIZE];
	uint64_t packs, chunks, bytes;
	struct gc_result result;
	struct digest d, tar, object;

	seal(f, "a", 1, &d);
	assert_ok(f, version_load(f->host, &d, &v, &f->err));
	rm(f, "a");
	collect(f, &result);
	assert_ok(f, catalog_pack_totals(f->host->catalog, &packs, &chunks,
					 &bytes, &f->err));
	assert_int_equal(packs, 0);
	assert_int_equal(catalog_find_version(f->host->catalog,
					      digest_hex(&d, hex), &tar, NULL),
			 -ENOENT);
	assert_int_equal(catalog_find_layer(f->host->catalog,
					    digest_hex(&v->layers[0].tar, hex),
					    &tar, &object, &bytes, NULL),
			 -ENOENT);
}

static void test_dead_bytes_of_shared_packs_are_counted(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 7;
	struct gc_result result;
	struct digest d;

	seal(f, "a", 1, &d);
	collect(f, &result);
	assert_int_equal(result.kept_packs, 1);
	assert_int_equal(result.dead, 0);
	assert_true(result.kept > 400000);
	/* Another tree with the same large file. */
	make_tree(f, 1);
	make_file(f, "tree/z", &seed, 300000);
	seal_tree(f, "b", &d);
	rm(f, "a");
	collect(f, &result);
	assert_int_equal(result.packs, 0);
	assert_int_equal(result.kept_packs, 2);
	/* The tail of the first tree and its row. */
	assert_true(result.dead > 48 && result.dead < 5000);
	make_tree(f, 3);
	seal_tree(f, "c", &d);
	rm(f, "b");
	collect(f, &result);
	assert_int_equal(result.packs, 2);
	assert_int_equal(result.dead, 0);
}

/* A call that found the version before it was condemned and publishes now. */
static void fork_late(struct plan *p)
{
	struct fixture *f = p->fixture;

	assert_ok(f, volume_fork(f->host, &p->version, "late", &f->err));
	leave(p);
}

/* The same, of one that takes nothing back: the second mark has to see it. */
static void publish_late(struct plan *p)
{
	struct fixture *f = p->fixture;
	char text[DIGEST_HEX_SIZE + 8], hex[DIGEST_HEX_SIZE];
	char key[STORE_KEY_MAX];

	snprintf(text, sizeof(text), "sha256:%s", digest_hex(&p->version, hex));
	assert_ok(f, store_create(f->host->store,
				  store_key_sequence(key, "late", 1), text,
				  strlen(text), &f->err));
	leave(p);
}

static void seal_again(struct plan *p)
{
	struct digest d;

	seal(p->fixture, "late", 1, &d);
	leave(p);
}

static void resolve_late(struct plan *p)
{
	_cleanup_resolved_ struct resolved found = {0};
	struct fixture *f = p->fixture;
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&p->version, hex);
	assert_refused(f, reference_resolve(f->host, hex, &found, &f->err),
		       ENOENT, "is being deleted");
	leave(p);
}

/* Volume a was removed. Of one who is inside and comes again at once "wait" is
 * reported once in each of the two waits, the second time when all of a is
 * condemned. */
static void prepare(struct fixture *f, struct plan *p)
{
	p->fixture = f;
	seal(f, "a", 1, &p->version);
	seal(f, "b", 2, &(struct digest){0});
	rm(f, "a");
}

static int run_late(struct fixture *f, void (*act)(struct plan *p),
		    struct gc_result *ret)
{
	struct plan p = {.stage = "wait", .at = 2, .act = act, .waits = true};

	prepare(f, &p);
	return run(&p, ret);
}

static void test_what_is_published_during_the_wait_is_kept(void **state)
{
	struct fixture *f = *state;
	struct gc_result result;
	uint64_t packs, chunks, bytes;

	assert_ok(f, run_late(f, fork_late, &result));
	assert_int_equal(result.versions, 0);
	assert_int_equal(result.bytes, 0);
	assert_whole(f, "late");
	assert_whole(f, "b");
	/* The packs may be reused again. */
	assert_ok(f, catalog_pack_totals(f->host->catalog, &packs, &chunks,
					 &bytes, &f->err));
	assert_int_equal(packs, 2);
	collect(f, &result);
	assert_int_equal(result.bytes, 0);
}

static void test_the_second_mark_sees_what_was_published(void **state)
{
	struct fixture *f = *state;
	struct gc_result result;

	assert_ok(f, run_late(f, publish_late, &result));
	assert_int_equal(result.bytes, 0);
}

static void test_the_same_data_sealed_during_the_wait_is_kept(void **state)
{
	struct fixture *f = *state;
	struct gc_result result;

	assert_ok(f, run_late(f, seal_again, &result));
	assert_whole(f, "late");
	assert_whole(f, "b");
	rm(f, "late");
	rm(f, "b");
	collect(f, &result);
	assert_int_equal(count_objects(f), 0);
}

static void test_a_condemned_digest_is_refused(void **state)
{
	struct fixture *f = *state;
	struct gc_result result;

	assert_ok(f, run_late(f, resolve_late, &result));
	assert_int_equal(result.versions, 1);
	assert_whole(f, "b");
}

/* At each step of the sweep, what is gone and what is not yet. */
static void test_the_same_data_sealed_during_the_sweep_is_whole(void **state)
{
	struct fixture *f = *state;
	struct gc_result result;

	for (int at = 1; at <= 6; at++) {
		struct plan p = {.stage = "sweep", .at = at, .act = seal_again};

		prepare(f, &p);
		assert_ok(f, run(&p, &result));
		if (p.reports >= at)
			assert_whole(f, "late");
		else
			assert_true(at > 5);
		assert_whole(f, "b");
		if (p.reports >= at)
			rm(f, "late");
		rm(f, "b");
		collect(f, &result);
		assert_int_equal(count_objects(f), 0);
	}
}

static void fork_in_sweep(struct plan *p)
{
	struct fixture *f = p->fixture;
	bool first = p->reports == 1;

	f->err = ERR_INIT;
	if (first)
		assert_ok(f,
			  volume_fork(f->host, &p->version, "late", &f->err));
	else
		assert_refused(
			f, volume_fork(f->host, &p->version, "late", &f->err),
			ENOENT, "was removed");
}

static void test_a_fork_during_the_sweep_is_whole_or_refused(void **state)
{
	struct fixture *f = *state;
	struct gc_result result;

	for (int at = 1; at <= 5; at++) {
		struct plan p = {
			.stage = "sweep", .at = at, .act = fork_in_sweep};

		prepare(f, &p);
		assert_ok(f, run(&p, &result));
		assert_true(p.reports >= at);
		if (at == 1) {
			assert_whole(f, "late");
			rm(f, "late");
		}
		rm(f, "b");
		collect(f, &result);
		assert_int_equal(count_objects(f), 0);
	}
}

static void collect_too(struct plan *p)
{
	struct fixture *f = p->fixture;
	struct gc_result result;

	assert_refused(f, gc_run(f->host, false, NULL, &result, &f->err), EBUSY,
		       "already");
}

static void test_one_collects_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct plan p = {.stage = "sweep", .at = 1, .act = collect_too};
	struct gc_result result;

	prepare(f, &p);
	assert_ok(f, run(&p, &result));
	assert_int_equal(p.reports, 5);
	assert_int_equal(result.versions, 1);
}

static void test_what_was_stopped_is_done_by_the_next_run(void **state)
{
	struct fixture *f = *state;
	static const char *const stages[] = {"wait", "wait", "sweep", "sweep",
					     "sweep"};
	static const int at[] = {1, 2, 1, 3, 5};
	struct gc_result result;

	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		struct plan p = {.stage = stages[i],
				 .at = at[i],
				 .result = -ECANCELED,
				 .waits = strcmp(stages[i], "wait") == 0};

		prepare(f, &p);
		assert_int_equal(run(&p, &result), -ECANCELED);
		assert_whole(f, "b");
		collect(f, &result);
		assert_whole(f, "b");
		rm(f, "b");
		collect(f, &result);
		assert_int_equal(count_objects(f), 0);
	}
}

/* What is done to packs and to marks, in its order. */
static void note_step(const char *what, const char *key, void *ctx)
{
	if (strcmp(what, "remove") != 0 && strcmp(what, "sync") != 0)
		return;
	if (strncmp(key, "packs/", 6) == 0 || strncmp(key, "damaged/", 8) == 0)
		assert_int_equal(buf_printf(ctx, "%s %.5s, ", what, key), 0);
}

static int mark_pack(const char *key, uint64_t size, void *ctx, struct err *err)
{
	char mark[STORE_KEY_MAX];
	struct digest pack;

	(void)size;
	assert_int_equal(store_key_digest(key, &pack), 0);
	return store_create(ctx, store_key_damaged(mark, &pack), "\n", 1, err);
}

static void test_a_pack_is_durably_gone_before_its_mark(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf steps = BUF_INIT;
	struct store_hook hook = {.after = note_step, .ctx = &steps};
	struct gc_result result;
	struct digest d;

	seal(f, "a", 1, &d);
	assert_ok(f, store_list(f->host->store, "packs/", mark_pack,
				f->host->store, &f->err));
	rm(f, "a");
	hook_store(f->host->store, &hook);
	collect(f, &result);
	unhook_store(f->host->store);
	assert_string_equal(buf_str(&steps),
			    "remove packs, sync packs, remove damag, ");
}

static void test_a_half_removed_volume_is_no_volume(void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct fixture *f = *state;
	struct gc_result result;
	struct digest d;

	for (int next = 0; next < 3; next++) {
		seal(f, "a", 1, &d);
		assert_ok(f, volume_load(f->host, "a", &v, &f->err));
		v->removed = true;
		assert_ok(f, volume_save(f->host, v, &f->err));
		v = volume_free(v);
		assert_refused(f, volume_load(f->host, "a", &v, &f->err),
			       ENOENT, "no volume a");
		if (next == 0)
			collect(f, &result);
		else if (next == 1)
			rm(f, "a");
		/* The new one does not find the old one's number. */
		assert_ok(f, volume_create(f->host, "a", &f->err));
		assert_ok(f, volume_load(f->host, "a", &v, &f->err));
		assert_int_equal(v->sequence, 0);
		seal(f, "b", 2, &d);
		assert_ok(f, volume_advance(f->host, v, &d, NULL, 0, &f->err));
		assert_int_equal(v->sequence, 1);
		v = volume_free(v);
		rm(f, "a");
		rm(f, "b");
		collect(f, &result);
		assert_int_equal(count_objects(f), 0);
	}
}

/* By who read its record before. */
static void test_a_removed_volume_gets_no_number(void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct fixture *f = *state;
	struct gc_result result;
	struct digest d;

	seal(f, "a", 1, &d);
	assert_ok(f, volume_load(f->host, "a", &v, &f->err));
	rm(f, "a");
	assert_refused(f, volume_advance(f->host, v, &d, NULL, 0, &f->err),
		       ESTALE, "changed by somebody else");
	collect(f, &result);
	assert_int_equal(count_objects(f), 0);
	/* Nor does the next one of that name. */
	assert_ok(f, volume_create(f->host, "a", &f->err));
	assert_refused(f, volume_advance(f->host, v, &d, NULL, 0, &f->err),
		       ESTALE, "changed by somebody else");
	assert_int_equal(count_objects(f), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_dead_goes_and_the_rest_stays),
		TEST(test_the_catalog_forgets_with_the_store),
		TEST(test_dead_bytes_of_shared_packs_are_counted),
		TEST(test_what_is_published_during_the_wait_is_kept),
		TEST(test_the_second_mark_sees_what_was_published),
		TEST(test_the_same_data_sealed_during_the_wait_is_kept),
		TEST(test_a_condemned_digest_is_refused),
		TEST(test_the_same_data_sealed_during_the_sweep_is_whole),
		TEST(test_a_fork_during_the_sweep_is_whole_or_refused),
		TEST(test_one_collects_at_a_time),
		TEST(test_what_was_stopped_is_done_by_the_next_run),
		TEST(test_a_pack_is_durably_gone_before_its_mark),
		TEST(test_a_half_removed_volume_is_no_volume),
		TEST(test_a_removed_volume_gets_no_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
