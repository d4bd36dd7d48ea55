/* SPDX-License-Identifier: Apache-2.0 */
/* What doctor makes of what it sees; what it sees is in doctor.bats. */
#include "doctor.h"

#include "util/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_releases_are_compared_by_number(void **state)
{
	assert_true(doctor_release_is("6.12.3-amd64", 6, 12));
	assert_true(doctor_release_is("6.18.0", 6, 12));
	assert_true(doctor_release_is("10.0", 6, 12));
	assert_false(doctor_release_is("6.2.0-100", 6, 12));
	assert_false(doctor_release_is("5.15.0", 6, 12));
	assert_false(doctor_release_is("", 6, 12));
}

static void test_every_finding_has_a_name_of_its_own_and_says_something(
	void **state)
{
	struct doctor d = {.state_dir = "/nonexistent/state",
			   .daemon_error = -ECONNREFUSED,
			   .daemon_text = "none"};

	for (const struct doctor_check *c = doctor_checks; c->name; c++) {
		struct doctor_finding found = {0};

		c->look(&d, &found);
		assert_true(*found.found);
		assert_true(found.state <= DOCTOR_PROBLEM);
		/* What is bad has a reason. */
		if (found.state == DOCTOR_WARNING ||
		    found.state == DOCTOR_PROBLEM)
			assert_true(*found.follows);
		for (const struct doctor_check *o = doctor_checks; o < c; o++)
			assert_string_not_equal(o->name, c->name);
	}
}

static void test_a_daemon_that_cannot_be_used_is_told_from_none(void **state)
{
	struct doctor d = {.daemon_error = -ECONNREFUSED, .daemon_text = "x"};
	struct doctor_finding found = {0};

	doctor_daemon(&d, &found);
	assert_int_equal(found.state, DOCTOR_OK);
	d.daemon_error = -EACCES;
	doctor_daemon(&d, &found);
	assert_int_equal(found.state, DOCTOR_WARNING);
	d.daemon_error = -ETIMEDOUT;
	doctor_daemon(&d, &found);
	assert_int_equal(found.state, DOCTOR_PROBLEM);
}

static void test_texts_that_are_too_long_are_cut(void **state)
{
	struct doctor_finding found = {0};
	char *longest = malloc(2 * DOCTOR_TEXT_MAX);

	memset(longest, 'x', 2 * DOCTOR_TEXT_MAX);
	longest[2 * DOCTOR_TEXT_MAX - 1] = 0;
	doctor_found(&found, "%s", longest);
	doctor_follows(&found, DOCTOR_WARNING, "%s", longest);
	doctor_todo(&found, "%s", longest);
	assert_int_equal(strlen(found.found), DOCTOR_TEXT_MAX - 1);
	assert_int_equal(strlen(found.follows), DOCTOR_TEXT_MAX - 1);
	assert_int_equal(strlen(found.todo), DOCTOR_TEXT_MAX - 1);
	free(longest);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_releases_are_compared_by_number),
		cmocka_unit_test(
			test_every_finding_has_a_name_of_its_own_and_says_something),
		cmocka_unit_test(
			test_a_daemon_that_cannot_be_used_is_told_from_none),
		cmocka_unit_test(test_texts_that_are_too_long_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
