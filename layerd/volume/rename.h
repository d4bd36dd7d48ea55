/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Another name for a volume: its record, with tags, labels and numbers, moves;
 * versions stay as they are and go on to say where they were sealed.
 */

#include "volume/volume.h"

/*
 * -EBUSY when the volume has a session, with what to do; -EEXIST when there is
 * a volume of the new name. When it fails later than that, or is cut short, the
 * next volume_load() of either name completes it.
 */
int volume_rename(struct host *h, const char *from, const char *to,
		  struct err *err);

/*
 * Completes, or takes back, the rename that *v is marked with, and reads *v
 * again. -ENOENT with a sentence when it has another name now. Where it cannot
 * be completed *v is left as unsettled.
 */
int rename_settle(struct host *h, struct volume **v, struct err *err);
