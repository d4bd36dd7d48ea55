/* SPDX-License-Identifier: Apache-2.0 */
/* The framing, against a peer that does as it likes: messages in any pieces,
 * descriptors, and everything that is not a message. */
#include "proto/message.h"
#include "proto/varlink.h"
#include "util/buf.h"
#include "util/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

struct pair {
	struct varlink *v;
	int peer;
	int fds_before; /* of the process */
};

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	int fds[2];

	assert_non_null(p);
	p->fds_before = count_fds();
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(varlink_new(&p->v, fds[0]), 0);
	p->peer = fds[1];
	*state = p;
	return 0;
}

/* Whatever a test did, no descriptor may be left behind. */
static int teardown(void **state)
{
	struct pair *p = *state;
	int left;

	varlink_freep(&p->v);
	closep(&p->peer);
	left = count_fds() - p->fds_before;
	free(p);
	if (left)
		print_error("%d descriptors leaked\n", left);
	return left ? -1 : 0;
}

static void peer_writes(struct pair *p, const void *data, size_t size)
{
	assert_int_equal(send(p->peer, data, size, MSG_NOSIGNAL), size);
}

static void peer_passes(struct pair *p, const void *data, size_t size,
			const int *fds, size_t n)
{
	char control[CMSG_SPACE(16 * sizeof(int))] = {0};
	struct iovec iov = {(void *)data, size};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	assert_int_equal(sendmsg(p->peer, &m, MSG_NOSIGNAL), size);
}

static void assert_receives(struct pair *p, const char *key)
{
	_cleanup_(json_decrefp) json_t *m = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(varlink_receive(p->v, 1000, &m, NULL, NULL, &err), 0);
	assert_non_null(json_object_get(m, key));
}

static void assert_refuses(struct pair *p)
{
	struct err err = ERR_INIT;
	json_t *m = NULL;

	assert_int_equal(varlink_receive(p->v, 1000, &m, NULL, NULL, &err),
			 -EBADMSG);
	assert_null(m);
	assert_true(strlen(err.text) > 10);
}

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

/* Messages */

static void test_a_message_round_trips_with_its_descriptors(void **state)
{
	_cleanup_(json_decrefp) json_t *sent = json_pack("{s:i}", "a", 1);
	_cleanup_(json_decrefp) json_t *got = NULL;
	_cleanup_close_ int file = memfd_create("a", MFD_CLOEXEC);
	_cleanup_(varlink_freep) struct varlink *other = NULL;
	int out[2] = {file, STDIN_FILENO}, in[VARLINK_FDS_MAX];
	struct pair *p = *state;
	struct err err = ERR_INIT;
	size_t n;

	assert_int_equal(varlink_new(&other, TAKE_FD(p->peer)), 0);
	assert_int_equal(varlink_send(other, sent, out, 2), 0);
	assert_int_equal(varlink_receive(p->v, -1, &got, in, &n, &err), 0);
	assert_true(json_equal(sent, got));
	assert_int_equal(n, 2);
	assert_int_equal(inode(in[0]), inode(file));
	assert_true(fcntl(in[0], F_GETFD) & FD_CLOEXEC);
	closep(&in[0]);
	closep(&in[1]);
}

static void test_a_descriptor_handed_over_is_closed_before_the_end(void **state)
{
	_cleanup_(json_decrefp) json_t *sent = json_pack("{s:i}", "a", 1);
	_cleanup_close_ int in = -1;
	struct pair *p = *state;
	struct pollfd out = {0};
	char text[64], control[64];
	struct iovec iov = {.iov_base = text, .iov_len = sizeof(text)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(varlink_hand_over(p->v, sent, &ends[0]), 0);
	assert_int_equal(ends[0], -1);
	/* What carries the descriptor ends before the message does. */
	assert_int_equal(recvmsg(p->peer, &m, MSG_CMSG_CLOEXEC), 7);
	assert_memory_equal(text, "{\"a\":1}", 7);
	memcpy(&in, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(in));
	assert_int_equal(read(p->peer, text, sizeof(text)), 1);
	assert_int_equal(text[0], 0);
	/* The receiver's was the last one. */
	closep(&in);
	out.fd = ends[1];
	assert_int_equal(poll(&out, 1, 0), 1);
	assert_true(out.revents & POLLERR);
	closep(&ends[1]);
}

static void test_messages_of_one_write_come_one_at_a_time(void **state)
{
	peer_writes(*state, "{\"a\":1}\0{\"b\":2}\0{\"c\"", 20);
	assert_receives(*state, "a");
	assert_receives(*state, "b");
	peer_writes(*state, ":3}", 4);
	assert_receives(*state, "c");
}

static void test_a_message_in_single_bytes_is_put_together(void **state)
{
	static const char text[] = "{\"abc\":[1,2,3]}";

	for (size_t i = 0; i < sizeof(text); i++)
		peer_writes(*state, text + i, 1);
	assert_receives(*state, "abc");
}

static void *write_long(void *arg)
{
	static const char head[] = "{\"long\":\"";
	struct pair *p = arg;
	_cleanup_free_ char *text = malloc(VARLINK_MESSAGE_MAX);

	memset(text, 'x', VARLINK_MESSAGE_MAX);
	memcpy(text, head, strlen(head));
	memcpy(text + VARLINK_MESSAGE_MAX - 3, "\"}", 3);
	for (size_t at = 0; at < VARLINK_MESSAGE_MAX;) {
		ssize_t n = send(p->peer, text + at, VARLINK_MESSAGE_MAX - at,
				 MSG_NOSIGNAL);

		assert_true(n > 0);
		at += (size_t)n;
	}
	return NULL;
}

static void test_the_longest_message_passes(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, write_long, *state), 0);
	assert_receives(*state, "long");
	pthread_join(thread, NULL);
}

static void *write_endless(void *arg)
{
	static char block[65536];
	struct pair *p = arg;
	size_t total = 0;

	memset(block, ' ', sizeof(block));
	while (total < 2 * VARLINK_MESSAGE_MAX) {
		ssize_t n = send(p->peer, block, sizeof(block), MSG_NOSIGNAL);

		if (n < 0)
			break;
		total += (size_t)n;
	}
	return NULL;
}

static void test_an_endless_message_is_refused(void **state)
{
	struct pair *p = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, write_endless, p), 0);
	assert_refuses(p);
	varlink_freep(&p->v);
	pthread_join(thread, NULL);
}

static void test_a_message_too_long_is_not_sent(void **state)
{
	_cleanup_free_ char *text = calloc(1, VARLINK_MESSAGE_MAX);
	_cleanup_(json_decrefp) json_t *m = NULL;
	struct pair *p = *state;
	char c;

	memset(text, 'x', VARLINK_MESSAGE_MAX - 1);
	m = json_pack("{s:s}", "long", text);
	assert_int_equal(varlink_send(p->v, m, NULL, 0), -EMSGSIZE);
	assert_int_equal(recv(p->peer, &c, 1, MSG_DONTWAIT), -1);
}

/* Ends */

static void test_end_between_messages_is_orderly(void **state)
{
	struct pair *p = *state;
	struct err err = ERR_INIT;
	json_t *m;

	peer_writes(p, "{\"a\":1}", 8);
	closep(&p->peer);
	assert_receives(p, "a");
	assert_int_equal(varlink_receive(p->v, -1, &m, NULL, NULL, &err),
			 VARLINK_E_EOF);
}

static void test_end_within_a_message_is_refused(void **state)
{
	struct pair *p = *state;

	peer_writes(p, "{\"a\":1}", 7);
	closep(&p->peer);
	assert_refuses(p);
}

static void test_silence_times_out(void **state)
{
	struct pair *p = *state;
	struct err err = ERR_INIT;
	json_t *m;

	assert_int_equal(varlink_receive(p->v, 20, &m, NULL, NULL, &err),
			 -ETIMEDOUT);
}

static void test_sending_to_nobody_is_an_error_not_a_signal(void **state)
{
	_cleanup_(json_decrefp) json_t *m = json_object();
	struct pair *p = *state;

	closep(&p->peer);
	assert_int_equal(varlink_send(p->v, m, NULL, 0), -EPIPE);
}

/* Descriptors; teardown counts them */

static void test_descriptors_stay_with_their_message(void **state)
{
	struct pair *p = *state;
	_cleanup_close_ int one = memfd_create("1", MFD_CLOEXEC);
	_cleanup_close_ int two = memfd_create("2", MFD_CLOEXEC);
	static const char *const keys[] = {"a", "b", "c", "d"};
	const int want[] = {-1, one, -1, two};

	peer_writes(p, "{\"a\":1}", 8);
	peer_passes(p, "{\"b\":1}", 8, &one, 1);
	peer_writes(p, "{\"c\":1}", 8);
	peer_passes(p, "{\"d\"", 4, &two, 1);
	peer_writes(p, ":1}", 4);
	for (size_t i = 0; i < 4; i++) {
		_cleanup_(json_decrefp) json_t *m = NULL;
		struct err err = ERR_INIT;
		int fds[VARLINK_FDS_MAX];
		size_t n;

		assert_int_equal(varlink_receive(p->v, -1, &m, fds, &n, &err),
				 0);
		assert_non_null(json_object_get(m, keys[i]));
		assert_int_equal(n, want[i] >= 0);
		if (n)
			assert_int_equal(inode(fds[0]), inode(want[i]));
		if (n)
			closep(&fds[0]);
	}
}

static void test_descriptors_beyond_the_bound_are_closed(void **state)
{
	_cleanup_(json_decrefp) json_t *m = NULL;
	struct pair *p = *state;
	int many[16], fds[VARLINK_FDS_MAX];
	struct err err = ERR_INIT;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = STDIN_FILENO;
	for (size_t i = 0; i < 20; i++)
		peer_passes(p, " ", 1, many, ARRAY_SIZE(many));
	peer_writes(p, "{}", 3);
	assert_int_equal(varlink_receive(p->v, -1, &m, fds, &n, &err), 0);
	assert_int_equal(n, VARLINK_FDS_MAX);
	for (size_t i = 0; i < n; i++)
		closep(&fds[i]);
}

static void test_unwanted_descriptors_are_closed(void **state)
{
	int fd = STDIN_FILENO;

	peer_passes(*state, "{\"a\":1}", 8, &fd, 1);
	assert_receives(*state, "a");
	peer_passes(*state, "[garbage", 9, &fd, 1);
	assert_refuses(*state);
	/* Never taken: left to varlink_free(). */
	peer_writes(*state, "{\"b\":1}", 8);
	peer_passes(*state, "{}", 3, &fd, 1);
	assert_receives(*state, "b");
}

/* Hostile text */

static void test_what_is_no_message_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"[]",
		"1",
		"null",
		"\"a\"",
		"{",
		"{}}",
		"{} {}",
		"{\"a\":1,}",
		"{\"a\":1,\"a\":2}",
		"{\"a\":\"\xff\"}",
		"{\"\xc0\xaf\":1}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":\"\\ud800\"}",
		"{\"a\":18446744073709551616}",
		"{\"a\":1e999}",
		"{'a':1}",
		"{\"a\":\"\n\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		peer_writes(*state, texts[i], strlen(texts[i]) + 1);
		assert_refuses(*state);
	}
	/* And the one behind them is understood. */
	peer_writes(*state, "{\"a\":1}", 8);
	assert_receives(*state, "a");
}

static void test_errors_do_not_repeat_raw_input(void **state)
{
	struct err err = ERR_INIT;
	json_t *m;

	assert_int_equal(message_parse("{\033[31m}", 7, &m, &err), -EBADMSG);
	assert_null(strchr(err.text, '\033'));
}

static void test_deep_nesting_is_refused_before_it_is_parsed(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	json_t *m;

	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf_add_str(&b, "{\"a\":"), 0);
	assert_int_equal(message_parse((char *)b.data, b.size, &m, &err),
			 -EBADMSG);
	assert_non_null(strstr(err.text, "nested"));
}

static void test_many_tiny_values_are_refused_before_parsing(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	json_t *m;

	assert_int_equal(buf_add_str(&b, "{\"a\":[{}"), 0);
	while (b.size < VARLINK_MESSAGE_MAX - 100)
		assert_int_equal(buf_add_str(&b, ",{}"), 0);
	assert_int_equal(buf_add_str(&b, "]}"), 0);
	assert_int_equal(message_parse((char *)b.data, b.size, &m, &err),
			 -EBADMSG);
	assert_non_null(strstr(err.text, "values"));
}

static void test_brackets_in_strings_do_not_count(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	json_t *m;

	assert_int_equal(buf_add_str(&b, "{\"a\":\"\\\""), 0);
	for (int i = 0; i < 1000000; i++)
		assert_int_equal(buf_add_str(&b, "[,"), 0);
	assert_int_equal(buf_add_str(&b, "\"}"), 0);
	assert_int_equal(message_parse((char *)b.data, b.size, &m, &err), 0);
	json_decref(m);
}

/* Calls and replies */

static int decode(const char *text, struct varlink_call *ret)
{
	_cleanup_(json_decrefp) json_t *m = json_loads(text, 0, NULL);
	struct err err = ERR_INIT;
	int r;

	assert_non_null(m);
	r = varlink_call_decode(m, ret, &err);
	assert_int_equal(r < 0, *err.text != 0);
	return r;
}

static void test_calls_are_decoded(void **state)
{
	_cleanup_(json_decrefp) json_t *m = NULL;
	struct varlink_call call;
	struct err err = ERR_INIT;

	m = varlink_make_call("io.x.Y", json_pack("{s:i}", "a", 1), true);
	assert_int_equal(varlink_call_decode(m, &call, &err), 0);
	assert_string_equal(call.method, "io.x.Y");
	assert_true(call.more);
	assert_false(call.oneway);
	assert_int_equal(
		json_integer_value(json_object_get(call.parameters, "a")), 1);
	assert_int_equal(decode("{\"method\":\"a.B\",\"parameters\":null,"
				"\"oneway\":true}",
				&call),
			 0);
	assert_null(call.parameters);
	assert_true(call.oneway);
	assert_false(call.more);
}

static void test_what_is_no_call_is_refused(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"method\":1}",
		"{\"method\":\"Ping\"}",
		"{\"method\":\"a.B\",\"parameters\":[]}",
		"{\"method\":\"a.B\",\"parameters\":\"x\"}",
		"{\"method\":\"a.B\",\"more\":1}",
		"{\"method\":\"a.B\",\"oneway\":null}",
		"{\"method\":\"a.B\",\"more\":true,\"oneway\":true}",
	};
	struct varlink_call call;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(decode(texts[i], &call), -EBADMSG);
	assert_int_equal(decode("{\"method\":\"a.B\",\"upgrade\":true}", &call),
			 -EOPNOTSUPP);
}

static void assert_json(json_t *m, const char *want)
{
	_cleanup_free_ char *text = json_dumps(m, JSON_COMPACT);

	assert_string_equal(text, want);
	json_decref(m);
}

static void test_replies_look_as_varlink_says(void **state)
{
	assert_json(varlink_make_reply(NULL, false), "{\"parameters\":{}}");
	assert_json(varlink_make_reply(json_pack("{s:b}", "a", 0), true),
		    "{\"parameters\":{\"a\":false},\"continues\":true}");
	assert_json(varlink_make_error("io.x.E", NULL),
		    "{\"error\":\"io.x.E\",\"parameters\":{}}");
	assert_json(varlink_make_call("io.x.M", NULL, false),
		    "{\"method\":\"io.x.M\",\"parameters\":{}}");
	assert_null(varlink_make_error("\xff", json_object()));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_a_message_round_trips_with_its_descriptors),
		TEST(test_a_descriptor_handed_over_is_closed_before_the_end),
		TEST(test_messages_of_one_write_come_one_at_a_time),
		TEST(test_a_message_in_single_bytes_is_put_together),
		TEST(test_the_longest_message_passes),
		TEST(test_an_endless_message_is_refused),
		TEST(test_a_message_too_long_is_not_sent),
		TEST(test_end_between_messages_is_orderly),
		TEST(test_end_within_a_message_is_refused),
		TEST(test_silence_times_out),
		TEST(test_sending_to_nobody_is_an_error_not_a_signal),
		TEST(test_descriptors_stay_with_their_message),
		TEST(test_descriptors_beyond_the_bound_are_closed),
		TEST(test_unwanted_descriptors_are_closed),
		TEST(test_what_is_no_message_is_refused),
		cmocka_unit_test(test_errors_do_not_repeat_raw_input),
		cmocka_unit_test(
			test_deep_nesting_is_refused_before_it_is_parsed),
		cmocka_unit_test(
			test_many_tiny_values_are_refused_before_parsing),
		cmocka_unit_test(test_brackets_in_strings_do_not_count),
		cmocka_unit_test(test_calls_are_decoded),
		cmocka_unit_test(test_what_is_no_call_is_refused),
		cmocka_unit_test(test_replies_look_as_varlink_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
