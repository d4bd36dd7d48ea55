/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Records as they are, a rename that is under way included. */

#include "volume/volume.h"

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

/* Whether a lease holds: one of this host without its session does not. */
bool volume_is_leased(const struct volume *v, struct host *h);
