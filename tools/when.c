/* SPDX-License-Identifier: Apache-2.0 */
#include "when.h"

#include "util/cleanup.h"
#include "util/quote.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

/* Takes n digits as a number; false when they are not there. */
static bool take_number(const char **p, size_t n, int *ret)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if ((*p)[i] < '0' || (*p)[i] > '9')
			return false;
		value = value * 10 + ((*p)[i] - '0');
	}
	*p += n;
	*ret = value;
	return true;
}

static bool take(const char **p, const char *any)
{
	if (!**p || !strchr(any, **p))
		return false;
	(*p)++;
	return true;
}

static bool take_date(const char **p, struct tm *tm)
{
	int year, month;

	if (!take_number(p, 4, &year) || !take(p, "-") ||
	    !take_number(p, 2, &month) || !take(p, "-") ||
	    !take_number(p, 2, &tm->tm_mday))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	return month >= 1 && month <= 12;
}

static bool take_minutes(const char **p, int *ret_hour, int *ret_minute)
{
	return take_number(p, 2, ret_hour) && take(p, ":") &&
	       take_number(p, 2, ret_minute) && *ret_hour < 24 &&
	       *ret_minute < 60;
}

/* Seconds east of Greenwich. */
static bool take_offset(const char **p, int64_t *ret)
{
	bool west = **p == '-';
	int hours, minutes;

	*ret = 0;
	if (take(p, "Zz"))
		return true;
	if (!take(p, "+-") || !take_minutes(p, &hours, &minutes))
		return false;
	*ret = (west ? -60 : 60) * (int64_t)(hours * 60 + minutes);
	return true;
}

/* timegm() and mktime() make a date of February 30 as well. */
static bool is_same_day(const struct tm *a, const struct tm *b)
{
	return a->tm_mday == b->tm_mday && a->tm_mon == b->tm_mon;
}

/* What is left behind the minutes: seconds and an offset. */
static bool parse_second(const char *p, const struct tm *tm, int64_t *ret)
{
	struct tm made = *tm;
	int64_t offset;

	if (!take(&p, ":") || !take_number(&p, 2, &made.tm_sec) ||
	    made.tm_sec > 60)
		return false;
	if (take(&p, ".")) {
		size_t n = strspn(p, "0123456789");

		if (n == 0)
			return false;
		p += n;
	}
	if (!take_offset(&p, &offset) || *p)
		return false;
	/* A leap second is the one before it here. */
	made.tm_sec = MIN(made.tm_sec, 59);
	*ret = timegm(&made) - offset;
	return is_same_day(&made, tm);
}

/* The local second at which a day or a minute begins. */
static bool local_start(const struct tm *tm, int64_t *ret)
{
	struct tm made = *tm;

	made.tm_isdst = -1;
	*ret = mktime(&made);
	return is_same_day(&made, tm);
}

static bool parse_date(const char *p, int64_t *ret_first, int64_t *ret_last)
{
	struct tm tm = {0}, next;
	bool found;

	if (!take_date(&p, &tm))
		return false;
	if (!*p) {
		/* The next day may begin 23 or 25 hours later. */
		next = tm;
		next.tm_mday++;
		next.tm_isdst = -1;
		found = local_start(&tm, ret_first);
		*ret_last = (int64_t)mktime(&next) - 1;
		return found;
	}
	if (!take(&p, "Tt ") || !take_minutes(&p, &tm.tm_hour, &tm.tm_min))
		return false;
	if (!*p) {
		found = local_start(&tm, ret_first);
		*ret_last = *ret_first + 59;
		return found;
	}
	found = parse_second(p, &tm, ret_first);
	*ret_last = *ret_first;
	return found;
}

static bool parse_age(const char *text, int64_t now, int64_t *ret)
{
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = {
		{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	/* A hundred million weeks go into it. */
	size_t n = strspn(text, "0123456789");
	int64_t value = 0;

	if (n == 0 || n > 9 || !text[n] || text[n + 1])
		return false;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (text[i] - '0');
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (units[i].letter == text[n]) {
			*ret = now - value * units[i].seconds;
			return true;
		}
	return false;
}

int when_parse(const char *text, int64_t now, int64_t *ret_first,
	       int64_t *ret_last, struct err *err)
{
	char quoted[QUOTE_SIZE];
	int64_t first, last;

	if (parse_age(text, now, &first))
		last = first;
	else if (!parse_date(text, &first, &last))
		return err_set(err, EINVAL,
			       "%s is not a time; write a date as 2026-11-21, "
			       "\"2026-11-21 13:02\" or 2026-11-21T13:02:11Z, "
			       "or an age as 90s, 15m, 2h, 3d or 1w",
			       quote_text(text, quoted));
	*ret_first = first;
	*ret_last = last;
	return 0;
}
