/* SPDX-License-Identifier: Apache-2.0 */

/* The plan of a mount, which is made without a system call. */

#include "mount/plan.h"
#include "util/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LAYERS_MAX 501

static struct plan_source sources[LAYERS_MAX];

/* A request for layers that are told apart by the numbers in order. */
static struct plan_request request_for(const int *order, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		memset(&sources[i].object, 0, sizeof(sources[i].object));
		memcpy(sources[i].object.bytes, &order[i], sizeof(*order));
		sources[i].index = "/cache/x/index";
		sources[i].data = "/cache/x/tar";
	}
	return (struct plan_request){.source = "data@3",
				     .lower_root = "/run/lower",
				     .empty = "/run/empty",
				     .layers = sources,
				     .n_layers = n};
}

/* The number of the layer whose directory is the nth lower; -1: the empty one.
 * Every lower must be that or the directory of one image. */
static int lower_number(const struct mount_plan *plan, size_t n)
{
	int found = -2, number;

	if (plan->lowers[n] == plan->empty)
		return -1;
	for (size_t i = 0; i < plan->n_images; i++) {
		if (strcmp(plan->images[i].directory, plan->lowers[n]) != 0)
			continue;
		assert_int_equal(found, -2);
		memcpy(&number, plan->images[i].object.bytes, sizeof(number));
		found = number;
	}
	assert_int_not_equal(found, -2);
	return found;
}

static void assert_lowers(const struct plan_request *request, const int *want,
			  size_t n)
{
	_cleanup_mount_plan_ struct mount_plan plan = MOUNT_PLAN_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(mount_plan_make(request, &plan, &err), 0);
	assert_int_equal(plan.n_lowers, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(lower_number(&plan, i), want[i]);
}

static void test_lowers_are_listed_topmost_first(void **state)
{
	static const int order[] = {10, 20, 30, 40};
	static const int want[] = {40, 30, 20, 10};
	struct plan_request q = request_for(order, ARRAY_SIZE(order));

	(void)state;
	assert_lowers(&q, want, ARRAY_SIZE(want));
}

static void test_layer_that_occurs_twice_is_listed_once_at_the_top(void **state)
{
	static const int order[] = {1, 2, 1, 3, 2, 2};
	static const int want[] = {2, 3, 1};
	struct plan_request q = request_for(order, ARRAY_SIZE(order));
	_cleanup_mount_plan_ struct mount_plan plan = MOUNT_PLAN_INIT;

	(void)state;
	assert_lowers(&q, want, ARRAY_SIZE(want));
	assert_int_equal(mount_plan_make(&q, &plan, NULL), 0);
	assert_int_equal(plan.n_images, 3);
}

static void test_empty_directory_fills_in_where_lowers_are_short(void **state)
{
	static const int one[] = {7, 7};
	static const int alone[] = {7, -1};
	static const int nothing[] = {-1};
	struct plan_request q = request_for(one, 2);

	(void)state;
	assert_lowers(&q, alone, 2);
	q.upper = "/s/upper";
	q.work = "/s/work";
	assert_lowers(&q, alone, 1);
	q.n_layers = 0;
	assert_lowers(&q, nothing, 1);
}

static void test_read_only_mount_of_nothing_is_refused(void **state)
{
	_cleanup_mount_plan_ struct mount_plan plan = MOUNT_PLAN_INIT;
	struct plan_request q = request_for(NULL, 0);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(mount_plan_make(&q, &plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "data@3"));
	assert_null(plan.lowers);
}

static void test_more_lowers_than_overlayfs_takes_are_refused(void **state)
{
	_cleanup_mount_plan_ struct mount_plan plan = MOUNT_PLAN_INIT;
	int order[LAYERS_MAX], want[LAYERS_MAX];
	struct err err = ERR_INIT;
	struct plan_request q;

	(void)state;
	for (int i = 0; i < LAYERS_MAX; i++) {
		order[i] = i;
		want[i] = LAYERS_MAX - 2 - i;
	}
	q = request_for(order, LAYERS_MAX - 1);
	assert_lowers(&q, want, LAYERS_MAX - 1);
	q = request_for(order, LAYERS_MAX);
	assert_int_equal(mount_plan_make(&q, &plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "501 layers"));
}

static void test_plan_keeps_copies_of_what_it_was_asked(void **state)
{
	char source[] = "data", lower[] = "/run/lower", empty[] = "/run/empty";
	char upper[] = "/s/upper", work[] = "/s/work";
	char index[] = "/cache/index", data[] = "/cache/tar";
	_cleanup_mount_plan_ struct mount_plan plan = MOUNT_PLAN_INIT;
	struct plan_source layer = {.index = index, .data = data};
	struct plan_request q = {.source = source,
				 .lower_root = lower,
				 .empty = empty,
				 .layers = &layer,
				 .n_layers = 1,
				 .upper = upper,
				 .work = work,
				 .restricted = true};
	char *const strings[] = {source, lower, empty, upper,
				 work,	 index, data};
	char directory[128], hex[DIGEST_HEX_SIZE];

	(void)state;
	memset(&layer.object, 0xab, sizeof(layer.object));
	snprintf(directory, sizeof(directory), "/run/lower/%s",
		 digest_hex(&layer.object, hex));
	assert_int_equal(mount_plan_make(&q, &plan, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		memset(strings[i], '#', strlen(strings[i]));
	assert_string_equal(plan.source, "data");
	assert_string_equal(plan.empty, "/run/empty");
	assert_string_equal(plan.upper, "/s/upper");
	assert_string_equal(plan.work, "/s/work");
	assert_string_equal(plan.images[0].index, "/cache/index");
	assert_string_equal(plan.images[0].data, "/cache/tar");
	assert_string_equal(plan.lowers[0], directory);
	assert_true(plan.restricted);
}

static void test_read_only_plan_has_no_upper(void **state)
{
	static const int order[] = {1, 2};
	_cleanup_mount_plan_ struct mount_plan plan = MOUNT_PLAN_INIT;
	struct plan_request q = request_for(order, 2);

	(void)state;
	q.work = "/s/work";
	assert_int_equal(mount_plan_make(&q, &plan, NULL), 0);
	assert_null(plan.upper);
	assert_null(plan.work);
	assert_false(plan.restricted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lowers_are_listed_topmost_first),
		cmocka_unit_test(
			test_layer_that_occurs_twice_is_listed_once_at_the_top),
		cmocka_unit_test(
			test_empty_directory_fills_in_where_lowers_are_short),
		cmocka_unit_test(test_read_only_mount_of_nothing_is_refused),
		cmocka_unit_test(
			test_more_lowers_than_overlayfs_takes_are_refused),
		cmocka_unit_test(test_plan_keeps_copies_of_what_it_was_asked),
		cmocka_unit_test(test_read_only_plan_has_no_upper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
