/* SPDX-License-Identifier: Apache-2.0 */
/* Boundaries in a tarball that streams by: those of a seal, in whatever pieces
 * the bytes come. */
#include "tar-fixture.h"

#include "format/chunker.h"
#include "format/tar-cuts.h"

struct cuts {
	uint64_t at[64];
	size_t n;
};

static void follow(const struct buf *tar, size_t piece, struct cuts *ret)
{
	struct tar_cuts t = TAR_CUTS_INIT;
	size_t done = 0;

	ret->n = 0;
	while (done < tar->size) {
		size_t n = MIN(piece, tar->size - done), taken;
		bool cut;

		taken = tar_cuts_feed(&t, tar->data + done, n, &cut);
		assert_true(taken > 0 && taken <= n);
		done += taken;
		if (cut)
			ret->at[ret->n++] = done;
		assert_true(ret->n < ARRAY_SIZE(ret->at));
	}
	tar_cuts_release(&t);
}

static void assert_cuts(const struct buf *tar, const uint64_t *expected,
			size_t n)
{
	static const size_t pieces[] = {1, 7, 511, 512, 513, 65536, 1 << 30};

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct cuts got;

		follow(tar, pieces[i], &got);
		assert_int_equal(got.n, n);
		assert_memory_equal(got.at, expected, n * sizeof(*expected));
	}
}

static void test_large_payloads_have_a_boundary_at_both_ends(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct entry e = {.path = "f", .mode = S_IFREG | 0644};
	uint64_t expected[8];
	size_t n = 0;

	for (uint64_t size = CHUNK_FORCE_SIZE - 1; size <= CHUNK_FORCE_SIZE + 1;
	     size++) {
		uint64_t at;

		e.size = size;
		e.mtime_nsec =
			(uint32_t)size % 2; /* with records and without */
		at = add_entry(&tar, &e);
		if (size < CHUNK_FORCE_SIZE)
			continue;
		expected[n++] = at;
		expected[n++] = at + size;
	}
	assert_int_equal(tar_add_end(&tar), 0);
	assert_cuts(&tar, expected, n);
}

/* The header's field says nothing of a payload of more than 8 GiB. */
static void test_a_size_in_records_counts(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct raw raw = {.name = "f", .type = '0', .pax = {"size=70000"}};
	uint64_t expected[4];

	for (int i = 0; i < 2; i++) {
		add_raw(&tar, &raw);
		expected[2 * i] = tar.size;
		assert_int_equal(buf_add_zero(&tar, 70000), 0);
		expected[2 * i + 1] = tar.size;
		assert_int_equal(buf_pad(&tar, TAR_BLOCK), 0);
	}
	assert_cuts(&tar, expected, 4);
}

static void test_maps_in_front_of_the_data_are_stepped_over(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct extent extents[100];
	struct entry e = {.path = "f",
			  .mode = S_IFREG,
			  .size = UINT64_C(1) << 40,
			  .sparse = true,
			  .extents = extents};
	uint64_t expected[4];

	/* A map of one block, and of several. */
	for (int i = 0; i < 2; i++) {
		e.n_extents = i ? ARRAY_SIZE(extents) : 2;
		for (size_t n = 0; n < e.n_extents; n++)
			extents[n] = (struct extent){n << 30, 40960};
		expected[2 * i] = add_entry(&tar, &e);
		expected[2 * i + 1] = expected[2 * i] + entry_data_size(&e);
	}
	assert_int_equal(tar_add_end(&tar), 0);
	assert_cuts(&tar, expected, 4);
}

static void test_old_maps_of_holes_are_stepped_over(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	uint8_t map[TAR_BLOCK] = {0};
	struct raw raw = {.name = "f", .type = 'S', .size = 70000};
	unsigned int sum = 0;
	uint64_t expected[2];

	add_raw(&tar, &raw);
	tar.data[482] = 1;
	memset(tar.data + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += tar.data[i];
	(void)snprintf((char *)tar.data + 148, 8, "%06o", sum);
	map[504] = 1;
	assert_int_equal(buf_add(&tar, map, sizeof(map)), 0);
	map[504] = 0;
	assert_int_equal(buf_add(&tar, map, sizeof(map)), 0);
	expected[0] = tar.size;
	assert_int_equal(buf_add_zero(&tar, 70000), 0);
	expected[1] = tar.size;
	assert_int_equal(buf_pad(&tar, TAR_BLOCK), 0);
	assert_cuts(&tar, expected, 2);
}

static void test_links_and_directories_have_no_payload(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct entry e = {.path = "f", .mode = S_IFREG, .size = 100000};
	uint64_t expected[2];

	for (char type = '1'; type <= '6'; type++)
		add_raw(&tar, &(struct raw){.name = "x",
					    .type = type,
					    .target = "t",
					    .size = 100000});
	expected[0] = add_entry(&tar, &e);
	expected[1] = expected[0] + e.size;
	assert_cuts(&tar, expected, 2);
}

static void test_what_is_no_tarball_has_no_boundaries(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct entry e = {.path = "f", .mode = S_IFREG, .size = 100000};

	assert_int_equal(buf_add_str(&b, "hello"), 0);
	assert_int_equal(buf_pad(&b, TAR_BLOCK), 0);
	(void)add_entry(&b, &e);
	assert_cuts(&b, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_large_payloads_have_a_boundary_at_both_ends),
		cmocka_unit_test(test_a_size_in_records_counts),
		cmocka_unit_test(
			test_maps_in_front_of_the_data_are_stepped_over),
		cmocka_unit_test(test_old_maps_of_holes_are_stepped_over),
		cmocka_unit_test(test_links_and_directories_have_no_payload),
		cmocka_unit_test(test_what_is_no_tarball_has_no_boundaries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
