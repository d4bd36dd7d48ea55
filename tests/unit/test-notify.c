/* SPDX-License-Identifier: Apache-2.0 */
#include "server/notify.h"
#include "util/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

/* A manager's socket, bound to name as NOTIFY_SOCKET spells it. */
static int listen_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	if (*name == '@')
		address.sun_path[0] = 0;
	assert_int_equal(
		bind(fd, (struct sockaddr *)&address,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				 strlen(name))),
		0);
	return fd;
}

static void expect_message(const char *name)
{
	_cleanup_close_ int fd = listen_at(name);
	char text[64] = "";

	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify("READY=1"), 0);
	assert_int_equal(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT), 7);
	assert_string_equal(text, "READY=1");
	unsetenv("NOTIFY_SOCKET");
}

static void test_the_manager_receives_what_is_told(void **state)
{
	char directory[] = "/tmp/test-notify.XXXXXX";
	char path[64], name[64];

	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/socket", directory);
	expect_message(path);
	(void)snprintf(name, sizeof(name), "@%s", directory);
	expect_message(name);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
}

static void test_without_a_manager_nothing_happens(void **state)
{
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(notify("READY=1"), 0);
	unsetenv("NOTIFY_SOCKET");
}

static void test_a_socket_that_is_none_is_an_error(void **state)
{
	char path[256];

	setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
	assert_int_equal(notify("READY=1"), -ENOENT);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify("READY=1"), -EAFNOSUPPORT);
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = 0;
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(notify("READY=1"), -EAFNOSUPPORT);
	unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_manager_receives_what_is_told),
		cmocka_unit_test(test_without_a_manager_nothing_happens),
		cmocka_unit_test(test_a_socket_that_is_none_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
