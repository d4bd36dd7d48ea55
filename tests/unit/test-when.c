/* SPDX-License-Identifier: Apache-2.0 */

/* Times as people write them. */

#include "util/cleanup.h"
#include "when.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#define NOW 1000000000

static void assert_means(const char *text, int64_t first, int64_t last)
{
	struct err err = ERR_INIT;
	int64_t a = 0, b = 0;

	if (when_parse(text, NOW, &a, &b, &err) < 0)
		fail_msg("%s", err.text);
	if (a != first || b != last)
		fail_msg("%s is %lld to %lld", text, (long long)a,
			 (long long)b);
}

static void use_zone(const char *zone)
{
	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
}

static void test_seconds_are_those_of_rfc_3339(void **state)
{
	static const struct {
		const char *text;
		int64_t second;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-21T13:02:11Z", 1795266131},
		{"2026-11-21t13:02:11z", 1795266131},
		{"2026-11-21 13:02:11Z", 1795266131},
		{"2026-11-21T13:02:11.999999Z", 1795266131},
		{"2026-11-21T14:02:11+01:00", 1795266131},
		{"2026-11-21T07:32:11-05:30", 1795266131},
		{"2024-02-29T00:00:00Z", 1709164800},
		{"2016-12-31T23:59:60Z", 1483228799},
		{"1969-12-31T23:59:59Z", -1},
	};

	(void)state;
	use_zone("America/New_York");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_means(cases[i].text, cases[i].second, cases[i].second);
}

static void test_days_and_minutes_are_local_and_whole(void **state)
{
	(void)state;
	use_zone("UTC");
	assert_means("2026-11-21", 1795219200, 1795219200 + 86399);
	assert_means("2026-11-21 13:02", 1795266120, 1795266179);
	assert_means("2026-11-21T13:02", 1795266120, 1795266179);
	use_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	assert_means("2026-11-21", 1795215600, 1795215600 + 86399);
	/* The days on which clocks change have 23 and 25 hours. */
	assert_means("2026-03-29", 1774738800, 1774738800 + 23 * 3600 - 1);
	assert_means("2026-10-25", 1792879200, 1792879200 + 25 * 3600 - 1);
	assert_means("2026-07-01 00:00", 1782856800, 1782856859);
}

static void test_ages_count_back_from_now(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} cases[] = {
		{"0s", 0},	  {"90s", 90},
		{"15m", 900},	  {"2h", 7200},
		{"3d", 259200},	  {"1w", 604800},
		{"007d", 604800}, {"999999999s", 999999999},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_means(cases[i].text, NOW - cases[i].seconds,
			     NOW - cases[i].seconds);
}

static void test_what_is_no_time_is_refused_with_what_is(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"yesterday",
		"2d ",
		" 2d",
		"-2d",
		"2",
		"d",
		"2y",
		"2days",
		"1.5h",
		"1000000000s",
		"99999999999999999999w",
		"2026",
		"2026-11",
		"2026-11-21T",
		"2026-11-21 13",
		"2026-11-21 13:",
		"2026-11-21 24:00",
		"2026-11-21 13:60",
		"2026-11-21 13:02 ",
		"2026-11-21T13:02:11",
		"2026-11-21T13:02:61Z",
		"2026-11-21T13:02:11.Z",
		"2026-11-21T13:02:11+0100",
		"2026-11-21T13:02:11+24:00",
		"2026-11-21T13:02:11Zx",
		"2026-13-01",
		"2026-00-01",
		"2026-02-29",
		"2026-04-31",
		"2026-04-00",
		"2026-4-1",
		"26-04-01",
		"2026/04/01",
		"\xff",
	};
	int64_t first = 7, last = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = ERR_INIT;

		if (when_parse(bad[i], NOW, &first, &last, &err) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
		assert_non_null(strstr(err.text, "is not a time; write"));
		assert_int_equal(first, 7);
		assert_int_equal(last, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seconds_are_those_of_rfc_3339),
		cmocka_unit_test(test_days_and_minutes_are_local_and_whole),
		cmocka_unit_test(test_ages_count_back_from_now),
		cmocka_unit_test(test_what_is_no_time_is_refused_with_what_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
