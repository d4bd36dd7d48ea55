/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The API's server: one thread accepts, one thread a connection serves its
 * calls one after the other. Nothing a client sends or fails to send disturbs
 * another.
 */

#include "server/janitor.h"
#include "volume/host.h"

/* When there are this many, each further one ends the one that has waited
 * longest for a call; so many may be about to end. Beyond that, and when all
 * serve calls, clients are told to come again later. */
#define SERVER_CONNECTIONS_MAX 128
#define SERVER_CONNECTIONS_ENDING 32
/* A connection without a call for this long is closed. */
#define SERVER_IDLE_MS 300000
/* So long other calls wait for a client to attach the mount it was given. */
#define SERVER_ATTACH_MS 10000

struct server;

/* listen_fd, a listening Unix socket, is taken over. */
int server_new(struct server **ret, struct host *h, struct janitor *j,
	       int listen_fd, struct err *err);

/* Serves until stop_fd becomes readable, then waits for the calls at hand,
 * which are asked to end (host->stopping). */
int server_run(struct server *s, int stop_fd, struct err *err);

struct server *server_free(struct server *s);
void server_freep(struct server **s);
