/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Manual pages, made when the program is built. */

#include "args.h"

/* date: "2026-11-21". */
struct man {
	FILE *f;
	const char *date;
	const struct command *const *commands;
};

/* layerctl(1): all that concerns every command. */
void man_overview(const struct man *m);

/* layerctl-COMMAND(1). */
void man_command(const struct man *m, const struct command *c);

/* "layerctl-layer-ls" into name; returns name. */
#define MAN_NAME_MAX 80
char *man_name(const struct command *c, char name[static MAN_NAME_MAX]);

/* One from the --help of a program. */
void man_help(const struct man *m, const char *name, const char *section,
	      const char *summary, const char *text);

/*
 * One from sources: in each, the first comment behind the licence's line, if it
 * is of more than one line.
 */
void man_sources(const struct man *m, const char *name, const char *section,
		 const char *summary, const char *const *texts, size_t n);

/* The text of that comment without its frame; free() it. NULL: there is none,
 * or no memory. */
char *man_comment(const char *source);
