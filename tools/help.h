/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Help texts, made from the command tables. */

#include "args.h"

/* "usage: layerctl mount REF [PATH] [--ro]". */
void help_usage(FILE *f, const struct command *c);

/* All about one command. */
void help_command(FILE *f, const struct command *c);

/* The list of commands, or of those in a group ("layer") if that is given. */
void help_commands(FILE *f, const struct command *const *commands,
		   const char *group);

/* The list of commands, global options, exit statuses, environment. */
void help_all(FILE *f, const struct command *const *commands);
