/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The varlink wire protocol (varlink.org, "Interface Definition" and "Method
 * Call"): JSON objects, each ended by a NUL byte, over a stream socket; and,
 * beyond it, descriptors passed along with a message by SCM_RIGHTS.
 */

#include "util/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A longer message is refused: large enough for every valid one. */
#define VARLINK_MESSAGE_MAX (4u << 20)
#define VARLINK_FDS_MAX 4

struct varlink;

/* Takes over the connected socket fd, also on failure. */
int varlink_new(struct varlink **ret, int fd);
struct varlink *varlink_free(struct varlink *v);
void varlink_freep(struct varlink **v);
int varlink_fd(const struct varlink *v);

/* Sends one object with up to VARLINK_FDS_MAX descriptors, which stay the
 * caller's. Blocks; -EPIPE when the other side is gone (no SIGPIPE). */
int varlink_send(struct varlink *v, const json_t *message, const int *fds,
		 size_t n_fds);

/*
 * The same with one descriptor of which the receiver gets the only copy: *fd is
 * closed, and -1, before the message is complete. A receiver that attaches a
 * mount and unmounts it at once is not told that it is busy. On failure *fd may
 * be open still and stays the caller's. -ETIMEDOUT: the receiver did not read
 * in time; what goes along with the descriptor, a lock perhaps, is not kept
 * longer.
 */
#define VARLINK_HAND_OVER_MS 10000
int varlink_hand_over(struct varlink *v, const json_t *message, int *fd);

/*
 * Receives one object and the descriptors that came with it (O_CLOEXEC), owned
 * by the caller. Waits up to idle_ms for its first byte and up to
 * VARLINK_SLOW_MS for the rest; -1 waits forever. VARLINK_E_EOF at an orderly
 * end; -ETIMEDOUT; -EBADMSG (err says why) for what is not a JSON object or is
 * too long.
 */
#define VARLINK_E_EOF 1
#define VARLINK_SLOW_MS 30000
int varlink_receive(struct varlink *v, int idle_ms, json_t **ret, int *fds,
		    size_t *ret_n_fds, struct err *err);

/* A decoded method call; borrows from the message. */
struct varlink_call {
	const char *method;
	json_t *parameters; /* an object or NULL */
	bool more;
	bool oneway;
};
int varlink_call_decode(json_t *message, struct varlink_call *ret,
			struct err *err);

/* New messages. Parameters are taken over, also on failure; NULL: -ENOMEM. */
json_t *varlink_make_call(const char *method, json_t *parameters, bool more);
json_t *varlink_make_reply(json_t *parameters, bool continues);
json_t *varlink_make_error(const char *name, json_t *parameters);
