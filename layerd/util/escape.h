/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * File names are bytes; JSON strings and terminals want UTF-8. What is not
 * valid UTF-8, control characters (C0, DEL, C1) and the backslash are written
 * as \xNN with two lower-case digits; everything else stays. The inverse
 * restores the exact bytes.
 */

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Appends the escaped text, not ended by NUL; b->data is not NULL afterwards,
 * also of an empty text. -ENOMEM leaves b as it was. */
int escape_bytes(struct buf *b, const char *s, size_t size);

/* Appends the bytes. -ENOMEM; -EINVAL for a backslash that does not start \xNN,
 * or \x00; b is then as it was. */
int unescape_bytes(struct buf *b, const char *s);

/* Whether size bytes are valid UTF-8 (RFC 3629: no overlong forms, no
 * surrogates). */
bool utf8_valid(const char *s, size_t size);
