/* SPDX-License-Identifier: Apache-2.0 */
/* Names are bytes, JSON and terminals want UTF-8: nothing may be lost on the
 * way there and back. And where the daemon's directories and socket are. */
#include "util/cleanup.h"
#include "util/escape.h"
#include "util/paths.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

static void assert_escaped(const char *bytes, size_t size, const char *want)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(escape_bytes(&b, bytes, size), 0);
	assert_string_equal(buf_str(&b), want);
}

static void test_plain_text_stays_as_it_is(void **state)
{
	assert_escaped("", 0, "");
	assert_escaped("a b~", 4, "a b~");
	assert_escaped("h\xc3\xb6lle \xe2\x82\xac \xf0\x9f\x98\x80", 15,
		       "h\xc3\xb6lle \xe2\x82\xac \xf0\x9f\x98\x80");
	assert_escaped("\xc2\xa0", 2, "\xc2\xa0");
}

static void test_controls_and_backslash_are_escaped(void **state)
{
	assert_escaped("a\nb", 3, "a\\x0ab");
	assert_escaped("\033[31m", 5, "\\x1b[31m");
	assert_escaped("\x7f", 1, "\\x7f");
	assert_escaped("\xc2\x85", 2, "\\xc2\\x85");
	assert_escaped("\\x41", 4, "\\x5cx41");
	assert_escaped("\0", 1, "\\x00");
}

static void test_bytes_that_are_not_utf8_are_escaped_one_by_one(void **state)
{
	assert_escaped("\xff", 1, "\\xff");
	assert_escaped("a\xc3", 2, "a\\xc3");
	assert_escaped("\xc0\xaf", 2, "\\xc0\\xaf");
	assert_escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");
	assert_escaped("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80");
	assert_escaped("\xe2\x82z", 3, "\\xe2\\x82z");
}

static void test_every_two_bytes_come_back(void **state)
{
	for (unsigned int i = 1; i < 256; i++) {
		for (unsigned int j = 1; j < 256; j++) {
			const char in[] = {(char)i, (char)j, 0};
			_cleanup_buf_ struct buf b = BUF_INIT;
			_cleanup_buf_ struct buf back = BUF_INIT;

			assert_int_equal(escape_bytes(&b, in, 2), 0);
			assert_true(utf8_valid((char *)b.data, b.size));
			assert_int_equal(unescape_bytes(&back, buf_str(&b)), 0);
			assert_string_equal(buf_str(&back), in);
		}
	}
}

static void test_broken_escapes_are_refused_and_add_nothing(void **state)
{
	static const char *const broken[] = {
		"\\",	 "a\\",	  "\\x",   "\\x4",  "\\n",
		"\\xg0", "\\x0g", "\\x00", "\\X41", "\\xAB",
	};
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		assert_int_equal(unescape_bytes(&b, broken[i]), -EINVAL);
		assert_int_equal(b.size, 0);
	}
}

static void test_utf8_is_judged_as_the_standard_says(void **state)
{
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("\xed\x9f\xbf", 3));
	assert_true(utf8_valid("\xee\x80\x80", 3));
	assert_true(utf8_valid("\xf4\x8f\xbf\xbf", 4));
	assert_false(utf8_valid("\x80", 1));
	assert_false(utf8_valid("\xc1\xbf", 2));
	assert_false(utf8_valid("\xe0\x9f\xbf", 3));
	assert_false(utf8_valid("\xed\xa0\x80", 3));
	assert_false(utf8_valid("\xf0\x8f\xbf\xbf", 4));
	assert_false(utf8_valid("\xf5\x80\x80\x80", 4));
	assert_false(utf8_valid("\xf0\x9f\x98", 3));
}

static void test_roots_come_from_the_environment(void **state)
{
	unsetenv("LAYERD_STATE_DIR");
	setenv("LAYERD_RUNTIME_DIR", "", 1);
	assert_string_equal(paths_state_dir(), "/var/lib/layerd");
	assert_string_equal(paths_runtime_dir(), "/run/layerd");
	setenv("LAYERD_STATE_DIR", "/a/b", 1);
	assert_string_equal(paths_state_dir(), "/a/b");
}

static void test_a_relative_root_stays_where_it_was(void **state)
{
	assert_int_equal(chdir("/usr"), 0);
	setenv("LAYERD_STATE_DIR", "state", 1);
	assert_string_equal(paths_state_dir(), "/usr/state");
	assert_int_equal(chdir("/"), 0);
	assert_string_equal(paths_state_dir(), "/usr/state");
}

static void test_a_socket_deep_down_can_be_bound_and_reached(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char top[] = "/tmp/test-escape.XXXXXX", deep[256];
	_cleanup_close_ int dirfd = -1, server = -1, client = -1;

	assert_non_null(mkdtemp(top));
	snprintf(deep, sizeof(deep), "%s/%0150d", top, 0);
	assert_int_equal(mkdir(deep, 0700), 0);
	assert_int_equal(paths_socket(deep, "s", address.sun_path, &dirfd), 0);
	assert_true(dirfd >= 0);
	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (void *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(connect(client, (void *)&address, sizeof(address)), 0);
	assert_int_equal(unlink(address.sun_path), 0);
	assert_int_equal(rmdir(deep), 0);
	assert_int_equal(rmdir(top), 0);
}

static void test_a_socket_that_fits_needs_no_descriptor(void **state)
{
	char path[PATHS_SOCKET_MAX];
	int dirfd = 7;

	assert_int_equal(paths_socket("/run/x", "s", path, &dirfd), 0);
	assert_int_equal(dirfd, -1);
	assert_string_equal(path, "/run/x/s");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_text_stays_as_it_is),
		cmocka_unit_test(test_controls_and_backslash_are_escaped),
		cmocka_unit_test(
			test_bytes_that_are_not_utf8_are_escaped_one_by_one),
		cmocka_unit_test(test_every_two_bytes_come_back),
		cmocka_unit_test(
			test_broken_escapes_are_refused_and_add_nothing),
		cmocka_unit_test(test_utf8_is_judged_as_the_standard_says),
		cmocka_unit_test(test_roots_come_from_the_environment),
		cmocka_unit_test(test_a_relative_root_stays_where_it_was),
		cmocka_unit_test(
			test_a_socket_deep_down_can_be_bound_and_reached),
		cmocka_unit_test(test_a_socket_that_fits_needs_no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
