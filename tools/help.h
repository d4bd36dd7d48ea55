/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Help texts, made from the command tables. */

#include "args.h"

/* Pieces of the text that man pages have, too. */
extern const char help_overview[];
extern const char help_references[];

/* Ended by one without a name. */
struct help_row {
	const char *name;
	const char *text;
};
extern const struct help_row help_environment[];
extern const struct help_row help_files[];

/* "usage: layerctl mount REF [PATH] [--ro]". */
void help_usage(FILE *f, const struct command *c);

/* All about one command. */
void help_command(FILE *f, const struct command *c);

/* The list of commands, or of those in a group ("layer") if that is given. */
void help_commands(FILE *f, const struct command *const *commands,
		   const char *group);

/* The list of commands, global options, exit statuses, environment. */
void help_all(FILE *f, const struct command *const *commands);
