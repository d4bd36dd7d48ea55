/* SPDX-License-Identifier: Apache-2.0 */
#include "util/buf.h"

#include "util/cleanup.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>

void buf_release(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT;
}

int buf_reserve(struct buf *b, size_t extra)
{
	size_t need, alloc;
	uint8_t *data;

	if (__builtin_add_overflow(b->size, extra, &need))
		return -ENOMEM;
	if (need <= b->alloc)
		return 0;
	alloc = MAX(b->alloc + b->alloc / 2, MAX(need, (size_t)64));
	data = realloc(b->data, alloc);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->alloc = alloc;
	return 0;
}

int buf_add(struct buf *b, const void *data, size_t size)
{
	int r = buf_reserve(b, size);

	if (r < 0)
		return r;
	if (size)
		memcpy(b->data + b->size, data, size);
	b->size += size;
	return 0;
}

int buf_add_zero(struct buf *b, size_t size)
{
	int r = buf_reserve(b, size);

	if (r < 0)
		return r;
	if (size)
		memset(b->data + b->size, 0, size);
	b->size += size;
	return 0;
}

int buf_add_str(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_add_le16(struct buf *b, uint16_t v)
{
	v = htole16(v);
	return buf_add(b, &v, sizeof(v));
}

int buf_add_le32(struct buf *b, uint32_t v)
{
	v = htole32(v);
	return buf_add(b, &v, sizeof(v));
}

int buf_add_le64(struct buf *b, uint64_t v)
{
	v = htole64(v);
	return buf_add(b, &v, sizeof(v));
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	r = buf_reserve(b, (size_t)n + 1);
	if (r < 0)
		return r;
	va_start(ap, format);
	vsnprintf((char *)b->data + b->size, (size_t)n + 1, format, ap);
	va_end(ap);
	b->size += (size_t)n;
	return 0;
}

int buf_pad(struct buf *b, size_t align)
{
	return buf_add_zero(b, (align - b->size % align) % align);
}

char *buf_str(struct buf *b)
{
	if (buf_reserve(b, 1) < 0)
		return NULL;
	b->data[b->size] = 0;
	return (char *)b->data;
}
