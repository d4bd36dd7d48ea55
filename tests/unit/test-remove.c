/* SPDX-License-Identifier: Apache-2.0 */
/* Removing beside others who change the same volume. */
#include "volume/remove.h"

#include "store-hook.h"
#include "volume-fixture.h"
#include "volume/tag.h"
#include "volume/volume.h"

static const struct digest versions[] = {{{1}}, {{2}}, {{3}}};

/* Volume v: v@1, v@2 and v@3, and v:t is v@1. */
static void make_tagged(struct fixture *f)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct digest previous;
	bool moved;

	assert_ok(f, volume_create(f->host, "v", &f->err));
	assert_ok(f, volume_load(f->host, "v", &v, &f->err));
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		assert_ok(f, volume_advance(f->host, v, &versions[i], NULL, 0,
					    &f->err));
	assert_ok(f, volume_tag(f->host, "v", "t", &versions[0], false, &moved,
				&previous, &f->err));
}

static int rm(struct fixture *f, const char *text)
{
	struct reference ref;
	uint64_t n;

	assert_ok(f, reference_parse(text, &ref, &f->err));
	f->err = ERR_INIT;
	return volume_remove(f->host, &ref, false, getpid(), &n, &f->err);
}

/* Somebody moves the tag while its version is being removed. */
static void move_tag(const char *what, const char *key, void *ctx)
{
	struct fixture *f = ctx;
	struct digest previous;
	bool moved;

	if (strcmp(what, "write") == 0 && strcmp(key, "volumes/v/1") == 0)
		assert_ok(f, volume_tag(f->host, "v", "t", &versions[1], true,
					&moved, &previous, &f->err));
}

static void test_a_tag_that_was_moved_meanwhile_is_kept(void **state)
{
	_cleanup_resolved_ struct resolved found = {0};
	struct fixture *f = *state;
	struct store_hook hook = {.after = move_tag, .ctx = f};
	int r;

	make_tagged(f);
	hook_store(f->host->store, &hook);
	r = rm(f, "v:t");
	unhook_store(f->host->store);
	assert_int_equal(r, -ESTALE);
	assert_non_null(strstr(f->err.text, "v:t was moved"));
	assert_non_null(strstr(f->err.text, "again"));
	assert_ok(f, reference_resolve(f->host, "v:t", &found, &f->err));
	assert_true(digest_equal(&found.version, &versions[1]));
	resolved_release(&found);
	assert_ok(f, reference_resolve(f->host, "v@2", &found, &f->err));
	/* What it stands for now is removed when that is asked for again. */
	assert_int_equal(rm(f, "v:t"), 0);
	assert_int_equal(rm(f, "v:t"), -ENOENT);
	assert_int_equal(rm(f, "v@2"), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_tag_that_was_moved_meanwhile_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
