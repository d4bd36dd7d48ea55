/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tags: names for versions in the record of a volume. */

#include "volume/volume.h"

#define VOLUME_TAGS_MAX 4096

/*
 * Makes volume:tag stand for version. With move it may stand for another one
 * so far, which *ret_previous then says, *ret_moved that it did; without,
 * -EEXIST. A change of the record by somebody else meanwhile is no error.
 */
int volume_tag(struct host *h, const char *volume, const char *tag,
	       const struct digest *version, bool move, bool *ret_moved,
	       struct digest *ret_previous, struct err *err);

/* Takes a tag away; with a version (may be NULL) only while it stands for that
 * one, else -ESTALE. -ENOENT with a sentence. */
int volume_untag(struct host *h, const char *volume, const char *tag,
		 const struct digest *version, struct digest *ret_previous,
		 struct err *err);

/* -ENOENT, with a sentence that asks for the tag that was meant, if one is
 * near. */
int volume_no_tag(const struct volume *v, const char *tag, struct err *err);
