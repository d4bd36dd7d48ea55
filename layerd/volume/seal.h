/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A seal: the upper directory of a session, or a plain directory, becomes one
 * layer and one version. DESIGN section 7.
 */

#include "format/manifest.h"
#include "volume/host.h"
#include "volume/session.h"

struct seal_options {
	const char *message; /* NULL: none */
	const struct label *labels;
	size_t n_labels;
	const struct progress *progress;
};

struct seal_result {
	struct version *version;
	uint64_t sockets; /* objects left out */
	uint64_t stored;  /* bytes new to the store */
};
void seal_result_release(struct seal_result *r);

/*
 * Seals what changed in a locked session since its last seal. The mount stays
 * as it is. Nothing is lost on any failure, and repeating the call reuses what
 * was stored. -EAGAIN: a file would not hold still and is named.
 */
int seal_session(struct host *h, struct session *s,
		 const struct seal_options *options, struct seal_result *ret,
		 struct err *err);

/* Whether a volume could be made with these options, which nothing was done for
 * yet: -EEXIST, -EINVAL. */
int seal_check_new(struct host *h, const char *name,
		   const struct seal_options *options, struct err *err);

/* Makes the volume name, with a layer that is in the store and the cache as its
 * first version. files: what is told as changed. -EEXIST. */
int seal_layer(struct host *h, const char *name,
	       const struct version_layer *layer, uint64_t stored,
	       uint64_t files, const struct seal_options *options,
	       struct seal_result *ret, struct err *err);

/* Makes the volume name, with the directory dir_fd as its first version.
 * -EEXIST. */
int seal_directory(struct host *h, const char *name, int dir_fd,
		   const struct seal_options *options, struct seal_result *ret,
		   struct err *err);
