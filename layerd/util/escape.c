/* SPDX-License-Identifier: Apache-2.0 */
#include "util/escape.h"

#include <errno.h>
#include <stdint.h>

static bool in_range(uint8_t c, uint8_t low, uint8_t high)
{
	return c >= low && c <= high;
}

/* Length of the well-formed sequence at p (RFC 3629, section 4), or 0. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (!in_range(p[0], 0xc2, 0xf4))
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (left < n)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (!in_range(p[1], low, high))
		return 0;
	for (size_t i = 2; i < n; i++)
		if (!in_range(p[i], 0x80, 0xbf))
			return 0;
	return n;
}

bool utf8_valid(const char *s, size_t size)
{
	const uint8_t *p = (const uint8_t *)s;

	for (size_t n; size; p += n, size -= n) {
		n = utf8_sequence(p, size);
		if (!n)
			return false;
	}
	return true;
}

/* How many bytes at p stay as they are; 0: the first one is escaped. */
static size_t plain_sequence(const uint8_t *p, size_t left)
{
	bool c1 = left >= 2 && p[0] == 0xc2 && in_range(p[1], 0x80, 0x9f);

	if (p[0] < 0x20 || p[0] == 0x7f || p[0] == '\\' || c1)
		return 0;
	return utf8_sequence(p, left);
}

static int add_escaped(struct buf *b, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";
	const char text[] = {'\\', 'x', digits[c >> 4], digits[c & 15]};

	return buf_add(b, text, sizeof(text));
}

int escape_bytes(struct buf *b, const char *s, size_t size)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t before = b->size;
	int r = buf_reserve(b, size + 1);

	if (r < 0)
		return r;
	while (size) {
		size_t n = plain_sequence(p, size);

		r = n ? buf_add(b, p, n) : add_escaped(b, *p);
		if (r < 0) {
			b->size = before;
			return r;
		}
		n = n ? n : 1;
		p += n;
		size -= n;
	}
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* The byte that the escape at s stands for, or -EINVAL. */
static int escaped_byte(const char *s)
{
	int high, low;

	if (s[1] != 'x')
		return -EINVAL;
	high = hex_digit(s[2]);
	low = high < 0 ? -1 : hex_digit(s[3]);
	if (low < 0 || (high == 0 && low == 0))
		return -EINVAL;
	return high << 4 | low;
}

int unescape_bytes(struct buf *b, const char *s)
{
	size_t before = b->size;
	int r = 0;

	while (*s && r >= 0) {
		size_t n = strcspn(s, "\\");

		r = buf_add(b, s, n);
		s += n;
		if (r < 0 || !*s)
			break;
		r = escaped_byte(s);
		if (r >= 0) {
			uint8_t c = (uint8_t)r;

			r = buf_add(b, &c, 1);
			s += 4;
		}
	}
	if (r < 0)
		b->size = before;
	return r < 0 ? r : 0;
}
