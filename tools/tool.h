/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What every command works with: its arguments and the daemon. */

#include "args.h"
#include "proto/client.h"
#include "util/error.h"

#include <jansson.h>

struct tool {
	struct args args;
	struct client *client; /* connected by the first call */
	bool json;
	bool quiet;
	bool aside; /* standard output belongs to a program that is run:
		       sentences go to standard error */
	int status; /* to exit with, when it is not 0, whatever else happens */
};

/* Called for each reply of a call, the last one included, if it has what was
 * asked for; a negative result ends the call and is its result. */
typedef int (*tool_each_fn)(json_t *parameters, void *ctx);

/* Connects, if need be, without a call. */
int tool_connect(struct tool *t, struct err *err);

/*
 * Calls of the daemon, which is started first where that is wanted. parameters
 * are taken over; NULL is reported as memory that ran out. The result in *ret
 * is the caller's.
 */
int tool_call(struct tool *t, const char *method, json_t *parameters,
	      json_t **ret, struct err *err);

/* One that reports progress, with a descriptor each way: fd is -1 for none,
 * ret_fd may be NULL. */
int tool_call_long(struct tool *t, const char *method, json_t *parameters,
		   int fd, json_t **ret, int *ret_fd, struct err *err);

/* Prints what a call answered, with tool_say(). */
typedef void (*tool_print_fn)(const struct tool *t, const json_t *reply);

/* A long call that is all there is to a command: its result is printed, with
 * --json as it is. */
int tool_run(struct tool *t, const char *method, json_t *parameters, int fd,
	     tool_print_fn print, struct err *err);

/* One whose result comes in several replies. */
int tool_call_each(struct tool *t, const char *method, json_t *parameters,
		   tool_each_fn fn, void *ctx, struct err *err);

/* Text for people: a sentence that tells what was done. Silent with --quiet and
 * --json. What was made from replies must be safe to print. */
void tool_say(const struct tool *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
