/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Records as they are, renames and removals that are under way included. */

#include "volume/volume.h"

/* What a number's object holds in place of a digest when the version was
 * removed, so that a lost number is told from it. */
#define VOLUME_NUMBER_REMOVED "removed"

/* Of volumes/NAME/head.json and volumes/NAME/SEQUENCE below "volumes/". */
#define VOLUME_KEY_LEVELS 2

/* The sentence that there is no such volume, which asks for the one that was
 * meant where one is near. -ENOENT. */
int volume_not_found(struct host *h, const char *name, struct err *err);

/* -ENOENT without a text. */
int volume_read(struct host *h, const char *name, struct volume **ret,
		struct err *err);

/* Writes a record that does not exist yet. -EEXIST without a text. */
int volume_write_new(struct host *h, struct volume *v, struct err *err);

/* Writes a changed record back. -ESTALE with a sentence. */
int volume_write(struct host *h, struct volume *v, struct err *err);

/* Whether a session of this host has the lease. */
bool volume_lease_is(const struct volume *v, const struct host *h,
		     const char *session);
