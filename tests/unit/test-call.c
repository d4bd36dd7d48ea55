/* SPDX-License-Identifier: Apache-2.0 */

/* The parameters of a call: what is there is given, what is absent or null is
 * left alone, and what has the wrong type is told by its name. */

#include "proto/varlink.h"
#include "server/call.h"
#include "util/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct call call_with(const char *parameters)
{
	struct call c = {.fd = -1, .reply_fd = -1};

	/* With NULs, which the wire does not let in: belt and braces. */
	c.parameters = json_loads(parameters, JSON_ALLOW_NUL, NULL);
	assert_non_null(c.parameters);
	return c;
}

static void assert_told(struct call *c, int r, const char *name)
{
	assert_int_equal(r, -EINVAL);
	assert_int_equal(c->err.code, -EINVAL);
	if (!strstr(c->err.text, name))
		fail_msg("\"%s\" does not name %s", c->err.text, name);
	c->err = ERR_INIT;
}

static void test_parameters_are_given_as_they_are(void **state)
{
	struct call c = call_with("{\"s\":\"text\",\"b\":true,\"f\":false,"
				  "\"n\":9223372036854775807,\"e\":\"\"}");
	const char *s = NULL;
	bool b = false, f = true;
	uint64_t n = 0;

	(void)state;
	assert_int_equal(call_get_string(&c, "s", &s), 0);
	assert_string_equal(s, "text");
	assert_int_equal(call_need_string(&c, "e", &s), 0);
	assert_string_equal(s, "");
	assert_int_equal(call_get_bool(&c, "b", &b), 0);
	assert_int_equal(call_get_bool(&c, "f", &f), 0);
	assert_true(b);
	assert_false(f);
	assert_int_equal(call_get_uint(&c, "n", &n), 0);
	assert_true(n == INT64_MAX);
	json_decref(c.parameters);
}

static void test_absent_and_null_leave_the_default(void **state)
{
	struct call c = call_with("{\"null\":null}");
	const char *const names[] = {"null", "absent"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *s = "default";
		uint64_t n = 7;
		bool b = true;

		assert_int_equal(call_get_string(&c, names[i], &s), 0);
		assert_int_equal(call_get_bool(&c, names[i], &b), 0);
		assert_int_equal(call_get_uint(&c, names[i], &n), 0);
		assert_string_equal(s, "default");
		assert_true(b);
		assert_int_equal(n, 7);
		assert_told(&c, call_need_string(&c, names[i], &s), names[i]);
	}
	json_decref(c.parameters);
}

static void test_wrong_types_are_told_by_name(void **state)
{
	struct call c = call_with(
		"{\"string\":\"x\",\"number\":1,\"real\":1.0,\"minus\":-1,"
		"\"bool\":true,\"list\":[],\"object\":{},\"nul\":"
		"\"a\\u0000b\"}");
	static const char *const names[] = {"string", "number", "real",
					    "minus",  "bool",	"list",
					    "object", "nul"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *name = names[i], *s = NULL;
		uint64_t n = 7;
		bool b = false;
		int r;

		r = call_get_string(&c, name, &s);
		if (strcmp(name, "string") != 0)
			assert_told(&c, r, name);
		r = call_need_string(&c, name, &s);
		if (strcmp(name, "string") != 0)
			assert_told(&c, r, name);
		r = call_get_bool(&c, name, &b);
		if (strcmp(name, "bool") != 0)
			assert_told(&c, r, name);
		r = call_get_uint(&c, name, &n);
		if (strcmp(name, "number") != 0)
			assert_told(&c, r, name);
		assert_int_equal(n, strcmp(name, "number") == 0 ? 1 : 7);
	}
	json_decref(c.parameters);
}

static void test_strings_are_an_array(void **state)
{
	static const char *const wrong[] = {
		"{\"s\":\"a\"}",	   "{\"s\":{\"a\":\"b\"}}",
		"{\"s\":[\"a\",1]}",	   "{\"s\":[\"a\",null]}",
		"{\"s\":[\"a\\u0000b\"]}",
	};
	struct call c = call_with("{\"s\":[\"b\",\"a\",\"\"],\"null\":null}");
	const char **strings;
	size_t n;

	(void)state;
	assert_true(call_has(&c, "s"));
	assert_false(call_has(&c, "null"));
	assert_false(call_has(&c, "absent"));
	assert_int_equal(call_get_strings(&c, "s", &strings, &n), 0);
	assert_int_equal(n, 3);
	assert_string_equal(strings[0], "b");
	assert_string_equal(strings[2], "");
	free(strings);
	assert_int_equal(call_get_strings(&c, "null", &strings, &n), 0);
	assert_int_equal(n, 0);
	free(strings);
	json_decref(c.parameters);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		c = call_with(wrong[i]);
		assert_told(&c, call_get_strings(&c, "s", &strings, &n), " s ");
		json_decref(c.parameters);
	}
}

static void test_labels_are_an_object_of_strings(void **state)
{
	static const char *const wrong[] = {
		"{\"labels\":[]}",
		"{\"labels\":\"k=v\"}",
		"{\"labels\":{\"k\":1}}",
		"{\"labels\":{\"a\":\"b\",\"k\":null}}",
		"{\"labels\":{\"a\":\"b\",\"k\":\"v\\u0000w\"}}",
	};
	struct call c = call_with("{\"labels\":{\"b\":\"2\",\"a\":\"\"}}");
	struct label *labels;
	size_t n;

	(void)state;
	assert_int_equal(call_get_labels(&c, &labels, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(labels[0].key, "b");
	assert_string_equal(labels[0].value, "2");
	assert_string_equal(labels[1].key, "a");
	assert_string_equal(labels[1].value, "");
	free(labels);
	json_decref(c.parameters);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		c = call_with(wrong[i]);
		assert_told(&c, call_get_labels(&c, &labels, &n), "labels");
		assert_null(labels);
		assert_int_equal(n, 0);
		json_decref(c.parameters);
	}
	c = call_with("{\"labels\":null}");
	assert_int_equal(call_get_labels(&c, &labels, &n), 0);
	assert_null(labels);
	assert_int_equal(n, 0);
	json_decref(c.parameters);
}

static void test_targets_are_volumes_or_paths_with_a_device(void **state)
{
	struct target t = {0};
	struct call c = call_with("{\"target\":{\"volume\":\"data\"}}");

	(void)state;
	assert_int_equal(call_get_target(&c, &t), 0);
	assert_string_equal(t.volume, "data");
	assert_null(t.path);
	target_release(&t);
	json_decref(c.parameters);
	c = call_with("{\"target\":{\"volume\":null,\"path\":\"/a\\\\xff\","
		      "\"device\":66306}}");
	assert_int_equal(call_get_target(&c, &t), 0);
	assert_null(t.volume);
	assert_string_equal(t.path, "/a\xff");
	assert_int_equal(t.device, 66306);
	target_release(&t);
	assert_null(t.path);
	json_decref(c.parameters);
}

static void test_other_targets_are_refused(void **state)
{
	static const struct {
		const char *parameters, *words;
	} cases[] = {
		{"{}", "target"},
		{"{\"target\":null}", "target"},
		{"{\"target\":\"data\"}", "target"},
		{"{\"target\":{}}", "target"},
		{"{\"target\":{\"volume\":5}}", "target.volume"},
		{"{\"target\":{\"volume\":[],\"path\":\"/a\",\"device\":1}}",
		 "target.volume"},
		{"{\"target\":{\"volume\":\"a/b\"}}", "a/b"},
		{"{\"target\":{\"volume\":\"\"}}", "name"},
		{"{\"target\":{\"volume\":\"data\\u0000x\"}}", "target.volume"},
		{"{\"target\":{\"path\":\"/a\"}}", "device"},
		{"{\"target\":{\"path\":\"/a\",\"device\":\"1\"}}", "device"},
		{"{\"target\":{\"path\":\"/a\",\"device\":1.0}}", "device"},
		{"{\"target\":{\"path\":7,\"device\":1}}", "path"},
		{"{\"target\":{\"path\":\"a\",\"device\":1}}", "target.path"},
		{"{\"target\":{\"path\":\"\",\"device\":1}}", "target.path"},
		{"{\"target\":{\"path\":\"/\\\\xzz\",\"device\":1}}",
		 "target.path"},
		{"{\"target\":{\"path\":\"/\\\\x00\",\"device\":1}}",
		 "target.path"},
		{"{\"target\":{\"path\":\"/\\u0000\",\"device\":1}}",
		 "target.path"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct call c = call_with(cases[i].parameters);
		_cleanup_target_ struct target t = {0};

		assert_told(&c, call_get_target(&c, &t), cases[i].words);
		json_decref(c.parameters);
	}
}

static void test_replies_that_others_follow_say_so(void **state)
{
	_cleanup_(varlink_freep) struct varlink *server = NULL, *client = NULL;
	int pair[2], fds[VARLINK_FDS_MAX];
	struct call c = {0};
	json_t *message;
	size_t n;

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(varlink_new(&server, pair[0]), 0);
	assert_int_equal(varlink_new(&client, pair[1]), 0);
	c.connection = server;
	assert_int_equal(call_send_more(&c, json_pack("{s:i}", "done", 5)), 0);
	assert_int_equal(varlink_receive(client, 1000, &message, fds, &n, NULL),
			 0);
	assert_true(json_is_true(json_object_get(message, "continues")));
	assert_int_equal(
		json_integer_value(json_object_get(
			json_object_get(message, "parameters"), "done")),
		5);
	json_decref(message);
	client = varlink_free(client);
	assert_true(call_send_more(&c, json_object()) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parameters_are_given_as_they_are),
		cmocka_unit_test(test_absent_and_null_leave_the_default),
		cmocka_unit_test(test_wrong_types_are_told_by_name),
		cmocka_unit_test(test_strings_are_an_array),
		cmocka_unit_test(test_labels_are_an_object_of_strings),
		cmocka_unit_test(
			test_targets_are_volumes_or_paths_with_a_device),
		cmocka_unit_test(test_other_targets_are_refused),
		cmocka_unit_test(test_replies_that_others_follow_say_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
