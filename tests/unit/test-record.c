/* SPDX-License-Identifier: Apache-2.0 */

/* The record of a volume: what was put in comes out, whatever is not a record
 * of this volume is refused. */

#include "util/cleanup.h"
#include "volume/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char full[] =
	"{\"created\":-5,\"format\":1,\"head\":\"sha256:" A64
	"\",\"lease\":{\"epoch\":9,\"host\":\"h\",\"session\":\"s\"},"
	"\"modified\":7,\"name\":\"data\",\"sequence\":9007199254740991,"
	"\"tags\":{\"A\":\"sha256:" B64 "\",\"b\":\"sha256:" A64 "\"}}";

static const char empty[] =
	"{\"created\":1,\"format\":1,\"lease\":{\"epoch\":0},\"modified\":1,"
	"\"name\":\"data\",\"sequence\":0,\"tags\":{}}";

static struct volume *new_volume(const char *name)
{
	struct volume *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	v->name = strdup(name);
	assert_non_null(v->name);
	return v;
}

static int decode(const char *text, size_t size, struct volume **ret)
{
	_cleanup_(volume_freep) struct volume *v = new_volume("data");
	struct err err = ERR_INIT;
	int r = volume_record_decode((const uint8_t *)text, size, v, &err);

	if (r < 0) {
		assert_int_equal(r, -EBADMSG);
		assert_int_equal(err.code, r);
		assert_non_null(strstr(err.text, "volumes/data/head.json"));
	}
	if (r == 0 && ret)
		*ret = TAKE_PTR(v);
	return r;
}

static void test_a_mark_of_removal_stays(void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	_cleanup_(volume_freep) struct volume *again = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(decode(full, strlen(full), &v), 0);
	assert_false(v->removed);
	v->removed = true;
	assert_int_equal(volume_record_encode(v, &b), 0);
	assert_int_equal(decode((char *)b.data, b.size, &again), 0);
	assert_true(again->removed);
	assert_true(again->has_head);
}

static void test_full_record_is_read_and_written_again(void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(decode(full, strlen(full), &v), 0);
	assert_true(v->has_head);
	assert_int_equal(v->head.bytes[31], 0xaa);
	assert_int_equal(v->sequence, SEQUENCE_MAX);
	assert_int_equal(v->created, -5);
	assert_int_equal(v->modified, 7);
	assert_int_equal(v->lease_epoch, 9);
	assert_string_equal(v->lease_host, "h");
	assert_string_equal(v->lease_session, "s");
	assert_int_equal(v->n_tags, 2);
	assert_string_equal(v->tags[0].name, "A");
	assert_int_equal(v->tags[0].version.bytes[0], 0xbb);
	assert_string_equal(v->tags[1].name, "b");
	assert_int_equal(volume_record_encode(v, &b), 0);
	assert_string_equal(buf_str(&b), full);
}

static void test_empty_volume_is_read_and_written_again(void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(decode(empty, strlen(empty), &v), 0);
	assert_false(v->has_head);
	assert_null(v->lease_host);
	assert_null(v->lease_session);
	assert_int_equal(v->n_tags, 0);
	assert_int_equal(volume_record_encode(v, &b), 0);
	assert_string_equal(buf_str(&b), empty);
}

static void test_tags_come_sorted_whatever_the_order_in_the_file(void **state)
{
	static const char text[] =
		"{\"tags\":{\"z\":\"sha256:" A64 "\",\"a\":\"sha256:" B64
		"\",\"m\":\"sha256:" A64 "\"},\"created\":1,\"format\":1,"
		"\"lease\":{\"epoch\":0},\"modified\":1,\"name\":\"data\","
		"\"sequence\":0}";
	_cleanup_(volume_freep) struct volume *v = NULL;

	(void)state;
	assert_int_equal(decode(text, strlen(text), &v), 0);
	assert_int_equal(v->n_tags, 3);
	assert_string_equal(v->tags[0].name, "a");
	assert_int_equal(v->tags[0].version.bytes[0], 0xbb);
	assert_string_equal(v->tags[1].name, "m");
	assert_string_equal(v->tags[2].name, "z");
}

/* Replaces the first occurrence of from in a good record. */
static int decode_with(const char *good, const char *from, const char *to)
{
	const char *at = strstr(good, from);
	char text[2048];
	int n;

	assert_non_null(at);
	n = snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, to,
		     at + strlen(from));
	assert_true(n > 0 && n < (int)sizeof(text));
	return decode(text, (size_t)n, NULL);
}

static const char labelled[] =
	"{\"created\":1,\"format\":1,\"head\":\"sha256:" A64
	"\",\"labels\":{\"sha256:" A64 "\":{\"best\":\"\",\"run/id\":null},"
	"\"sha256:" B64 "\":{\"a\":\"\\n\"}},\"lease\":{\"epoch\":0},"
	"\"modified\":1,\"name\":\"data\",\"sequence\":2,\"tags\":{}}";

static void test_labels_are_read_and_written_again(void **state)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(decode(labelled, strlen(labelled), &v), 0);
	assert_int_equal(v->n_labels, 3);
	assert_int_equal(v->labels[0].version.bytes[0], 0xaa);
	assert_string_equal(v->labels[0].key, "best");
	assert_string_equal(v->labels[0].value, "");
	assert_string_equal(v->labels[1].key, "run/id");
	assert_null(v->labels[1].value);
	assert_int_equal(v->labels[2].version.bytes[0], 0xbb);
	assert_string_equal(v->labels[2].value, "\n");
	assert_int_equal(volume_record_encode(v, &b), 0);
	assert_string_equal(buf_str(&b), labelled);
}

static void test_rename_under_way_is_another_format(void **state)
{
	static const struct {
		const char *format, *renaming;
	} good[] = {{"2", "{\"to\":\"b\"}"},
		    {"2", "{\"from\":\"b\"}"},
		    {"2", "{\"moved\":true,\"to\":\"b\"}"}},
	  bad[] = {{"1", "{\"to\":\"b\"}"},
		   {"2", "{}"},
		   {"2", "null"},
		   {"2", "{\"to\":\"B\"}"},
		   {"2", "{\"to\":7}"},
		   {"2", "{\"to\":\"data\"}"},
		   {"2", "{\"from\":\"b\",\"to\":\"b\"}"},
		   {"2", "{\"from\":\"b\",\"moved\":true}"},
		   {"3", "{\"to\":\"b\"}"}};
	static const char text[] =
		"{\"created\":1,\"format\":%s,\"lease\":{\"epoch\":0},"
		"\"modified\":1,\"name\":\"data\",\"renaming\":%s,"
		"\"sequence\":0,\"tags\":{}}";
	char record[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_(volume_freep) struct volume *v = NULL;
		_cleanup_buf_ struct buf b = BUF_INIT;

		snprintf(record, sizeof(record), text, good[i].format,
			 good[i].renaming);
		assert_int_equal(decode(record, strlen(record), &v), 0);
		assert_int_equal(volume_record_encode(v, &b), 0);
		assert_string_equal(buf_str(&b), record);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(record, sizeof(record), text, bad[i].format,
			 bad[i].renaming);
		if (decode(record, strlen(record), NULL) == 0)
			fail_msg("accepted %s", record);
	}
}

static void test_what_is_no_record_of_the_volume_is_refused(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{"\"format\":1", "\"format\":2"},
		{"\"format\":1", "\"format\":4294967297"},
		{"\"format\":1", "\"format\":\"1\""},
		{"\"format\":1,", ""},
		{"\"name\":\"data\"", "\"name\":\"other\""},
		{"\"name\":\"data\"", "\"name\":\"data\\u0000x\""},
		{"\"name\":\"data\"", "\"name\":null"},
		{"9007199254740991", "9007199254740992"},
		{"9007199254740991", "-1"},
		{"9007199254740991", "1.5"},
		{"9007199254740991", "99999999999999999999"},
		{"9007199254740991", "0"},
		{"\"head\":\"sha256:" A64 "\",", ""},
		{"\"head\":\"sha256:a", "\"head\":\"sha256:A"},
		{"\"head\":\"sha256:aa", "\"head\":\"sha256:"},
		{"\"epoch\":9", "\"epoch\":-9"},
		{"\"epoch\":9", "\"epoch\":9007199254740992"},
		{"\"epoch\":9,", ""},
		{",\"session\":\"s\"", ""},
		{"\"host\":\"h\",", ""},
		{"\"host\":\"h\"", "\"host\":[]"},
		{"\"created\":-5,", ""},
		{"\"created\":-5", "\"created\":{}"},
		{"\"modified\":7", "\"modified\":7,\"modified\":8"},
		{"\"A\":\"sha256:b", "\"A\":\"sha256:x"},
		{"\"A\":\"sha256:" B64 "\"", "\"A\":5"},
		{"\"A\"", "\"\""},
		{"\"A\"", "\"a/b\""},
		{"\"b\"", "\"A\""},
		{"}}", "}"},
		{"}}", "}}}"},
		{"{\"created\"", "[{\"created\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (decode_with(full, cases[i].from, cases[i].to) == 0)
			fail_msg("accepted with %s", cases[i].to);
	assert_true(decode_with(empty, "{}", "[]") < 0);
	assert_true(decode_with(empty, "{}", "null") < 0);
	assert_true(decode_with(empty, "\"sequence\":0", "\"sequence\":1") < 0);
	assert_true(decode("", 0, NULL) < 0);
	assert_true(decode("[]", 2, NULL) < 0);
	assert_true(decode(full, sizeof(full), NULL) < 0);
}

static void test_what_are_no_labels_is_refused(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{"\"labels\":{", "\"labels\":[{"},
		{"\"labels\":{\"sha256:", "\"labels\":{\""},
		{"\"labels\":{\"sha256:aa", "\"labels\":{\"sha256:AA"},
		{"\"labels\":{\"sha256:aa", "\"labels\":{\"sha256:"},
		{"{\"a\":\"\\n\"}", "{}"},
		{"{\"a\":\"\\n\"}", "[]"},
		{"{\"a\":\"\\n\"}", "null"},
		{"\"a\":\"\\n\"", "\"\":\"x\""},
		{"\"a\":\"\\n\"", "\"A\":\"x\""},
		{"\"a\":\"\\n\"", "\"a\":7"},
		{"\"a\":\"\\n\"", "\"a\":\"x\\u0000\""},
		{"\"a\":\"\\n\"", "\"a\":\"x\",\"a\":\"y\""},
		{"sha256:" B64, "sha256:" A64},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (decode_with(labelled, cases[i].from, cases[i].to) == 0)
			fail_msg("accepted with %s", cases[i].to);
}

static void test_every_truncation_is_refused(void **state)
{
	(void)state;
	for (size_t n = 0; n < strlen(full); n++)
		assert_true(decode(full, n, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_record_is_read_and_written_again),
		cmocka_unit_test(test_a_mark_of_removal_stays),
		cmocka_unit_test(test_empty_volume_is_read_and_written_again),
		cmocka_unit_test(
			test_tags_come_sorted_whatever_the_order_in_the_file),
		cmocka_unit_test(test_rename_under_way_is_another_format),
		cmocka_unit_test(test_labels_are_read_and_written_again),
		cmocka_unit_test(
			test_what_is_no_record_of_the_volume_is_refused),
		cmocka_unit_test(test_what_are_no_labels_is_refused),
		cmocka_unit_test(test_every_truncation_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
