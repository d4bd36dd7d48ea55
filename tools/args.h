/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Commands describe their options and operands in tables; parsing, usage lines,
 * help texts, man pages and completion are all made from these, so they cannot
 * disagree.
 */

#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define ARGS_OPERANDS_MAX 2

struct tool;

/* What an operand or an option's value can be, for completion. */
enum args_kind {
	ARGS_NOTHING = 1 << 0, /* nothing that is there already */
	ARGS_VOLUME = 1 << 1,
	ARGS_REFERENCE = 1 << 2,
	ARGS_FILE = 1 << 3, /* a path on this host */
	ARGS_DIRECTORY = 1 << 4,
};

/* Tables of options end with one that has no name. */
struct args_option {
	char letter; /* 0: long form only */
	const char *name;
	/* What stands for its value in help; NULL: none. Words in lower case
	 * with '|' between them are all values that there are. */
	const char *value;
	const char *help;
	bool repeat; /* may be given more than once */
	bool bytes;  /* the value is a path, which need not be UTF-8 */

	/* enum args_kind; 0: as its value's name says */
	unsigned int kinds;
};

struct args_operand {
	const char *name;
	bool optional;
	bool bytes;  /* a path, which need not be UTF-8 */
	bool repeat; /* may be followed by more of its kind; the last one */

	/* enum args_kind; 0: as its name says */
	unsigned int kinds;
};

struct command {
	const char *name; /* one word, or two: "layer ls" */
	const char *summary;
	const char *details; /* further lines of its help, may be NULL */
	struct args_operand operands[ARGS_OPERANDS_MAX];
	/* What stands for the words behind "--" in help, where these are a
	 * command line of its own and not further operands; NULL otherwise. */
	const char *tail;
	const struct args_option *options;
	const char *const *examples; /* ended by NULL */
	/* 0, or a negative errno with err filled. */
	int (*run)(struct tool *t, struct err *err);
	bool hidden; /* for programs: not listed */
};

struct args_given {
	const struct args_option *option;
	const char *value;
};

/* A parsed command line; borrows from argv and the tables. */
struct args {
	const struct command *command; /* NULL: none was given */
	const char *group;	       /* "layer", when that is all there was */
	const char *operands[ARGS_OPERANDS_MAX]; /* NULL where not given */
	/* All from the operand on that repeats. */
	char *const *repeated;
	size_t n_repeated;
	/* Verbatim, ended by NULL; NULL where there was no "--". Only of
	 * commands that take one. */
	char *const *tail;
	struct args_given *given;
	size_t n_given;
	char **words; /* those that are no options, in order */
};

#define _cleanup_args_ __attribute__((cleanup(args_release)))
void args_release(struct args *a);

/* The options that every command has. */
extern const struct args_option args_global[];

/*
 * Parses argv against commands, which NULL ends. Global
 * options may stand anywhere, a command's own anywhere behind its name. -EINVAL
 * with a sentence; ret then says as much as was understood, for a usage line.
 * Operands are not checked when help was asked for.
 */
int args_parse(const struct command *const *commands, int argc, char **argv,
	       struct args *ret, struct err *err);

bool args_has(const struct args *a, const char *name);

/* The last value given for an option, or NULL. */
const char *args_value(const struct args *a, const char *name);

/* The n-th value given for an option that repeats, or NULL. */
const char *args_value_at(const struct args *a, const char *name, size_t n);

/*
 * The kinds that a name in a table stands for: REF and LAYER, VOLUME and NAME,
 * TARGET, PATH and FILE, DIR, or several of these ("PATH|VOLUME"). What follows
 * a colon ("REF:PATH") is not on this host.
 */
unsigned int args_kinds(const char *name);
