/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunker's boundaries are part of the format: that they do not depend on
 * how the bytes arrive, on what stands before, or on this build.
 */
#include "format/chunker.h"
#include "util/cleanup.h"
#include "util/digest.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SAMPLE (32u << 20)
#define CUTS_MAX (SAMPLE / (CHUNK_MIN - 64) + 2)

struct cuts {
	size_t at[CUTS_MAX];
	size_t n;
};

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint8_t *random_bytes(size_t size, uint64_t seed)
{
	uint8_t *data = malloc(size);

	assert_non_null(data);
	for (size_t i = 0; i < size; i += 8) {
		uint64_t v = htole64(random_next(&seed));

		memcpy(data + i, &v, MIN(size - i, sizeof(v)));
	}
	return data;
}

/* Cuts data fed in pieces of 1 to piece_max bytes, 0 for all at once. */
static void cut_up(const uint8_t *data, size_t size, size_t piece_max,
		   struct cuts *cuts)
{
	struct chunker c = CHUNKER_INIT;
	uint64_t state = 0x2545f4914f6cdd1dULL;
	size_t done = 0;

	cuts->n = 0;
	while (done < size) {
		size_t piece = size - done, taken;
		bool cut;

		if (piece_max) {
			size_t wish = 1 + random_next(&state) % piece_max;

			piece = MIN(piece, wish);
		}
		taken = chunker_feed(&c, data + done, piece, &cut);
		assert_true(taken > 0 && taken <= piece);
		assert_true(cut || taken == piece);
		done += taken;
		if (cut)
			cuts->at[cuts->n++] = done;
	}
}

static void assert_same_cuts(const struct cuts *a, const struct cuts *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		assert_int_equal(a->at[i], b->at[i]);
}

/* The definition, bit by bit, without any of the shortcuts. */
static void cut_up_slowly(const uint8_t *data, size_t size, struct cuts *cuts)
{
	uint64_t gear[256], hash = 0;
	size_t start = 0;

	for (unsigned int i = 0; i < 256; i++) {
		uint8_t text[] = "layerd gear?";
		struct digest d;

		text[11] = (uint8_t)i;
		assert_int_equal(digest_of(text, 12, &d), 0);
		memcpy(&gear[i], d.bytes, 8);
		gear[i] = le64toh(gear[i]);
	}
	cuts->n = 0;
	for (size_t i = 0; i < size; i++) {
		size_t length = i + 1 - start;
		uint64_t mask = length <= CHUNK_AVERAGE ? 0x5555555555000000ULL
							: 0x5555555500000000ULL;

		hash = 2 * hash + gear[data[i]];
		if (length <= CHUNK_MIN)
			continue;
		if ((hash & mask) == 0 || length == CHUNK_MAX) {
			cuts->at[cuts->n++] = i + 1;
			start = i + 1;
			hash = 0;
		}
	}
}

static void test_boundaries_are_those_of_the_definition(void **state)
{
	_cleanup_free_ uint8_t *data = random_bytes(SAMPLE, 11);
	struct cuts fast, slow;

	cut_up(data, SAMPLE, 0, &fast);
	cut_up_slowly(data, SAMPLE, &slow);
	assert_same_cuts(&fast, &slow);
}

/* A digest of all boundaries of a fixed sample: whoever changes it makes every
 * store forget what it could deduplicate. */
static void test_boundaries_never_change(void **state)
{
	_cleanup_free_ uint8_t *data = random_bytes(SAMPLE, 42);
	uint64_t le[CUTS_MAX];
	char hex[DIGEST_HEX_SIZE];
	struct cuts cuts;
	struct digest d;

	cut_up(data, SAMPLE, 0, &cuts);
	for (size_t i = 0; i < cuts.n; i++)
		le[i] = htole64(cuts.at[i]);
	assert_int_equal(digest_of(le, cuts.n * sizeof(*le), &d), 0);
	assert_string_equal(digest_hex(&d, hex),
			    "760258fabbf804d46eec68ed67212f5dc1584ca3cfd68e0dc9"
			    "088f2fb20a5482");
}

static void test_boundaries_do_not_depend_on_pieces(void **state)
{
	static const size_t pieces[] = {3,     100,	 4096,
					70000, 1u << 20, 3u << 20};
	size_t size = SAMPLE / 4;
	_cleanup_free_ uint8_t *data = random_bytes(size, 7);
	struct cuts whole, split;

	cut_up(data, size, 0, &whole);
	assert_true(whole.n > 10);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		cut_up(data, size, pieces[i], &split);
		assert_same_cuts(&whole, &split);
	}
}

static void test_average_of_random_data_is_near_256_kib(void **state)
{
	_cleanup_free_ uint8_t *data = random_bytes(SAMPLE, 3);
	struct cuts cuts;
	size_t average;

	cut_up(data, SAMPLE, 0, &cuts);
	average = cuts.at[cuts.n - 1] / cuts.n;
	print_message("average %zu KiB of %zu chunks\n", average >> 10, cuts.n);
	assert_in_range(average, 200u << 10, 330u << 10);
}

static void test_sizes_stay_within_bounds(void **state)
{
	_cleanup_free_ uint8_t *data = random_bytes(SAMPLE, 5);
	struct cuts cuts;
	size_t last = 0;

	cut_up(data, SAMPLE, 0, &cuts);
	for (size_t i = 0; i < cuts.n; i++) {
		assert_in_range(cuts.at[i] - last, CHUNK_MIN, CHUNK_MAX);
		last = cuts.at[i];
	}
}

static void test_constant_data_is_cut_at_the_maximum(void **state)
{
	size_t size = 2u << 20;
	_cleanup_free_ uint8_t *data = malloc(size);
	struct cuts cuts;

	assert_non_null(data);
	for (unsigned int byte = 0; byte < 256; byte++) {
		memset(data, (int)byte, size);
		cut_up(data, size, 0, &cuts);
		assert_int_equal(cuts.n, 2);
		assert_int_equal(cuts.at[0], CHUNK_MAX);
	}
}

static void test_cut_leaves_the_chunker_at_a_boundary(void **state)
{
	_cleanup_free_ uint8_t *data = random_bytes(2u << 20, 9);
	struct chunker c = CHUNKER_INIT;
	bool cut;

	(void)chunker_feed(&c, data, 2u << 20, &cut);
	assert_true(cut);
	assert_int_equal(c.length, 0);
	assert_int_equal(c.hash, 0);
}

static void test_nothing_fed_is_no_cut(void **state)
{
	struct chunker c = CHUNKER_INIT;
	uint8_t none = 0;
	bool cut = true;

	assert_int_equal(chunker_feed(&c, &none, 0, &cut), 0);
	assert_false(cut);
}

/* Ten bytes in front move the first cuts; soon they fall on the same bytes. */
static void test_insertion_changes_few_chunks(void **state)
{
	_cleanup_free_ uint8_t *data = random_bytes(SAMPLE, 13);
	struct cuts old, new;
	size_t same = 0;

	cut_up(data + 10, SAMPLE - 10, 0, &old);
	cut_up(data, SAMPLE, 0, &new);
	for (size_t i = 0, j = 0; i < old.n && j < new.n;) {
		if (old.at[i] + 10 == new.at[j]) {
			same++;
			i++;
			j++;
		} else if (old.at[i] + 10 < new.at[j]) {
			i++;
		} else {
			j++;
		}
	}
	assert_true(old.n - same <= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boundaries_are_those_of_the_definition),
		cmocka_unit_test(test_boundaries_never_change),
		cmocka_unit_test(test_boundaries_do_not_depend_on_pieces),
		cmocka_unit_test(test_average_of_random_data_is_near_256_kib),
		cmocka_unit_test(test_sizes_stay_within_bounds),
		cmocka_unit_test(test_constant_data_is_cut_at_the_maximum),
		cmocka_unit_test(test_cut_leaves_the_chunker_at_a_boundary),
		cmocka_unit_test(test_nothing_fed_is_no_cut),
		cmocka_unit_test(test_insertion_changes_few_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
