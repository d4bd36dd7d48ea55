/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static enum log_level threshold = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	threshold = level;
}

int log_level_parse(const char *name, enum log_level *ret)
{
	static const struct {
		const char *name;
		enum log_level level;
	} rows[] = {{"error", LOG_LEVEL_ERR},
		    {"warning", LOG_LEVEL_WARNING},
		    {"notice", LOG_LEVEL_NOTICE},
		    {"info", LOG_LEVEL_INFO},
		    {"debug", LOG_LEVEL_DEBUG}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		*ret = rows[i].level;
		return 0;
	}
	return -EINVAL;
}

/* Newlines and control bytes come from file names; they must not forge lines.
 */
static void make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

/*
 * systemd sets JOURNAL_STREAM to the device and inode of the stream to the
 * journal; a descendant whose standard error leads elsewhere inherits it all
 * the same (systemd.exec(5)).
 */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(fd, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static const char *level_word(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERR:
		return "error: ";
	case LOG_LEVEL_WARNING:
		return "warning: ";
	default:
		return "";
	}
}

static int add_time(enum log_level level, const char *text, char *line,
		    size_t size)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	return snprintf(line, size,
			"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ layerd: %s%s\n",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000,
			level_word(level), text);
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[2048], line[2200];
	va_list ap;
	int n;

	if (level > threshold)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	make_printable(text);
	if (is_journal(STDERR_FILENO))
		n = snprintf(line, sizeof(line), "<%d>%s\n", level, text);
	else
		n = add_time(level, text, line, sizeof(line));
	/* Nobody to tell when the log itself cannot be written. */
	(void)write_full(STDERR_FILENO, line, (size_t)n);
}
