/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What people and programs read. Text that came from others (messages, paths)
 * goes out through output_text(), so that it cannot steer a terminal.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum output_style {
	OUTPUT_PLAIN,
	OUTPUT_BOLD,
	OUTPUT_DIM,
	OUTPUT_NAME,
	OUTPUT_GOOD,
	OUTPUT_WARNING,
	OUTPUT_BAD,
};

/* "auto", which is the default, "always" or "never"; -EINVAL for others. */
int output_color(const char *when);

/* A terminal that knows control sequences. */
bool output_is_terminal(int fd);

/* Switches the style of standard output, if colours are wanted: always, or on
 * terminals while NO_COLOR (no-color.org) is not set. */
void output_style(enum output_style style);

/* Prints size bytes; control characters and bytes that are not UTF-8 become
 * \xNN. Returns the columns it takes, counting one per character. */
size_t output_text(FILE *f, const char *s, size_t size);
size_t output_width(const char *s, size_t size);

/* How many of the size bytes of s take no more than columns, counted alike. */
size_t output_fitting(const char *s, size_t size, size_t columns);

/* The columns of the terminal that standard output is; SIZE_MAX when it is
 * none. */
size_t output_columns(void);

/* One JSON value and a newline: indented on terminals, compact elsewhere. */
void output_json(FILE *f, const json_t *value);

/*
 * An object with one long list in it, {"NAME":[ITEM,...]}, that is printed to
 * standard output item by item, as they come: there may be millions.
 */
struct output_list {
	const char *name;
	bool begun;
	bool comma;
};

/* Before the first item; member, which may be NULL, comes before the list. Once
 * is enough, and adding an item begins a list, too. What cannot be written is
 * standard output's error in the end. */
void output_list_begin(struct output_list *list, const char *member,
		       const char *value);
void output_list_add(struct output_list *list, const json_t *item);
void output_list_end(struct output_list *list);

/* "12.3 MiB"; returns text. */
#define OUTPUT_SIZE_MAX 24
char *output_size(uint64_t bytes, char text[static OUTPUT_SIZE_MAX]);

/* Seconds since 1970 as "2026-11-21 13:02:11" in local time; returns text. */
#define OUTPUT_TIME_MAX 48
char *output_seconds(int64_t seconds, char text[static OUTPUT_TIME_MAX]);

/* The same for RFC 3339, what is none stays as it is; "-" for NULL. */
char *output_time(const char *rfc3339, char text[static OUTPUT_TIME_MAX]);
