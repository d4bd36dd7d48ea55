/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Calls to the daemon, for the tools and helpers. */

#include "proto/varlink.h"

struct client;

/*
 * Connects to the socket in the runtime directory (see util/paths.h). Where
 * nothing listens and autostart is set, starts a daemon and waits until it
 * does. -ECONNREFUSED with a sentence when there is none.
 */
int client_connect(struct client **ret, bool autostart, struct err *err);
struct client *client_free(struct client *c);
void client_freep(struct client **c);

/* A reply that is followed by others; a negative result ends the call. */
typedef int (*client_more_fn)(json_t *parameters, void *ctx);

/*
 * Calls io.layerd.METHOD. parameters are taken over. fd is passed along unless
 * it is -1. With more_fn all replies but the last go to it. *ret is the last
 * reply's parameters, *ret_fd (may be NULL) a descriptor that came with it, or
 * -1. An error reply fills err with the daemon's sentence and is returned as
 * its errno. Blocks until the daemon is done.
 */
int client_call(struct client *c, const char *method, json_t *parameters,
		int fd, client_more_fn more_fn, void *ctx, json_t **ret,
		int *ret_fd, struct err *err);
