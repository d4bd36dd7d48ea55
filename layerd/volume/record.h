/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bytes of volumes/NAME/head.json, one object with sorted keys:
 *
 *   {"created":SECONDS, "format":1, "head":DIGEST,
 *    "labels":{DIGEST:{KEY:VALUE or null, ...}, ...},
 *    "lease":{"epoch":N, "host":ID, "session":ID}, "modified":SECONDS,
 *    "name":NAME, "removed":true, "sequence":N, "tags":{TAG:DIGEST, ...}}
 *
 * "head" is absent until something is sealed, "host" and "session" while nobody
 * writes, "labels" while there are none, "removed" unless the volume is being
 * removed. DIGEST is "sha256:" and 64 hex digits.
 *
 * While it is being renamed (volume/rename.h) "format" is 2, so that readers
 * who do not know of that leave it alone, and there is one member more:
 *    "renaming":{"from":NAME} or {"to":NAME} or {"moved":true,"to":NAME}
 * No volume is renamed and removed at once.
 *
 * A reader that does not know a member ignores it, and loses it when it writes
 * the record. Labels came to format 1 that way.
 */

#include "util/buf.h"
#include "volume/volume.h"

/* Of a record. What lets it grow, tags and labels, ends well below, so that a
 * lease and a new version always fit. */
#define VOLUME_RECORD_MAX (4u << 20)

/* Appends v's record. -ENOMEM. */
int volume_record_encode(const struct volume *v, struct buf *b);

/* Fills v, whose name must be the record's. -EBADMSG with a sentence. */
int volume_record_decode(const uint8_t *data, size_t size, struct volume *v,
			 struct err *err);
