/* SPDX-License-Identifier: Apache-2.0 */
/* A peer's bytes, as they would come through the socket: framed, parsed and
 * decoded as method calls until the first that is refused or the end. */
#include "fuzz.h"

#include "proto/varlink.h"
#include "util/cleanup.h"

#include <sys/socket.h>
#include <unistd.h>

/* What a socket takes at once, so that one thread can write and then read. */
#define INPUT_MAX 65536

bool fuzz_refused;

static int receive_call(struct varlink *v)
{
	_cleanup_(json_decrefp) json_t *message = NULL;
	struct err err = ERR_INIT;
	struct varlink_call call;
	int r;

	r = varlink_receive(v, 0, &message, NULL, NULL, &err);
	if (r == 0)
		r = varlink_call_decode(message, &call, &err);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(varlink_freep) struct varlink *v = NULL;
	int fds[2], r;

	if (size > INPUT_MAX ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return 0;
	if (size && send(fds[1], data, size, MSG_NOSIGNAL) != (ssize_t)size)
		abort();
	closep(&fds[1]);
	if (varlink_new(&v, fds[0]) < 0)
		return 0;
	do
		r = receive_call(v);
	while (r == 0);
	fuzz_refused = r < 0;
	return 0;
}
