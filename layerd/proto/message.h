/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The JSON of one message, apart from the socket that it came through. */

#include "util/error.h"

#include <jansson.h>
#include <stddef.h>

/* Bounds on what one message may make us allocate: a value costs up to some
 * hundred bytes in memory however few it has on the wire. */
#define MESSAGE_VALUES_MAX 262144
#define MESSAGE_DEPTH_MAX 32

/*
 * Parses size bytes, without the NUL that ends a message. -EBADMSG with a
 * sentence for what is not one JSON object (RFC 8259) in valid UTF-8, has a key
 * twice, a "\u0000", an integer beyond 64 bits, or is beyond the bounds.
 */
int message_parse(const char *data, size_t size, json_t **ret, struct err *err);

/* Bytes that need not be text, a file's name for one, as util/escape.h writes
 * them. NULL without memory. */
json_t *message_bytes(const char *s, size_t size);
