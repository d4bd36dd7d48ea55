/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reads little-endian fields from bytes that may be hostile. Every step checks
 * what is left; one failed step makes all later ones fail, so a reader may take
 * a row of fields and test cursor_ok() once before it uses them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *p;
	size_t left;
	bool failed;
};

#define CURSOR_INIT(data, size)                                                \
	(struct cursor)                                                        \
	{                                                                      \
		.p = (data), .left = (size)                                    \
	}

/* The next n bytes, which stay owned by the caller; NULL once failed. */
const uint8_t *cursor_take(struct cursor *c, size_t n);

/* The next integer; 0 once failed. */
uint16_t cursor_le16(struct cursor *c);
uint32_t cursor_le32(struct cursor *c);
uint64_t cursor_le64(struct cursor *c);

static inline bool cursor_ok(const struct cursor *c)
{
	return !c->failed;
}
