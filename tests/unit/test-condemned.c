/* SPDX-License-Identifier: Apache-2.0 */
/* A collector and a writer at one key: it is taken back, or written after it
 * was removed. */
#include "store/condemned.h"
#include "store/layout.h"
#include "volume-fixture.h"

struct writer {
	struct store *store;
	const char *key;
};

static void *write_main(void *ctx)
{
	struct writer *w = ctx;

	(void)store_put(w->store, w->key, "x", 1, NULL);
	return NULL;
}

static void test_a_writer_takes_back_what_is_condemned(void **state)
{
	struct fixture *f = *state;
	struct condemned *c = store_condemned(f->host->store);
	struct condemned_item items[3] = {{.kind = STORE_BLOB},
					  {.kind = STORE_BLOB},
					  {.kind = STORE_PACK}};
	struct digest a = {{1}}, b = {{2}};
	struct writer w = {.store = f->host->store};
	char key[STORE_KEY_MAX];
	pthread_t thread;
	uint64_t size;

	items[0].digest = b;
	items[1].digest = a;
	items[2].digest = a;
	assert_true(condemned_is_empty(c));
	condemned_set(c, items, 3);
	assert_true(condemned_has(c, STORE_BLOB, &a));
	assert_false(condemned_has(c, STORE_LAYER, &a));
	store_key_blob(key, &a);
	assert_ok(f, store_put(f->host->store, key, "x", 1, &f->err));
	assert_false(condemned_has(c, STORE_BLOB, &a));
	assert_true(condemned_has(c, STORE_PACK, &a));
	assert_false(condemned_begin(c, &items[0]));

	/* Whoever writes during the removal does so after it. */
	store_key_blob(key, &b);
	assert_ok(f, store_put(f->host->store, key, "x", 1, &f->err));
	condemned_set(c, items, 3);
	items[1].state = CONDEMNED_WAITS;
	assert_true(condemned_begin(c, &items[1]));
	w.key = key;
	assert_int_equal(pthread_create(&thread, NULL, write_main, &w), 0);
	assert_ok(f, store_remove(f->host->store, key, &f->err));
	condemned_end(c, &items[1], true);
	pthread_join(thread, NULL);
	assert_ok(f, store_size(f->host->store, key, &size, &f->err));
	assert_false(condemned_has(c, STORE_BLOB, &b));
	condemned_set(c, NULL, 0);
}

static void test_who_needs_what_was_removed_is_told(void **state)
{
	struct fixture *f = *state;
	struct condemned *c = store_condemned(f->host->store);
	struct condemned_item item = {.kind = STORE_PACK, .digest = {{1}}};

	condemned_set(c, &item, 1);
	assert_true(condemned_keep(c, STORE_PACK, &(struct digest){{2}}));
	assert_true(condemned_begin(c, &item));
	condemned_end(c, &item, true);
	assert_true(condemned_has(c, STORE_PACK, &item.digest));
	assert_false(condemned_keep(c, STORE_PACK, &item.digest));
	condemned_set(c, NULL, 0);
	assert_true(condemned_keep(c, STORE_PACK, &item.digest));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_writer_takes_back_what_is_condemned),
		TEST(test_who_needs_what_was_removed_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
