/* SPDX-License-Identifier: Apache-2.0 */

/* The file of a session: what was put in comes out, damage is refused. */

#include "util/cleanup.h"
#include "volume/session-file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define LAYER_A                                                                \
	"{\"object\":\"sha256:" A64 "\",\"size\":512,\"tar\":\"sha256:" B64    \
	"\"}"
#define LAYER_B                                                                \
	"{\"object\":\"sha256:" B64 "\",\"size\":0,\"tar\":\"sha256:" A64 "\"" \
	"}"

static const char full[] =
	"{\"base\":\"sha256:" A64 "\",\"base_sequence\":3,\"capture\":4,"
	"\"created\":-6,\"epoch\":5,\"format\":1,\"layers\":[" LAYER_A
	"],\"path\":\"/mnt/\\\\xff\\\\x0a\\\\x5c\","
	"\"sealed\":\"sha256:" B64 "\",\"sealed_layers\":[" LAYER_A "," LAYER_B
	"],\"volume\":\"data\"}";

static const char empty[] =
	"{\"base\":null,\"base_sequence\":0,\"capture\":0,\"created\":1,"
	"\"epoch\":1,\"format\":1,\"layers\":[],\"sealed\":null,"
	"\"sealed_layers\":[],\"volume\":\"data\"}";

static int decode(const char *text, size_t size, struct session **ret)
{
	_cleanup_(session_freep) struct session *s = calloc(1, sizeof(*s));
	int r;

	assert_non_null(s);
	s->dir_fd = -1;
	s->lock_fd = -1;
	r = session_decode((const uint8_t *)text, size, s);
	if (r < 0)
		assert_int_equal(r, -EBADMSG);
	if (r == 0 && ret)
		*ret = TAKE_PTR(s);
	return r;
}

static void assert_encodes_as(const struct session *s, const char *text)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(session_encode(s, &b), 0);
	assert_string_equal(buf_str(&b), text);
}

static void test_full_session_is_read_and_written_again(void **state)
{
	_cleanup_(session_freep) struct session *s = NULL;

	(void)state;
	assert_int_equal(decode(full, strlen(full), &s), 0);
	assert_string_equal(s->volume, "data");
	assert_string_equal(s->path, "/mnt/\xff\n\\");
	assert_int_equal(s->created, -6);
	assert_int_equal(s->epoch, 5);
	assert_int_equal(s->capture, 4);
	assert_int_equal(s->base_sequence, 3);
	assert_true(s->has_base);
	assert_int_equal(s->base.bytes[0], 0xaa);
	assert_true(s->has_sealed);
	assert_int_equal(s->sealed.bytes[0], 0xbb);
	assert_int_equal(s->n_layers, 1);
	assert_int_equal(s->layers[0].object.bytes[0], 0xaa);
	assert_int_equal(s->layers[0].tar.bytes[0], 0xbb);
	assert_int_equal(s->layers[0].tar_size, 512);
	assert_int_equal(s->n_sealed_layers, 2);
	assert_int_equal(s->sealed_layers[1].tar.bytes[0], 0xaa);
	assert_encodes_as(s, full);
}

static void test_empty_session_is_read_and_written_again(void **state)
{
	_cleanup_(session_freep) struct session *s = NULL;

	(void)state;
	assert_int_equal(decode(empty, strlen(empty), &s), 0);
	assert_false(s->has_base);
	assert_false(s->has_sealed);
	assert_null(s->path);
	assert_int_equal(s->n_layers, 0);
	assert_encodes_as(s, empty);
}

static void test_path_of_any_bytes_comes_back(void **state)
{
	_cleanup_(session_freep) struct session *s = NULL;
	_cleanup_(session_freep) struct session *again = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	char path[257] = "/";

	(void)state;
	for (int i = 1; i < 256; i++)
		path[i] = (char)i;
	assert_int_equal(decode(empty, strlen(empty), &s), 0);
	s->path = strdup(path);
	assert_int_equal(session_encode(s, &b), 0);
	assert_int_equal(decode((char *)b.data, b.size, &again), 0);
	assert_string_equal(again->path, path);
}

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

static void test_what_is_no_session_is_refused(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{"\"format\":1", "\"format\":0"},
		{"\"format\":1", "\"format\":4294967297"},
		{"\"format\":1", "\"format\":true"},
		{"\"base\":\"sha256:a", "\"base\":\"sha256:"},
		{"\"base\":\"sha256:" A64 "\"", "\"base\":5"},
		{"\"base\":\"sha256:" A64 "\",", ""},
		{"\"base_sequence\":3", "\"base_sequence\":-3"},
		{"\"capture\":4", "\"capture\":-4"},
		{"\"capture\":4", "\"capture\":4.0"},
		{"\"epoch\":5", "\"epoch\":-5"},
		{"\"epoch\":5", "\"epoch\":null"},
		{"\"created\":-6,", ""},
		{"\"layers\":[" LAYER_A "]", "\"layers\":{}"},
		{"\"layers\":[" LAYER_A "]", "\"layers\":[5]"},
		{"\"layers\":[" LAYER_A "]", "\"layers\":[null]"},
		{"\"size\":512", "\"size\":-512"},
		{"\"size\":512,", ""},
		{"\"object\":\"sha256:a", "\"object\":\"sha512:a"},
		{"\"tar\":\"sha256:b", "\"tar\":\""},
		{"\"path\":\"/mnt", "\"path\":\"\\\\xzz"},
		{"\"path\":\"/mnt", "\"path\":\"\\\\x00"},
		{"\"path\":\"/mnt", "\"path\":\"\\u0000"},
		{"\"path\":\"", "\"path\":[],\"p\":\""},
		{"\"volume\":\"data\"", "\"volume\":7"},
		{",\"volume\":\"data\"", ""},
		{"]", "],\"layers\":[]"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (decode_with(full, cases[i].from, cases[i].to) == 0)
			fail_msg("accepted with %s", cases[i].to);
	assert_true(decode("[]", 2, NULL) < 0);
	assert_true(decode(full, sizeof(full), NULL) < 0);
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
		cmocka_unit_test(test_full_session_is_read_and_written_again),
		cmocka_unit_test(test_empty_session_is_read_and_written_again),
		cmocka_unit_test(test_path_of_any_bytes_comes_back),
		cmocka_unit_test(test_what_is_no_session_is_refused),
		cmocka_unit_test(test_every_truncation_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
