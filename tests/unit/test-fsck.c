/* SPDX-License-Identifier: Apache-2.0 */
/* A check and a repair beside those who change what is looked at. */
#include "volume/fsck.h"

#include "gc-fixture.h"
#include "store-hook.h"
#include "store/condemned.h"

struct vanishing {
	struct fixture *fixture;
	char key[STORE_KEY_MAX];
	struct condemned_item item;
	int reads, at; /* it is removed after so many */
};

static void vanish(const char *what, const char *key, void *ctx)
{
	struct vanishing *v = ctx;
	struct store *s = v->fixture->host->store;
	struct condemned *c = store_condemned(s);

	if (strcmp(what, "get_range") != 0 || strcmp(key, v->key) != 0 ||
	    ++v->reads != v->at || !condemned_begin(c, &v->item))
		return;
	assert_int_equal(store_remove(s, key, NULL), 0);
	condemned_end(c, &v->item, true);
}

static int take_key(const char *key, uint64_t size, void *ctx, struct err *err)
{
	(void)size;
	(void)err;
	snprintf(ctx, STORE_KEY_MAX, "%s", key);
	return 0;
}

static int count_lost(const struct fsck_finding *found, void *ctx,
		      struct err *err)
{
	(void)err;
	*(int *)ctx += found->state == FSCK_LOST;
	return 0;
}

/* The pack of a volume is lost, and a copy that nothing needs goes. */
static void lose_pack(struct fixture *f, struct vanishing *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct store *s = f->host->store;
	char key[STORE_KEY_MAX] = "";

	assert_ok(f, store_list(s, "packs/", take_key, key, &f->err));
	assert_ok(f, store_get(s, key, SIZE_MAX, &b, &f->err));
	assert_ok(f, store_remove(s, key, &f->err));
	v->item =
		(struct condemned_item){.kind = STORE_PACK, .digest = {{0xee}}};
	store_key_pack(v->key, &v->item.digest);
	assert_ok(f, store_replace(s, v->key, b.data, b.size, &f->err));
}

static void test_what_gc_removes_beside_a_repair_comes_from_the_cache(
	void **state)
{
	static const struct fsck_options options = {.repair = true};
	struct fixture *f = *state;
	struct digest d;

	seal(f, "a", 1, &d);
	for (int at = 1; at <= 8; at++) {
		struct vanishing v = {.fixture = f, .at = at};
		struct store_hook hook = {.after = vanish, .ctx = &v};
		struct condemned *c = store_condemned(f->host->store);
		struct fsck_totals totals;
		int lost = 0;

		lose_pack(f, &v);
		condemned_set(c, &v.item, 1);
		hook_store(f->host->store, &hook);
		assert_ok(f, fsck(f->host, &options, count_lost, &lost, &totals,
				  &f->err));
		unhook_store(f->host->store);
		condemned_set(c, NULL, 0);
		assert_int_equal(lost, 0);
		assert_true(v.reads >= at || at > 3);
		assert_whole(f, "a");
		assert_ok(f, store_remove(f->host->store, v.key, &f->err));
		assert_ok(f, fsck(f->host, &options, count_lost, &lost, &totals,
				  &f->err));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_gc_removes_beside_a_repair_comes_from_the_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
