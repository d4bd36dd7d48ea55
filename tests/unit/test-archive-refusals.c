/* SPDX-License-Identifier: Apache-2.0 */
/* Tarballs that nobody should make, and damaged ones: each is refused with a
 * sentence that says why, and never half believed. */
#include "tar-fixture.h"

#include <errno.h>

static void assert_refused(const struct buf *tar, enum archive_origin origin,
			   const char *sentence)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	if (read_tar(tar, origin, &text, &err) != -EBADMSG)
		fail_msg("accepted: %s", buf_str(&text));
	if (!strstr(err.text, sentence))
		fail_msg("\"%s\" does not say \"%s\"", err.text, sentence);
}

static void assert_raw_refused(const struct raw *raw, const char *sentence)
{
	for (int origin = ARCHIVE_SEALED; origin <= ARCHIVE_FOREIGN; origin++) {
		_cleanup_buf_ struct buf tar = BUF_INIT;

		add_raw(&tar, raw);
		assert_int_equal(tar_add_end(&tar), 0);
		assert_refused(&tar, (enum archive_origin)origin, sentence);
	}
}

static void test_paths_out_of_the_layer_are_refused(void **state)
{
	static const char *const paths[] = {
		"..",	   "../a",   "a/..",  "a/../b", "/..",
		"a//../b", ".wh...", ".wh..", ".wh.",	"a/.wh...",
	};
	char name256[262] = "path=";

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct raw raw = {.name = paths[i], .type = '0'};

		assert_raw_refused(&raw, "leads out of the layer");
	}
	fill_name(name256 + 5, 256, 'n');
	assert_raw_refused(
		&(struct raw){.name = "n", .type = '0', .pax = {name256}},
		"too long");
	assert_raw_refused(
		&(struct raw){.name = "h", .type = '1', .target = "../x"},
		"hard link that leads out");
	assert_raw_refused(
		&(struct raw){.name = "h", .type = '1', .target = "/"},
		"hard link to the root");
	assert_raw_refused(&(struct raw){.name = "h", .type = '1'},
			   "no target");
	assert_raw_refused(&(struct raw){.name = ".", .type = '0'},
			   "the root of the tree");
}

static void test_names_with_nul_bytes_are_refused(void **state)
{
	assert_raw_refused(&(struct raw){.name = "n",
					 .type = '0',
					 .records = "12 path=a\0b\n",
					 .records_size = 12},
			   "broken pax records");
	assert_raw_refused(&(struct raw){.name = "n",
					 .type = '2',
					 .target = "t",
					 .records = "16 linkpath=a\0b\n",
					 .records_size = 16},
			   "broken pax records");
}

static void test_broken_records_are_refused(void **state)
{
	static const char *const records[] = {
		"7 a=b\n",
		"6 a=bc",
		"6 a=b\nx",
		"99 a=b\n",
		"6 =ab\n",
		"6 abc\n",
		"x a=b\n",
		"13 mtime=1x\n",
		"10 size=\n-1",
		"12 mtime=--\n",
		"30 mtime=99999999999999999999\n",
		"5 a=\n0",
	};

	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		struct raw raw = {
			.name = "n", .type = '0', .records = records[i]};

		assert_raw_refused(&raw, "damaged");
	}
}

static void test_data_beyond_the_end_is_refused(void **state)
{
	assert_raw_refused(&(struct raw){.name = "f",
					 .type = '0',
					 .size = UINT64_C(077777777777)},
			   "beyond the end of the tarball");
	assert_raw_refused(&(struct raw){.name = "f",
					 .type = '0',
					 .pax = {"size=9223372036854775806"}},
			   "beyond the end of the tarball");
}

static void test_maps_of_holes_that_lie_are_refused(void **state)
{
	static const char *const maps[] = {
		"1\n0\n4096\n",		       /* more than is there */
		"1\n0\n100\n",		       /* less */
		"2\n4096\n256\n0\n256\n",      /* out of order */
		"2\n0\n300\n100\n212\n",       /* overlapping */
		"1\n8000\n512\n",	       /* beyond the size */
		"1\n9223372036854775807\n9\n", /* wraps around */
		"99999\n0\n1\n",	       /* goes on into the data */
		"2\n0\n100\n4096\n412\n",      /* read in two ways */
	};

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		_cleanup_buf_ struct buf tar = BUF_INIT, text = BUF_INIT;
		struct err err = ERR_INIT;
		struct raw raw = {.name = "f",
				  .type = '0',
				  .pax = {"GNU.sparse.major=1",
					  "GNU.sparse.minor=0",
					  "GNU.sparse.realsize=8192"},
				  .size = 1024,
				  .body = maps[i]};

		add_raw(&tar, &raw);
		assert_int_equal(buf_add_zero(&tar, 512), 0);
		assert_int_equal(tar_add_end(&tar), 0);
		assert_int_equal(read_tar(&tar, ARCHIVE_FOREIGN, &text, &err),
				 -EBADMSG);
		assert_int_equal(text.size, 0);
	}
}

static void test_damaged_headers_are_refused(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	const struct entry e = {.path = "f", .mode = S_IFREG, .mtime_nsec = 1};

	add_entry(&tar, &e);
	assert_int_equal(tar_add_end(&tar), 0);
	for (size_t i = 0; i < 3 * TAR_BLOCK; i += 37) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		struct err err = ERR_INIT;

		tar.data[i] ^= 0x41;
		/* The padding of records is nobody's, their text is. */
		if (i < TAR_BLOCK || i >= 2 * TAR_BLOCK)
			assert_int_equal(
				read_tar(&tar, ARCHIVE_SEALED, &text, &err),
				-EBADMSG);
		tar.data[i] ^= 0x41;
	}
	tar.size = TAR_BLOCK + 100;
	assert_refused(&tar, ARCHIVE_SEALED, "damaged");
}

static void test_what_is_no_tarball_is_refused(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_refused(&b, ARCHIVE_FOREIGN, "damaged");
	assert_int_equal(buf_add_str(&b, "hello"), 0);
	assert_refused(&b, ARCHIVE_FOREIGN, "damaged");
	assert_int_equal(buf_pad(&b, 4096), 0);
	assert_refused(&b, ARCHIVE_FOREIGN, "damaged");
}

/* Each run of such a map takes a hundred bytes of memory. */
static void test_a_map_of_holes_without_end_is_refused(void **state)
{
	const uint32_t runs = 4u << 20;
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct raw raw = {.name = "f",
			  .type = '0',
			  .pax = {"GNU.sparse.major=1", "GNU.sparse.minor=0",
				  "GNU.sparse.realsize=8192"},
			  .size = 4 * runs + TAR_BLOCK};

	add_raw(&tar, &raw);
	assert_int_equal(buf_printf(&tar, "%u\n", runs), 0);
	for (uint32_t i = 0; i < runs; i++)
		assert_int_equal(buf_add_str(&tar, "0\n0\n"), 0);
	assert_int_equal(buf_pad(&tar, TAR_BLOCK), 0);
	assert_int_equal(tar_add_end(&tar), 0);
	assert_refused(&tar, ARCHIVE_FOREIGN, "more than 6 MiB of headers");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_out_of_the_layer_are_refused),
		cmocka_unit_test(test_names_with_nul_bytes_are_refused),
		cmocka_unit_test(test_broken_records_are_refused),
		cmocka_unit_test(test_data_beyond_the_end_is_refused),
		cmocka_unit_test(test_maps_of_holes_that_lie_are_refused),
		cmocka_unit_test(test_a_map_of_holes_without_end_is_refused),
		cmocka_unit_test(test_damaged_headers_are_refused),
		cmocka_unit_test(test_what_is_no_tarball_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
