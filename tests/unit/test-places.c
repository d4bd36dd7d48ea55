/* SPDX-License-Identifier: Apache-2.0 */
/* Places: what was put in comes out, and nothing that no pack could have is
 * handed to those who would read there. */
#include "format/chunker.h"
#include "format/pack.h"
#include "format/places.h"
#include "util/cleanup.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct digest layer = {{1, 2, 3}};
static const struct digest packs[3] = {{{10}}, {{20}}, {{30}}};

/* Where the fields are, see places.c. */
enum {
	AT_VERSION = 8,
	AT_N_PACKS = 12,
	AT_N_ROWS = 16,
	AT_PACKS = 56,
	AT_ROWS = AT_PACKS + 3 * DIGEST_SIZE,
	ROW = 16,
};

struct sample {
	struct places places;
	struct buf b;
};

static int setup(void **state)
{
	static const int order[] = {0, 0, 1, 0, 2, 1, 2, 2};
	struct sample *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		assert_int_equal(places_add(&s->places, &packs[order[i]],
					    i * 1000, 100 + (uint32_t)i),
				 0);
	assert_int_equal(places_encode(&s->places, &layer, &s->b), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct sample *s = *state;

	places_release(&s->places);
	buf_release(&s->b);
	free(s);
	return 0;
}

static int decode(const uint8_t *data, size_t size, const struct digest *of)
{
	_cleanup_places_ struct places p = {0};
	struct err err = ERR_INIT;
	int r = places_decode(data, size, of, &p, &err);

	if (r < 0) {
		assert_int_equal(err.code, r);
		assert_non_null(strstr(err.text, "places"));
	}
	return r;
}

static void assert_damaged(struct sample *s)
{
	struct digest d;

	assert_int_equal(digest_of(s->b.data, s->b.size - DIGEST_SIZE, &d), 0);
	memcpy(s->b.data + s->b.size - DIGEST_SIZE, d.bytes, DIGEST_SIZE);
	assert_int_equal(decode(s->b.data, s->b.size, &layer), -EBADMSG);
}

static void put_le32(struct sample *s, size_t at, uint32_t v)
{
	v = htole32(v);
	memcpy(s->b.data + at, &v, sizeof(v));
}

static void put_le64(struct sample *s, size_t at, uint64_t v)
{
	v = htole64(v);
	memcpy(s->b.data + at, &v, sizeof(v));
}

static void assert_same(const struct places *a, const struct places *b)
{
	assert_int_equal(a->n_packs, b->n_packs);
	assert_int_equal(a->n_rows, b->n_rows);
	for (size_t i = 0; i < a->n_packs; i++)
		assert_true(digest_equal(&a->packs[i], &b->packs[i]));
	for (size_t i = 0; i < a->n_rows; i++) {
		assert_int_equal(a->rows[i].pack, b->rows[i].pack);
		assert_int_equal(a->rows[i].length, b->rows[i].length);
		assert_int_equal(a->rows[i].offset, b->rows[i].offset);
	}
}

static void test_places_come_back(void **state)
{
	struct sample *s = *state;
	_cleanup_places_ struct places p = {0};

	assert_int_equal(s->places.n_packs, 3);
	assert_int_equal(s->places.n_rows, 8);
	assert_int_equal(places_decode(s->b.data, s->b.size, &layer, &p, NULL),
			 0);
	assert_same(&s->places, &p);
}

static void test_decoded_places_can_grow(void **state)
{
	struct sample *s = *state;
	_cleanup_places_ struct places p = {0};

	assert_int_equal(places_decode(s->b.data, s->b.size, &layer, &p, NULL),
			 0);
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(places_add(&p, &packs[2], i, 10), 0);
	assert_int_equal(p.n_packs, 3);
	assert_int_equal(p.n_rows, 308);
	assert_int_equal(p.rows[307].pack, 2);
}

static void test_layer_without_chunks_has_empty_places(void **state)
{
	const struct places none = {0};
	_cleanup_places_ struct places p = {0};
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(places_encode(&none, &layer, &b), 0);
	assert_int_equal(places_decode(b.data, b.size, &layer, &p, NULL), 0);
	assert_int_equal(p.n_rows, 0);
	assert_int_equal(p.n_packs, 0);
}

static void test_many_packs_are_each_listed_once(void **state)
{
	_cleanup_places_ struct places p = {0}, back = {0};
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (uint32_t i = 0; i < 5000; i++) {
		uint32_t n = i % 1000;
		struct digest pack;

		assert_int_equal(digest_of(&n, sizeof(n), &pack), 0);
		assert_int_equal(places_add(&p, &pack, i, 10), 0);
	}
	assert_int_equal(p.n_packs, 1000);
	assert_int_equal(places_encode(&p, &layer, &b), 0);
	assert_int_equal(places_decode(b.data, b.size, &layer, &back, NULL), 0);
	assert_same(&p, &back);
}

static void test_places_of_another_layer_are_refused(void **state)
{
	struct sample *s = *state;
	const struct digest other = {{1, 2, 4}};

	assert_int_equal(decode(s->b.data, s->b.size, &other), -EBADMSG);
}

static void test_every_flipped_bit_is_noticed(void **state)
{
	struct sample *s = *state;

	for (size_t i = 0; i < s->b.size * 8; i++) {
		s->b.data[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(decode(s->b.data, s->b.size, &layer),
				 -EBADMSG);
		s->b.data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

static void test_every_truncation_is_noticed(void **state)
{
	struct sample *s = *state;

	for (size_t n = 0; n < s->b.size; n++)
		assert_int_equal(decode(s->b.data, n, &layer), -EBADMSG);
	assert_int_equal(buf_add_zero(&s->b, 1), 0);
	assert_damaged(s);
}

static void test_unknown_version_is_refused(void **state)
{
	put_le32(*state, AT_VERSION, 2);
	assert_damaged(*state);
}

static void test_absurd_counts_are_refused(void **state)
{
	struct sample *s = *state;

	put_le32(s, AT_N_PACKS, UINT32_MAX);
	assert_damaged(s);
	put_le32(s, AT_N_PACKS, 4);
	assert_damaged(s);
	put_le32(s, AT_N_PACKS, 3);
	put_le64(s, AT_N_ROWS, UINT64_MAX);
	assert_damaged(s);
	put_le64(s, AT_N_ROWS, 8 + UINT64_MAX / ROW + 1);
	assert_damaged(s);
	/* Fits the size, with a pack less for two rows more. */
	put_le32(s, AT_N_PACKS, 2);
	put_le64(s, AT_N_ROWS, 10);
	assert_damaged(s);
}

static void test_pack_listed_twice_is_refused(void **state)
{
	struct sample *s = *state;

	memcpy(s->b.data + AT_PACKS + 2 * DIGEST_SIZE, &packs[0], DIGEST_SIZE);
	assert_damaged(s);
}

static void test_pack_that_is_not_listed_is_refused(void **state)
{
	put_le32(*state, AT_ROWS + 7 * ROW, 3);
	assert_damaged(*state);
	put_le32(*state, AT_ROWS + 7 * ROW, UINT32_MAX);
	assert_damaged(*state);
}

static void test_packs_out_of_order_are_refused(void **state)
{
	put_le32(*state, AT_ROWS, 1);
	assert_damaged(*state);
}

static void test_pack_without_a_row_is_refused(void **state)
{
	struct sample *s = *state;

	put_le32(s, AT_ROWS + 4 * ROW, 0);
	put_le32(s, AT_ROWS + 6 * ROW, 0);
	put_le32(s, AT_ROWS + 7 * ROW, 0);
	assert_damaged(s);
}

static void test_bytes_that_no_pack_has_are_refused(void **state)
{
	struct sample *s = *state;
	size_t length = AT_ROWS + 4, offset = AT_ROWS + 8;

	put_le32(s, length, 0);
	assert_damaged(s);
	put_le32(s, length, 2 * CHUNK_MAX);
	assert_damaged(s);
	put_le32(s, length, 100);
	put_le64(s, offset, PACK_SIZE_MAX - 99);
	assert_damaged(s);
	put_le64(s, offset, UINT64_MAX - 50);
	assert_damaged(s);
}

static void test_bytes_that_no_pack_has_are_not_added(void **state)
{
	_cleanup_places_ struct places p = {0};

	assert_int_equal(places_add(&p, &packs[0], 0, 0), -EINVAL);
	assert_int_equal(places_add(&p, &packs[0], PACK_SIZE_MAX, 1), -EINVAL);
	assert_int_equal(places_add(&p, &packs[0], UINT64_MAX, 2), -EINVAL);
	assert_int_equal(p.n_rows, 0);
	assert_int_equal(p.n_packs, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_places_come_back),
		CASE(test_decoded_places_can_grow),
		CASE(test_layer_without_chunks_has_empty_places),
		CASE(test_many_packs_are_each_listed_once),
		CASE(test_places_of_another_layer_are_refused),
		CASE(test_every_flipped_bit_is_noticed),
		CASE(test_every_truncation_is_noticed),
		CASE(test_unknown_version_is_refused),
		CASE(test_absurd_counts_are_refused),
		CASE(test_pack_listed_twice_is_refused),
		CASE(test_pack_that_is_not_listed_is_refused),
		CASE(test_packs_out_of_order_are_refused),
		CASE(test_pack_without_a_row_is_refused),
		CASE(test_bytes_that_no_pack_has_are_refused),
		CASE(test_bytes_that_no_pack_has_are_not_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
