/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bytes of sessions/<id>/session.json, one object with sorted keys:
 *
 *   {"base":DIGEST?, "base_sequence":N, "capture":N, "created":SECONDS,
 *    "epoch":N, "format":1,
 *    "layers":[{"object":DIGEST,"size":N,"tar":DIGEST},...], "path":PATH?,
 *    "sealed":DIGEST?, "sealed_layers":[...], "volume":NAME}
 *
 * What is marked with "?" may be null. PATH is escaped as in util/escape.h.
 */

#include "util/buf.h"
#include "volume/session.h"

int session_encode(const struct session *s, struct buf *b);
/* -EBADMSG or -ENOMEM. */
int session_decode(const uint8_t *data, size_t size, struct session *s);
