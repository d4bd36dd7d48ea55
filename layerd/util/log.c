/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

#include "util/fd.h"

#include <stdarg.h>
#include <time.h>
#include <unistd.h>

static enum log_level threshold = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	threshold = level;
}

/* Newlines and control bytes come from file names; they must not forge lines.
 */
static void make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[2048], line[2200];
	struct timespec now;
	struct tm tm;
	va_list ap;
	int n;

	if (level > threshold)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	make_printable(text);
	if (getenv("JOURNAL_STREAM")) {
		n = snprintf(line, sizeof(line), "<%d>%s\n", level, text);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		n = snprintf(
			line, sizeof(line),
			"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ layerd: %s\n",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000,
			text);
	}
	/* Nobody to tell when the log itself cannot be written. */
	(void)write_full(STDERR_FILENO, line, (size_t)n);
}
