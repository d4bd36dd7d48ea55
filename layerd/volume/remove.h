/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Taking versions out of a volume's line, and whole volumes away. What a
 * removed version was made of stays in the store until it is collected
 * (volume/gc.h); volumes that were forked from it have numbers of their own for
 * it and notice nothing.
 */

#include "format/reference.h"
#include "volume/volume.h"

#include <sys/types.h>

/*
 * Removes what ref names: NAME the volume with all versions, also what is left
 * of one that was half made or half removed; NAME@SEQUENCE that version;
 * NAME:TAG that version under all its numbers, and the tag. -EBUSY says what
 * still needs it: a session, a mount, a tag (of a volume: unless force), or
 * that it is the newest. -EINVAL for a digest. caller: whose view of paths
 * counts. *ret_versions is how many numbers were taken away. Durable.
 */
int volume_remove(struct host *h, const struct reference *ref, bool force,
		  pid_t caller, uint64_t *ret_versions, struct err *err);

/* Removes all that there is below a name, the record last, durably. The caller
 * has host->volumes_lock. */
int volume_remove_all(struct host *h, const char *name, uint64_t *ret_versions,
		      struct err *err);

/* Goes on with a removal that was cut short, if there was one of that name.
 * -EBADMSG with a sentence when it has versions but no record. */
int volume_finish_removal(struct host *h, const char *name, struct err *err);

/* The same for all names, and with renames that were cut short. */
int volume_finish_removals(struct host *h, struct err *err);
