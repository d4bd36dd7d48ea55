/* SPDX-License-Identifier: Apache-2.0 */
/* The lowest rung: buffers, hostile reads, digests, errors, quoting, the
 * hash table and near words. test-fd.c has the files. */
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/cursor.h"
#include "util/digest-set.h"
#include "util/digest.h"
#include "util/error.h"
#include "util/nearest.h"
#include "util/quote.h"
#include "util/table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* buf */

static void test_buf_holds_what_was_appended(void **state)
{
	static const uint8_t want[] = {1,   2,	 3,   4,   5,  6,  7,
				       8,   9,	 10,  11,  12, 13, 14,
				       'a', 'b', 'c', '7', 0,  0};
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(buf_add_le16(&b, 0x0201), 0);
	assert_int_equal(buf_add_le32(&b, 0x06050403), 0);
	assert_int_equal(buf_add_le64(&b, 0x0e0d0c0b0a090807ULL), 0);
	assert_int_equal(buf_add_str(&b, "abc"), 0);
	assert_int_equal(buf_printf(&b, "%d", 7), 0);
	assert_int_equal(buf_add_zero(&b, 2), 0);
	assert_int_equal(b.size, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
}

static void test_buf_str_ends_in_nul_that_is_not_counted(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_add(&b, "xy", 2), 0);
	assert_string_equal(buf_str(&b), "xy");
	assert_int_equal(b.size, 2);
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_int_equal(b.size, 2);
}

static void test_buf_pads_to_a_multiple(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(buf_pad(&b, 8), 0);
	assert_int_equal(b.size, 0);
	assert_int_equal(buf_add_str(&b, "x"), 0);
	assert_int_equal(buf_pad(&b, 8), 0);
	assert_int_equal(b.size, 8);
	assert_int_equal(buf_pad(&b, 8), 0);
	assert_int_equal(b.size, 8);
	assert_memory_equal(b.data, "x\0\0\0\0\0\0\0", 8);
}

static void test_buf_survives_absurd_reservations(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(buf_add_str(&b, "kept"), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	assert_string_equal(buf_str(&b), "kept");
}

static void test_released_buf_is_usable(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(buf_add_str(&b, "x"), 0);
	buf_release(&b);
	assert_null(b.data);
	assert_int_equal(buf_add_str(&b, "y"), 0);
	assert_string_equal(buf_str(&b), "y");
}

/* cursor */

static void test_cursor_reads_little_endian_at_any_alignment(void **state)
{
	static const uint8_t bytes[] = {0, 1, 2,  3,  4,  5,  6, 7,
					8, 9, 10, 11, 12, 13, 14};
	struct cursor c = CURSOR_INIT(bytes, sizeof(bytes));

	assert_ptr_equal(cursor_take(&c, 1), bytes);
	assert_int_equal(cursor_le16(&c), 0x0201);
	assert_int_equal(cursor_le32(&c), 0x06050403);
	assert_true(cursor_le64(&c) == 0x0e0d0c0b0a090807ULL);
	assert_int_equal(c.left, 0);
	assert_true(cursor_ok(&c));
	assert_non_null(cursor_take(&c, 0));
	assert_true(cursor_ok(&c));
}

static void test_cursor_never_passes_the_end(void **state)
{
	/* Of its exact size on the heap, where a sanitizer sees one byte more.
	 */
	_cleanup_free_ uint8_t *bytes = calloc(1, 7);
	static const size_t wishes[] = {8, SIZE_MAX, SIZE_MAX - 6};
	struct cursor whole = CURSOR_INIT(bytes, 7);

	assert_non_null(bytes);
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
		struct cursor c = CURSOR_INIT(bytes, 7);

		assert_null(cursor_take(&c, wishes[i]));
		assert_false(cursor_ok(&c));
		assert_int_equal(c.left, 7);
	}
	assert_int_equal(cursor_le64(&whole), 0);
	assert_false(cursor_ok(&whole));
}

static void test_failed_cursor_stays_failed(void **state)
{
	static const uint8_t bytes[] = {0xff, 0xff, 0xff};
	struct cursor c = CURSOR_INIT(bytes, sizeof(bytes));

	assert_int_equal(cursor_le32(&c), 0);
	assert_int_equal(cursor_le16(&c), 0);
	assert_int_equal(cursor_le64(&c), 0);
	assert_null(cursor_take(&c, 1));
	assert_null(cursor_take(&c, 0));
	assert_false(cursor_ok(&c));
}

static void test_cursor_over_nothing_gives_nothing(void **state)
{
	struct cursor c = CURSOR_INIT(NULL, 0);

	assert_int_equal(cursor_le16(&c), 0);
	assert_false(cursor_ok(&c));
}

/* digest: FIPS 180-4's examples "abc" and "" */

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void test_digest_is_sha256(void **state)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest d;

	assert_int_equal(digest_of("abc", 3, &d), 0);
	assert_string_equal(digest_hex(&d, hex), ABC);
	assert_int_equal(digest_of(NULL, 0, &d), 0);
	assert_string_equal(digest_hex(&d, hex), EMPTY);
}

static void test_hasher_copies_and_starts_over(void **state)
{
	_cleanup_(hasher_freep) struct hasher *a = NULL, *b = NULL;
	char hex[DIGEST_HEX_SIZE];
	struct digest d;

	assert_int_equal(hasher_new(&a), 0);
	assert_int_equal(hasher_new(&b), 0);
	hasher_add(a, "ab", 2);
	hasher_add(b, "junk", 4);
	assert_int_equal(hasher_copy(b, a), 0);
	hasher_add(a, "x", 1);
	hasher_add(b, "c", 1);
	hasher_finish(b, &d);
	assert_string_equal(digest_hex(&d, hex), ABC);
	hasher_reset(b);
	hasher_finish(b, &d);
	assert_string_equal(digest_hex(&d, hex), EMPTY);
	hasher_finish(a, &d);
	assert_string_not_equal(digest_hex(&d, hex), ABC);
}

static void test_digest_comes_back_from_its_text(void **state)
{
	static const char *const forms[] = {ABC, "sha256:" ABC};
	char hex[DIGEST_HEX_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct digest d;

		assert_int_equal(digest_parse(forms[i], &d), 0);
		assert_string_equal(digest_hex(&d, hex), ABC);
	}
}

static void test_bad_digest_texts_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"sha256:",
		"sha256:sha256:" ABC,
		"sha512:" ABC,
		ABC "0",
		ABC " ",
		"BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015"
		"AD",
		"g" ABC,
	};
	char cut[DIGEST_HEX_SIZE];
	struct digest d = {{9}};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(digest_parse(bad[i], &d), -EINVAL);
	for (size_t n = 0; n < DIGEST_HEX_SIZE - 1; n++) {
		memcpy(cut, ABC, n);
		cut[n] = 0;
		assert_int_equal(digest_parse(cut, &d), -EINVAL);
	}
	assert_int_equal(d.bytes[0], 9);
}

/* error */

static void test_digest_set_numbers_each_digest_once(void **state)
{
	struct digest_set set = {0};

	(void)state;
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 1000; i++) {
			struct digest d;
			uint32_t number;

			assert_int_equal(digest_of(&i, sizeof(i), &d), 0);
			assert_int_equal(digest_set_find(&set, &d),
					 round ? i : TABLE_NONE);
			assert_int_equal(digest_set_add(&set, &d, &number),
					 !round);
			assert_int_equal(number, i);
			assert_true(digest_equal(&set.items[i], &d));
		}
	}
	assert_int_equal(set.n, 1000);
	digest_set_release(&set);
	assert_int_equal(set.n, 0);
}

static void test_first_error_stays(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(err_set(&err, ENOENT, "first %d", 1), -ENOENT);
	assert_int_equal(err_set(&err, -EIO, "second"), -EIO);
	assert_int_equal(err_errno(&err, EIO, "third"), -EIO);
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(err.text, "first 1");
}

static void test_errors_without_a_receiver_keep_their_code(void **state)
{
	assert_int_equal(err_set(NULL, ENOENT, "x"), -ENOENT);
	assert_int_equal(err_errno(NULL, -ENOENT, "x"), -ENOENT);
	assert_int_equal(err_prefix(NULL, ENOENT, "x"), -ENOENT);
	assert_int_equal(err_oom(NULL), -ENOMEM);
}

static void test_errno_is_described(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(err_errno(&err, ENOSPC, "cannot write x"), -ENOSPC);
	assert_string_equal(err.text,
			    "cannot write x: No space left on device");
}

static void test_prefix_goes_in_front(void **state)
{
	struct err err = ERR_INIT, empty = ERR_INIT;

	err_set(&err, ENOENT, "no pack");
	assert_int_equal(err_prefix(&err, EIO, "layer %s", "x"), -ENOENT);
	assert_string_equal(err.text, "layer x: no pack");
	assert_int_equal(err_prefix(&empty, EIO, "layer"), -EIO);
	assert_int_equal(empty.code, -EIO);
	assert_non_null(strstr(empty.text, "layer: "));
}

static void test_long_text_is_cut_and_says_so(void **state)
{
	char longer[2 * ERR_TEXT_MAX];
	struct err err = ERR_INIT, described = ERR_INIT;

	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	err_set(&err, EINVAL, "%s", longer);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_string_equal(err.text + ERR_TEXT_MAX - 5, "x...");
	err_prefix(&err, EINVAL, "context");
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(err.text, "context: xxx", 12);
	assert_string_equal(err.text + ERR_TEXT_MAX - 5, "x...");
	err_prefix(&err, EINVAL, "%s", longer);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_errno(&described, EINVAL, "%s", longer);
	assert_int_equal(strlen(described.text), ERR_TEXT_MAX - 1);
	assert_string_equal(described.text + ERR_TEXT_MAX - 4, "...");
}

static void test_text_that_just_fits_is_whole(void **state)
{
	char text[ERR_TEXT_MAX];
	struct err err = ERR_INIT;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	err_set(&err, EINVAL, "%s", text);
	assert_string_equal(err.text, text);
}

/* quote */

static void test_quoted_text_is_printable_and_bounded(void **state)
{
	char out[QUOTE_SIZE], text[1000];

	assert_string_equal(quote_text("", out), "\"\"");
	assert_string_equal(quote_text("a b", out), "\"a b\"");
	assert_string_equal(quote_text("\"\\\n\x1b\xff", out),
			    "\"\\x22\\x5c\\x0a\\x1b\\xff\"");
	for (size_t n = 70; n < 100; n++) {
		for (int c = 1; c < 256; c += 5) {
			memset(text, c, n);
			text[0] = 'a';
			text[n] = 0;
			assert_in_range(strlen(quote_text(text, out)), 3,
					QUOTE_SIZE - 1);
			assert_int_equal(out[strlen(out) - 1], '"');
			for (char *p = out; *p; p++)
				assert_in_range(*p, ' ', '~');
		}
	}
	assert_non_null(strstr(out, "...\""));
}

/* table */

#define N_KEYS 10000u

static bool key_is(const void *key, uint32_t index, void *ctx)
{
	const uint64_t *keys = ctx;

	return keys[index] == *(const uint64_t *)key;
}

static void test_table_finds_what_was_added(void **state)
{
	static uint64_t keys[N_KEYS];
	struct table t = TABLE_INIT;
	uint64_t absent = 3;

	assert_int_equal(table_find(&t, 1, &absent, key_is, keys), TABLE_NONE);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		keys[i] = 1000 + 2ULL * i;
		assert_int_equal(table_add(&t, table_hash_int(keys[i]), i), 0);
	}
	for (uint32_t i = 0; i < N_KEYS; i++) {
		uint64_t odd = keys[i] + 1;

		assert_int_equal(table_find(&t, table_hash_int(keys[i]),
					    &keys[i], key_is, keys),
				 i);
		assert_int_equal(
			table_find(&t, table_hash_int(odd), &odd, key_is, keys),
			TABLE_NONE);
	}
	assert_int_equal(t.used, N_KEYS);
	table_release(&t);
	assert_int_equal(table_find(&t, 1, &absent, key_is, keys), TABLE_NONE);
}

static void test_table_tells_colliding_keys_apart(void **state)
{
	static uint64_t keys[500];
	struct table t = TABLE_INIT;
	uint64_t absent = 1u << 20;

	for (uint32_t i = 0; i < ARRAY_SIZE(keys); i++) {
		keys[i] = i;
		assert_int_equal(table_add(&t, UINT64_MAX, i), 0);
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(
			table_find(&t, UINT64_MAX, &keys[i], key_is, keys), i);
	assert_int_equal(table_find(&t, UINT64_MAX, &absent, key_is, keys),
			 TABLE_NONE);
	table_release(&t);
}

static void test_hash_depends_on_every_byte(void **state)
{
	uint8_t text[64] = "";
	uint64_t before = table_hash(text, sizeof(text));

	for (size_t i = 0; i < sizeof(text); i++) {
		text[i] ^= 1;
		assert_true(table_hash(text, sizeof(text)) >> 32 !=
			    before >> 32);
		text[i] ^= 1;
	}
	assert_true(table_hash(text, 1) != table_hash(text, 2));
}

/* nearest */

static const char *nearest_of(const char *word, const char *a, const char *b)
{
	struct nearest n;

	nearest_init(&n, word);
	nearest_offer(&n, a);
	nearest_offer(&n, b);
	return n.found;
}

static void test_nearest_word_is_few_changes_away(void **state)
{
	char long_word[200];

	(void)state;
	assert_string_equal(nearest_of("stabel", "stable", "table"), "stable");
	assert_string_equal(nearest_of("tale", "stable", "table"), "table");
	assert_string_equal(nearest_of("trainig-data", "x", "training-data"),
			    "training-data");
	/* Equally near: the first. */
	assert_string_equal(nearest_of("data", "date", "dato"), "date");
	assert_null(nearest_of("data", "data", "other"));
	assert_null(nearest_of("data", "volume", "d"));
	assert_null(nearest_of("v", "w", ""));
	assert_null(nearest_of("", "w", ""));
	memset(long_word, 'a', sizeof(long_word));
	long_word[129] = 0;
	assert_null(nearest_of(long_word, long_word + 1, "a"));
	assert_string_equal(nearest_of(long_word + 1, "a", long_word + 2),
			    long_word + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_holds_what_was_appended),
		cmocka_unit_test(test_buf_str_ends_in_nul_that_is_not_counted),
		cmocka_unit_test(test_buf_pads_to_a_multiple),
		cmocka_unit_test(test_buf_survives_absurd_reservations),
		cmocka_unit_test(test_released_buf_is_usable),
		cmocka_unit_test(
			test_cursor_reads_little_endian_at_any_alignment),
		cmocka_unit_test(test_cursor_never_passes_the_end),
		cmocka_unit_test(test_failed_cursor_stays_failed),
		cmocka_unit_test(test_cursor_over_nothing_gives_nothing),
		cmocka_unit_test(test_digest_is_sha256),
		cmocka_unit_test(test_hasher_copies_and_starts_over),
		cmocka_unit_test(test_digest_comes_back_from_its_text),
		cmocka_unit_test(test_bad_digest_texts_are_refused),
		cmocka_unit_test(test_digest_set_numbers_each_digest_once),
		cmocka_unit_test(test_first_error_stays),
		cmocka_unit_test(
			test_errors_without_a_receiver_keep_their_code),
		cmocka_unit_test(test_errno_is_described),
		cmocka_unit_test(test_prefix_goes_in_front),
		cmocka_unit_test(test_long_text_is_cut_and_says_so),
		cmocka_unit_test(test_text_that_just_fits_is_whole),
		cmocka_unit_test(test_quoted_text_is_printable_and_bounded),
		cmocka_unit_test(test_table_finds_what_was_added),
		cmocka_unit_test(test_table_tells_colliding_keys_apart),
		cmocka_unit_test(test_hash_depends_on_every_byte),
		cmocka_unit_test(test_nearest_word_is_few_changes_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
