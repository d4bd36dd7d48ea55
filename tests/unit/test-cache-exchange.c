/* SPDX-License-Identifier: Apache-2.0 */
/* A cached layer that is looked at while another copy takes its place. */
#include "cache-fixture.h"
#include "cache/check.h"

static struct {
	struct fixture *fixture;
	int reads, at;
} exchange;

int __real_read_file_at(int dir_fd, const char *path, size_t max,
			struct buf *b);
int __wrap_read_file_at(int dir_fd, const char *path, size_t max,
			struct buf *b);

/* The copy is dropped and made anew before the file is read that counts. */
int __wrap_read_file_at(int dir_fd, const char *path, size_t max, struct buf *b)
{
	struct fixture *f = exchange.fixture;

	if (f && ++exchange.reads == exchange.at) {
		exchange.fixture = NULL;
		assert_int_equal(
			cache_drop(f->cache, &f->sample.object.tar, &f->err),
			0);
		assert_int_equal(fill(f), 0);
	}
	return __real_read_file_at(dir_fd, path, max, b);
}

static void test_an_exchanged_layer_is_no_damage(void **state)
{
	struct fixture *f = *state;
	int at = 0;

	assert_int_equal(fill(f), 0);
	do {
		exchange.fixture = f;
		exchange.reads = 0;
		exchange.at = ++at;
		if (cache_check_layer(f->cache, &f->sample.object.tar, true,
				      NULL, &f->err) != 0)
			fail_msg("exchanged before read %d: %s", at,
				 f->err.text);
	} while (!exchange.fixture);
	exchange.fixture = NULL;
	assert_true(at > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_an_exchanged_layer_is_no_damage, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
