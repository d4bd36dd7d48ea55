/* SPDX-License-Identifier: Apache-2.0 */
/* Calls against a daemon that a thread plays: answers, errors, silence, and
 * starting one that is not there. Also the API's errors and interface text. */
#include "proto/autostart.h"
#include "proto/client.h"
#include "proto/errors.h"
#include "proto/interface.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

static char directory[] = "/tmp/test-client.XXXXXX";

static struct sockaddr_un daemon_address(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/layerd.sock",
		 directory);
	return address;
}

/* Plays a daemon for one connection and one call, whose text it keeps. */
struct player {
	const char *answer; /* bytes to send, each '\n' as NUL */
	int fd;		    /* to pass along with them, or -1 */
	int delay_ms;	    /* until it listens */
	char call[512];
	pthread_t thread;
	int listener;
};

static void player_listens(struct player *p)
{
	struct sockaddr_un address = daemon_address();

	p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(p->listener >= 0);
	assert_int_equal(bind(p->listener, (void *)&address, sizeof(address)),
			 0);
	assert_int_equal(listen(p->listener, 1), 0);
}

static void player_answers(struct player *p, int connection)
{
	_cleanup_free_ char *bytes = strdup(p->answer);
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {bytes, strlen(bytes)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c = (struct cmsghdr *)control;

	for (char *n = bytes; (n = strchr(n, '\n'));)
		*n++ = 0;
	if (p->fd >= 0) {
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &p->fd, sizeof(int));
	}
	if (iov.iov_len)
		assert_true(sendmsg(connection, &m, MSG_NOSIGNAL) > 0);
}

static void *play(void *arg)
{
	struct player *p = arg;
	_cleanup_close_ int connection = -1;

	if (p->delay_ms) {
		usleep((useconds_t)p->delay_ms * 1000);
		player_listens(p);
	}
	connection = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(connection >= 0);
	if (p->answer) {
		assert_true(recv(connection, p->call, sizeof(p->call) - 1, 0) >
			    0);
		player_answers(p, connection);
	}
	return NULL;
}

static void player_start(struct player *p)
{
	if (!p->delay_ms)
		player_listens(p);
	assert_int_equal(pthread_create(&p->thread, NULL, play, p), 0);
}

static void player_stop(struct player *p)
{
	struct sockaddr_un address = daemon_address();

	pthread_join(p->thread, NULL);
	closep(&p->listener);
	assert_int_equal(unlink(address.sun_path), 0);
}

/* One call of io.layerd.Thing against a player that answers so. */
static int call(struct player *p, client_more_fn fn, void *ctx, json_t **ret,
		int *ret_fd, struct err *err)
{
	_cleanup_(client_freep) struct client *c = NULL;
	int r;

	player_start(p);
	assert_int_equal(client_connect(&c, false, err), 0);
	r = client_call(c, "Thing", json_pack("{s:i}", "a", 1), -1, fn, ctx,
			ret, ret_fd, err);
	client_freep(&c);
	player_stop(p);
	return r;
}

static void test_a_reply_brings_its_parameters_and_descriptor(void **state)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	struct player p = {"{\"parameters\":{\"b\":2}}\n", .fd = STDIN_FILENO};
	_cleanup_close_ int fd = -1;
	struct err err = ERR_INIT;

	assert_int_equal(call(&p, NULL, NULL, &reply, &fd, &err), 0);
	assert_string_equal(p.call, "{\"method\":\"io.layerd.Thing\","
				    "\"parameters\":{\"a\":1}}");
	assert_int_equal(json_integer_value(json_object_get(reply, "b")), 2);
	assert_true(fd >= 0);
}

static int sum(json_t *parameters, void *ctx)
{
	*(int *)ctx +=
		(int)json_integer_value(json_object_get(parameters, "n"));
	return 0;
}

static int stop(json_t *parameters, void *ctx)
{
	return -ECANCELED;
}

static const char counting[] = "{\"parameters\":{\"n\":1},\"continues\":true}\n"
			       "{\"parameters\":{\"n\":2},\"continues\":true}\n"
			       "{\"parameters\":{\"n\":4}}\n";

static void test_all_replies_but_the_last_go_to_the_callback(void **state)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	struct player p = {counting, .fd = -1};
	struct err err = ERR_INIT;
	int n = 0;

	assert_int_equal(call(&p, sum, &n, &reply, NULL, &err), 0);
	assert_int_equal(n, 3);
	assert_int_equal(json_integer_value(json_object_get(reply, "n")), 4);
	assert_non_null(strstr(p.call, "\"more\":true"));
}

static void test_a_callback_can_end_the_call(void **state)
{
	struct player p = {counting, .fd = -1};
	struct err err = ERR_INIT;
	json_t *reply = NULL;

	assert_int_equal(call(&p, stop, NULL, &reply, NULL, &err), -ECANCELED);
	assert_null(reply);
}

static void test_replies_that_nobody_asked_for_are_refused(void **state)
{
	struct player p = {counting, .fd = -1};
	struct err err = ERR_INIT;
	json_t *reply = NULL;

	assert_int_equal(call(&p, NULL, NULL, &reply, NULL, &err), -EBADMSG);
}

static void test_an_error_keeps_the_daemons_sentence(void **state)
{
	struct player p = {"{\"error\":\"io.layerd.Busy\",\"parameters\":"
			   "{\"message\":\"held by host h\"}}\n",
			   .fd = -1};
	struct err err = ERR_INIT;
	json_t *reply;

	assert_int_equal(call(&p, NULL, NULL, &reply, NULL, &err), -EBUSY);
	assert_string_equal(err.text, "held by host h");
}

static void test_a_method_the_daemon_lacks_is_not_supported(void **state)
{
	struct player p = {"{\"error\":\"org.varlink.service.MethodNotFound\","
			   "\"parameters\":{\"method\":\"io.layerd.Thing\"}}\n",
			   .fd = -1};
	struct err err = ERR_INIT;
	json_t *reply;

	assert_int_equal(call(&p, NULL, NULL, &reply, NULL, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "io.layerd.Thing"));
}

static void test_answers_that_make_no_sense_are_refused(void **state)
{
	static const char *const answers[] = {
		"[]\n",
		"{}\n",
		"{\"parameters\":1}\n",
		"{\"parameters\":{}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct player p = {answers[i], .fd = -1};
		struct err err = ERR_INIT;
		json_t *reply;

		assert_int_equal(call(&p, NULL, NULL, &reply, NULL, &err),
				 -EBADMSG);
	}
}

static void test_a_daemon_that_hangs_up_is_unreachable(void **state)
{
	struct player p = {"", .fd = -1};
	struct err err = ERR_INIT;
	json_t *reply;

	assert_int_equal(call(&p, NULL, NULL, &reply, NULL, &err), -ECONNRESET);
	assert_true(*err.text);
}

/* Starting a daemon */

static void test_without_a_daemon_the_error_names_the_socket(void **state)
{
	struct err err = ERR_INIT;
	struct client *c;

	assert_int_equal(client_connect(&c, false, &err), -ECONNREFUSED);
	assert_non_null(strstr(err.text, directory));
}

/* A program at directory/layerd that does what script says. */
static void make_program(const char *script)
{
	_cleanup_close_ int dir = open(directory, O_RDONLY | O_DIRECTORY);
	char text[256], path[64];

	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
	assert_int_equal(write_file_at(dir, "layerd", text, strlen(text), 0755),
			 0);
	snprintf(path, sizeof(path), "%s/layerd", directory);
	setenv("LAYERD_PROGRAM", path, 1);
}

static void test_a_daemon_that_does_not_start_is_an_error(void **state)
{
	struct err err = ERR_INIT;
	struct client *c;

	make_program("exit 3");
	assert_int_equal(client_connect(&c, true, &err), -ECONNREFUSED);
	assert_non_null(strstr(err.text, "status 3"));
	setenv("LAYERD_PROGRAM", "/nonexistent", 1);
	err = ERR_INIT;
	assert_int_equal(client_connect(&c, true, &err), -ECONNREFUSED);
	assert_non_null(strstr(err.text, "/nonexistent"));
}

static void test_the_loser_of_a_race_waits_for_the_winner(void **state)
{
	_cleanup_(client_freep) struct client *c = NULL;
	struct player p = {.fd = -1, .delay_ms = 200};
	struct err err = ERR_INIT;
	char script[64];

	snprintf(script, sizeof(script), "test $1 = --daemonize && exit %d",
		 AUTOSTART_RUNNING);
	make_program(script);
	player_start(&p);
	assert_int_equal(client_connect(&c, true, &err), 0);
	player_stop(&p);
}

static void test_no_daemon_is_started_against_the_callers_wish(void **state)
{
	struct err err = ERR_INIT;
	struct client *c;
	char path[64];

	make_program("touch $LAYERD_RUNTIME_DIR/started");
	assert_int_equal(client_connect(&c, false, &err), -ECONNREFUSED);
	snprintf(path, sizeof(path), "%s/started", directory);
	assert_int_equal(access(path, F_OK), -1);
}

/* Names */

static void test_error_names_and_errnos_agree(void **state)
{
	static const int codes[] = {EINVAL, ENOENT, EEXIST,	EBUSY,
				    EPERM,  ENOSPC, EROFS,	EBADMSG,
				    ESTALE, EAGAIN, EOPNOTSUPP, EIO};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		const char *name = error_name(-codes[i]);

		assert_int_equal(error_code(name), -codes[i]);
		assert_non_null(strstr(interface_description("io.layerd"),
				       name + strlen("io.layerd.")));
	}
	assert_string_equal(error_name(-EACCES), error_name(-EPERM));
	assert_string_equal(error_name(-EDQUOT), error_name(-ENOSPC));
	assert_string_equal(error_name(-ENOSYS), error_name(-EOPNOTSUPP));
	assert_string_equal(error_name(-EPIPE), "io.layerd.Failed");
	assert_int_equal(error_code("io.other.Error"), -EIO);
}

static void test_interface_text_is_the_whole_file(void **state)
{
	const char *text = interface_description("io.layerd");
	const char *tail = "error Failed(message: string)\n";

	assert_non_null(strstr(text, "\ninterface io.layerd\n"));
	assert_non_null(strstr(text, "written as \\xNN."));
	assert_non_null(strstr(text, "\"sha256:\" and 64"));
	assert_string_equal(text + strlen(text) - strlen(tail), tail);
	assert_non_null(interface_description("org.varlink.service"));
	assert_null(interface_description("io.layer"));
}

static int setup(void **state)
{
	assert_non_null(mkdtemp(directory));
	return setenv("LAYERD_RUNTIME_DIR", directory, 1);
}

static int teardown(void **state)
{
	return remove_tree_at(AT_FDCWD, directory);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_reply_brings_its_parameters_and_descriptor),
		cmocka_unit_test(
			test_all_replies_but_the_last_go_to_the_callback),
		cmocka_unit_test(test_a_callback_can_end_the_call),
		cmocka_unit_test(
			test_replies_that_nobody_asked_for_are_refused),
		cmocka_unit_test(test_an_error_keeps_the_daemons_sentence),
		cmocka_unit_test(
			test_a_method_the_daemon_lacks_is_not_supported),
		cmocka_unit_test(test_answers_that_make_no_sense_are_refused),
		cmocka_unit_test(test_a_daemon_that_hangs_up_is_unreachable),
		cmocka_unit_test(
			test_without_a_daemon_the_error_names_the_socket),
		cmocka_unit_test(test_a_daemon_that_does_not_start_is_an_error),
		cmocka_unit_test(test_the_loser_of_a_race_waits_for_the_winner),
		cmocka_unit_test(
			test_no_daemon_is_started_against_the_callers_wish),
		cmocka_unit_test(test_error_names_and_errnos_agree),
		cmocka_unit_test(test_interface_text_is_the_whole_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
