/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Writes a version as an OCI image into an image layout (OCI image
 * specification 1.1, "Image Layout"): manifest, config and the layers as they
 * are, byte for byte, under their digests.
 *
 * Invariants
 *  1. What the layout held stays as it is: blobs are added, and index.json is
 *     replaced at once by one with one more image.
 *  2. index.json names an image only when all its blobs are durable.
 */

#include "format/manifest.h"
#include "volume/caller.h"
#include "volume/host.h"

struct export_oci {
	const struct version *version;
	int dir_fd;	  /* borrowed */
	const char *name; /* what to make in it; NULL: the layout itself */
	const char *to;	  /* names the layout in sentences */
	const char *ref;  /* org.opencontainers.image.ref.name of the image */
	bool force;	  /* takes ref from another image */
	const struct caller *caller;
	const struct progress *progress;
};

struct export_oci_result {
	uint64_t blobs; /* that were not there yet */
	uint64_t bytes; /* of these */
};

/* Whether ref is one as the specification has them ("Annotations"): letters and
 * digits, and "-._:@+/" between them. -EINVAL. */
int export_oci_check_ref(const char *ref, struct err *err);

/* Blocks. Written with the caller's credentials. -EEXIST: ref is another image
 * there; -EINVAL: the directory holds something else; -EBADMSG: a broken
 * layout; -EBUSY: somebody else is writing to it. */
int export_oci(struct host *h, const struct export_oci *request,
	       struct export_oci_result *ret, struct err *err);
