/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where a stream of bytes goes that a caller passed a descriptor for: a file, a
 * pipe or a socket. Data of files gets there within the kernel where that is
 * possible. A reader that does not read holds up no more than its own call,
 * which ends when it hangs up.
 */

#include "util/buf.h"
#include "volume/host.h"

struct sink {
	int fd; /* of our own */
	enum sink_kind {
		SINK_FILE,
		SINK_PIPE,
		SINK_SOCKET,
		SINK_NULL
	} kind;
	struct buf pending;
	uint64_t offset; /* bytes so far, pending ones included */

	/* For progress: of the call, and how much there is to do. */
	const struct host *host;
	const struct progress *progress;
	uint64_t total, files;
};

#define SINK_INIT                                                              \
	(struct sink)                                                          \
	{                                                                      \
		.fd = -1                                                       \
	}
#define _cleanup_sink_ __attribute__((cleanup(sink_release)))
void sink_release(struct sink *s);

/* fd is borrowed. -EINVAL for what is none of these. */
int sink_open(struct sink *s, int fd, struct err *err);

/* These block until all is taken. -EPIPE: nobody reads; -ENODATA: in ends
 * early; -ECANCELED without a text. */
int sink_write(struct sink *s, const void *data, size_t size, struct err *err);
int sink_copy(struct sink *s, int in, uint64_t offset, uint64_t size,
	      struct err *err);

/* Tells how far it is; a negative result ends the work. */
int sink_report(struct sink *s);

/* Hands on what is pending. */
int sink_flush(struct sink *s, struct err *err);
