/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A growing byte buffer: what encoders append to. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t size;
	size_t alloc;
};

#define BUF_INIT                                                               \
	(struct buf)                                                           \
	{                                                                      \
		0                                                              \
	}
#define _cleanup_buf_ __attribute__((cleanup(buf_release)))

/* Frees the memory; the buffer is empty and usable afterwards. */
void buf_release(struct buf *b);

/* Room for extra more bytes. -ENOMEM leaves the buffer as it was. */
int buf_reserve(struct buf *b, size_t extra);

/* Appends; all return 0 or -ENOMEM and then leave the buffer as it was. */
int buf_add(struct buf *b, const void *data, size_t size);
int buf_add_zero(struct buf *b, size_t size);
int buf_add_str(struct buf *b, const char *s);
int buf_add_le16(struct buf *b, uint16_t v);
int buf_add_le32(struct buf *b, uint32_t v);
int buf_add_le64(struct buf *b, uint64_t v);
int buf_printf(struct buf *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Appends zeros until the size is a multiple of align. */
int buf_pad(struct buf *b, size_t align);

/* Adds a NUL behind the contents (not counted in size) and returns them. */
char *buf_str(struct buf *b);
