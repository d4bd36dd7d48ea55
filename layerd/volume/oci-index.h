/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* index.json and oci-layout of an OCI image layout, which others may have
 * written; to names the layout in sentences. */

#include "util/buf.h"
#include "util/digest.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

struct oci_image {
	const struct digest *digest; /* of its manifest */
	uint64_t size;
	const char *ref;
};

/* Whether the contents of oci-layout are of a version that we know. */
int oci_layout_check(const struct buf *text, const char *to, struct err *err);

/*
 * Appends to after the contents of index.json, before (empty: there is none),
 * with image in it; nothing when it is there already. All that is not about
 * image stays, in its order. -EEXIST: its ref is another image, which loses it
 * with force. -EBADMSG.
 */
int oci_index_add(const struct buf *before, const struct oci_image *image,
		  bool force, const char *to, struct buf *after,
		  struct err *err);
