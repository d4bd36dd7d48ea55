/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a session shows beyond the version it was sealed as last: its upper
 * directory, scanned against what that seal captured. A seal writes it into a
 * layer; a comparison with the live mount looks at it.
 */

#include "format/erofs-reader.h"
#include "volume/emit.h"
#include "volume/scan.h"
#include "volume/session.h"

struct unsealed {
	struct host *host;
	struct session *session; /* NULL for a plain directory; borrowed */
	const struct progress *progress;
	int root_fd;   /* upper directory, or a plain one */
	int merged_fd; /* root of the merged mount; -1: a plain directory */
	struct erofs_reader **readers; /* of the layers sealed last */
	size_t n_readers;
	struct changes changes;
	int64_t links_since; /* see link_index_changed(); INT64_MAX: nothing */
	struct err *err;
};

/* Scans made before a tree that keeps changing its shape is given
 * up. */
#define UNSEALED_TRIES 10

#define UNSEALED_INIT(h, s, p, e)                                              \
	(struct unsealed)                                                      \
	{                                                                      \
		.host = (h), .session = (s), .progress = (p), .root_fd = -1,   \
		.merged_fd = -1, .err = (e)                                    \
	}
#define _cleanup_unsealed_ __attribute__((cleanup(unsealed_release)))
void unsealed_release(struct unsealed *u);

/* Opens the directories of a locked session and the indexes it was sealed from
 * last, mounting it where it is not. */
int unsealed_open(struct unsealed *u);

/*
 * Fills changes. after receives what this scan captures, NULL: nothing follows.
 * Where the last capture cannot be read, the session's sealed layers become
 * those it was made on, and everything in the upper is a change. -EAGAIN
 * without a text: the tree changed its shape meanwhile, scan again.
 */
int unsealed_scan(struct unsealed *u, struct captured_writer *after);

/* What emit_changes() needs of it; build and what a seal adds are left out. */
struct emit_request unsealed_emit(struct unsealed *u);
