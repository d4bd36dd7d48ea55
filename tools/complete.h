/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What can stand at the end of a command line, from the command tables. What
 * only the daemon or the shell knows is returned as kinds.
 */

#include "args.h"

struct complete_place {
	const struct command *command; /* NULL: not known yet */
	const char *group;	       /* "layer" in front of its command */
	const char *word;   /* what is to be completed, "" or its beginning */
	int prefix;	    /* bytes that its word has in front: "--from=" */
	unsigned int kinds; /* enum args_kind of what may stand here, or 0 */
	bool options;	    /* an option may stand here */
	const char *values; /* "auto|always|never", or NULL */
};

/* words are those behind the program's name; the last is to be completed. */
void complete_find(const struct command *const *commands,
		   const char *const *words, size_t n,
		   struct complete_place *ret);

/* One candidate a line, if it begins with what is there already: the whole
 * word, a tab, what it is. */
void complete_print(FILE *f, const struct complete_place *p, const char *word,
		    const char *what);

/* What the tables know: commands, options, values. */
void complete_print_known(FILE *f, const struct command *const *commands,
			  const struct complete_place *p);
