/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Plain text as man pages, for man(7) of groff and mandoc alike. */

#include <stdbool.h>
#include <stdio.h>

/*
 * Prints size bytes of UTF-8 so that they come out as they are: '-' stays one
 * that can be pasted, a backslash is none, and a '.' or "'" in front is no
 * request. start: these bytes begin an input line.
 */
void roff_text(FILE *f, const char *s, size_t size, bool start);

/* The same for a whole string behind the start of a line. */
void roff_string(FILE *f, const char *s);

/*
 * Paragraphs as they stand in help texts and comments: empty lines part them,
 * lines that are indented stay as they are, and what is in `backquotes` is
 * bold.
 */
void roff_prose(FILE *f, const char *text);

/*
 * The text of a program's --help: "Heading:" lines become sections, indented
 * lines "term  description" with their continuations a list. The line "Usage:
 * ..." is printed as the synopsis.
 */
void roff_help(FILE *f, const char *text);
