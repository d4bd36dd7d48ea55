/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bytes of volumes/NAME/head.json, one object with sorted keys:
 *
 *   {"created":SECONDS, "format":1, "head":DIGEST,
 *    "lease":{"epoch":N, "host":ID, "session":ID}, "modified":SECONDS,
 *    "name":NAME, "sequence":N, "tags":{TAG:DIGEST, ...}}
 *
 * "head" is absent until something is sealed, "host" and "session" while nobody
 * writes. DIGEST is "sha256:" and 64 hex digits.
 */

#include "util/buf.h"
#include "volume/volume.h"

/* Appends v's record. -ENOMEM. */
int volume_record_encode(const struct volume *v, struct buf *b);

/* Fills v, whose name must be the record's. -EBADMSG with a sentence. */
int volume_record_decode(const uint8_t *data, size_t size, struct volume *v,
			 struct err *err);
