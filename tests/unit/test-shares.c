/* SPDX-License-Identifier: Apache-2.0 */
/* Shares against a plain count of sets. */
#include "volume/shares.h"

#include "volume-fixture.h"

#define OWNERS 7
#define LAYERS 20
#define CHUNKS 300

static struct digest digest_number(uint32_t n)
{
	struct digest d;

	assert_int_equal(digest_of(&n, sizeof(n), &d), 0);
	return d;
}

static void add_chunk(struct shares *s, uint32_t layer, uint32_t n,
		      uint32_t stored)
{
	const struct digest d = digest_number(n);

	assert_int_equal(shares_add_chunk(s, layer, &d, stored), 0);
}

static void test_nothing_is_shared_by_nobody(void **state)
{
	_cleanup_(shares_freep) struct shares *s = shares_new();
	struct share share = {1, 1};
	uint64_t total = 1;

	(void)state;
	assert_non_null(s);
	assert_int_equal(shares_finish(s, &share, 1, &total), 0);
	assert_int_equal(total, 0);
	assert_int_equal(share.stored, 0);
	assert_int_equal(share.unique, 0);
}

static void test_layer_of_an_owner_is_new_once(void **state)
{
	_cleanup_(shares_freep) struct shares *s = shares_new();

	(void)state;
	assert_int_equal(shares_add_layer(s, 0, 0), 1);
	assert_int_equal(shares_add_layer(s, 0, 0), 0);
	assert_int_equal(shares_add_layer(s, 1, 0), 1);
	assert_int_equal(shares_add_layer(s, 0, 1), 1);
}

static void test_chunk_in_several_layers_counts_once(void **state)
{
	_cleanup_(shares_freep) struct shares *s = shares_new();
	struct share shares[2];
	uint64_t total;

	(void)state;
	/* Both owners need layer 0, each one of its own. */
	assert_int_equal(shares_add_layer(s, 0, 0), 1);
	assert_int_equal(shares_add_layer(s, 1, 0), 1);
	assert_int_equal(shares_add_layer(s, 0, 1), 1);
	assert_int_equal(shares_add_layer(s, 1, 2), 1);
	add_chunk(s, 0, 1, 10);
	add_chunk(s, 0, 1, 10);
	add_chunk(s, 1, 1, 10);
	add_chunk(s, 1, 2, 200);
	add_chunk(s, 2, 3, 3000);
	add_chunk(s, 1, 4, 40000);
	add_chunk(s, 2, 4, 40000);
	assert_int_equal(shares_finish(s, shares, 2, &total), 0);
	assert_int_equal(total, 43210);
	assert_int_equal(shares[0].stored, 40210);
	assert_int_equal(shares[0].unique, 200);
	assert_int_equal(shares[1].stored, 43010);
	assert_int_equal(shares[1].unique, 3000);
}

static void test_layers_that_nobody_needs_do_not_count(void **state)
{
	_cleanup_(shares_freep) struct shares *s = shares_new();
	struct share share;
	uint64_t total;

	(void)state;
	assert_int_equal(shares_add_layer(s, 0, 1), 1);
	add_chunk(s, 0, 1, 10);
	add_chunk(s, 1, 2, 200);
	add_chunk(s, 9, 3, 3000);
	add_chunk(s, 9, 2, 200);
	assert_int_equal(shares_finish(s, &share, 1, &total), 0);
	assert_int_equal(total, 200);
	assert_int_equal(share.unique, 200);
}

struct model {
	bool uses[OWNERS][LAYERS];
	bool has[LAYERS][CHUNKS];
};

static bool needs(const struct model *m, size_t owner, size_t chunk)
{
	for (size_t i = 0; i < LAYERS; i++)
		if (m->uses[owner][i] && m->has[i][chunk])
			return true;
	return false;
}

static uint64_t model_count(const struct model *m, struct share *shares)
{
	uint64_t total = 0;

	for (size_t chunk = 0; chunk < CHUNKS; chunk++) {
		uint64_t bytes = chunk * 17 + 1;
		size_t n = 0, last = 0;

		for (size_t i = 0; i < OWNERS; i++) {
			if (!needs(m, i, chunk))
				continue;
			shares[i].stored += bytes;
			last = i;
			n++;
		}
		if (n)
			total += bytes;
		if (n == 1)
			shares[last].unique += bytes;
	}
	return total;
}

static void compare_with_model(uint64_t seed)
{
	_cleanup_(shares_freep) struct shares *s = shares_new();
	static struct model m;
	struct share want[OWNERS] = {0}, got[OWNERS];
	uint64_t total;

	m = (struct model){0};
	for (uint32_t i = 0; i < OWNERS; i++)
		for (uint32_t k = 0; k < LAYERS; k++)
			if (random_below(&seed, 4) == 0) {
				m.uses[i][k] = true;
				assert_int_equal(shares_add_layer(s, i, k), 1);
			}
	for (uint32_t n = 0; n < 2000; n++) {
		uint32_t layer = (uint32_t)random_below(&seed, LAYERS);
		uint32_t chunk = (uint32_t)random_below(&seed, CHUNKS);

		/* Most are in few layers. */
		if (chunk % 3 && random_below(&seed, 3))
			continue;
		m.has[layer][chunk] = true;
		add_chunk(s, layer, chunk, chunk * 17 + 1);
	}
	assert_int_equal(shares_finish(s, got, OWNERS, &total), 0);
	assert_int_equal(total, model_count(&m, want));
	for (size_t i = 0; i < OWNERS; i++) {
		assert_int_equal(got[i].stored, want[i].stored);
		assert_int_equal(got[i].unique, want[i].unique);
	}
}

static void test_random_layers_are_counted_as_by_the_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++)
		compare_with_model(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_shared_by_nobody),
		cmocka_unit_test(test_layer_of_an_owner_is_new_once),
		cmocka_unit_test(test_chunk_in_several_layers_counts_once),
		cmocka_unit_test(test_layers_that_nobody_needs_do_not_count),
		cmocka_unit_test(
			test_random_layers_are_counted_as_by_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
