/* SPDX-License-Identifier: Apache-2.0 */

/* Drawing versions and forks. */

#include "graph.h"
#include "util/buf.h"
#include "util/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int add_line(const char *art, const struct graph_node *node, void *ctx)
{
	return buf_printf(ctx, "%s%s%s\n", art, node ? " " : "",
			  node ? node->id : "");
}

static void assert_drawn(struct graph_node *nodes, size_t n, const char *want)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(graph_order(nodes, n), 0);
	assert_int_equal(graph_draw(nodes, n, add_line, &b), 0);
	assert_non_null(buf_str(&b));
	assert_string_equal((char *)b.data, want);
}

#define DRAWN(want, ...)                                                       \
	do {                                                                   \
		struct graph_node nodes[] = {__VA_ARGS__};                     \
		assert_drawn(nodes, ARRAY_SIZE(nodes), want);                  \
	} while (0)

static void test_one_line_is_a_column_of_stars(void **state)
{
	(void)state;
	assert_drawn(NULL, 0, "");
	DRAWN("* a\n", {"a", NULL, 1});
	DRAWN("* c\n* b\n* a\n", {"a", NULL, 1}, {"b", "a", 2}, {"c", "b", 3});
}

static void test_fork_meets_the_line_it_came_from(void **state)
{
	(void)state;
	DRAWN("* d\n"
	      "| * c\n"
	      "* | b\n"
	      "|/\n"
	      "* a\n",
	      {"a", NULL, 1}, {"b", "a", 2}, {"c", "a", 3}, {"d", "b", 4});
}

static void test_several_forks_meet_from_the_right(void **state)
{
	(void)state;
	DRAWN("* d\n"
	      "| * c\n"
	      "| | * b\n"
	      "|_|/\n"
	      "|/\n"
	      "* a\n",
	      {"a", NULL, 1}, {"b", "a", 2}, {"c", "a", 3}, {"d", "a", 4});
}

static void test_lanes_between_are_crossed(void **state)
{
	(void)state;
	DRAWN("* e\n"
	      "| * d\n"
	      "| | * c\n"
	      "|_|/\n"
	      "* | b\n"
	      "  * a\n",
	      {"a", NULL, 1}, {"b", NULL, 2}, {"c", "b", 3}, {"d", "a", 4},
	      {"e", "b", 5});
}

static void test_lines_of_their_own_follow_each_other(void **state)
{
	(void)state;
	DRAWN("* d\n"
	      "* c\n"
	      "* b\n"
	      "* a\n",
	      {"a", NULL, 1}, {"b", "a", 2}, {"c", NULL, 3}, {"d", "c", 4});
	/* And beside each other where their times cross. */
	DRAWN("* d\n"
	      "| * c\n"
	      "* | b\n"
	      "  * a\n",
	      {"a", NULL, 1}, {"b", NULL, 2}, {"c", "a", 3}, {"d", "b", 4});
}

static void test_parent_that_is_not_there_ends_a_line(void **state)
{
	(void)state;
	DRAWN("* b\n* a\n", {"a", "gone", 1}, {"b", "gone", 2});
}

static void test_clocks_do_not_put_a_version_before_its_parent(void **state)
{
	(void)state;
	DRAWN("* c\n* b\n* a\n", {"a", NULL, 9}, {"b", "a", 5}, {"c", "b", 7});
	DRAWN("* c\n* b\n* a\n", {"c", "b", 1}, {"a", NULL, 1}, {"b", "a", 1});
}

static void test_own_ancestors_are_refused(void **state)
{
	struct graph_node self[] = {{"a", "a", 1}};
	struct graph_node two[] = {{"a", "b", 1}, {"b", "a", 1}};

	(void)state;
	assert_int_equal(graph_order(self, 1), -EINVAL);
	assert_int_equal(graph_order(two, 2), -EINVAL);
}

static int count_lines(const char *art, const struct graph_node *node,
		       void *ctx)
{
	(void)art;
	(void)node;
	++*(size_t *)ctx;
	return 0;
}

static void test_long_lines_are_drawn_in_no_time(void **state)
{
	const size_t n = 100000;
	_cleanup_free_ struct graph_node *nodes = calloc(n, sizeof(*nodes));
	_cleanup_free_ char *names = calloc(n, 16);
	size_t lines = 0;

	(void)state;
	assert_non_null(nodes);
	assert_non_null(names);
	for (size_t i = 0; i < n; i++) {
		snprintf(names + 16 * i, 16, "%zu", i);
		nodes[i] = (struct graph_node){
			.id = names + 16 * i,
			.parent = i ? names + 16 * (i - 1) : NULL,
			.time = (int64_t)i,
		};
	}
	assert_int_equal(graph_order(nodes, n), 0);
	assert_int_equal(graph_draw(nodes, n, count_lines, &lines), 0);
	assert_int_equal(lines, n);
	assert_int_equal(nodes[0].depth, n - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_line_is_a_column_of_stars),
		cmocka_unit_test(test_fork_meets_the_line_it_came_from),
		cmocka_unit_test(test_several_forks_meet_from_the_right),
		cmocka_unit_test(test_lanes_between_are_crossed),
		cmocka_unit_test(test_lines_of_their_own_follow_each_other),
		cmocka_unit_test(test_parent_that_is_not_there_ends_a_line),
		cmocka_unit_test(
			test_clocks_do_not_put_a_version_before_its_parent),
		cmocka_unit_test(test_own_ancestors_are_refused),
		cmocka_unit_test(test_long_lines_are_drawn_in_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
