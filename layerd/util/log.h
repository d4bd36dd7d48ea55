/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The daemon's log, on standard error. Where that is journald's, each line
 * carries its level as a "<N>" prefix (sd-daemon(3)) and leaves the time to it;
 * elsewhere, in a file or on a terminal, each begins with the time. Library
 * code reports through struct err and does not log.
 */

enum log_level {
	LOG_LEVEL_ERR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* Lines above level are dropped; the default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* The level called debug, info, notice, warning or error. -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret);

void log_line(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
