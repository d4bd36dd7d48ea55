/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bytes of volumes/NAME/head.json:
 *   {"created":SECONDS, "format":1, "head":"sha256:..." or absent,
 *    "lease":{"epoch":N,"host":ID,"session":ID} (host and session absent while
 *    nobody writes), "modified":SECONDS, "name":NAME, "sequence":N,
 *    "tags":{TAG:"sha256:...",...}}
 */

#include "util/buf.h"
#include "volume/volume.h"

/* Appends v's record. -ENOMEM. */
int volume_record_encode(const struct volume *v, struct buf *b);

/* Fills v, whose name must be the record's. -EBADMSG with a sentence. */
int volume_record_decode(const uint8_t *data, size_t size, struct volume *v,
			 struct err *err);
