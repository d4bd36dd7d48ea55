/* SPDX-License-Identifier: Apache-2.0 */
#include "util/quote.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

char *quote_text(const char *s, char out[static QUOTE_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	/* Behind any character there must be room for '..."' and the NUL. */
	char *p = out, *end = out + QUOTE_SIZE - 5;

	*p++ = '"';
	for (; *s; s++) {
		uint8_t c = (uint8_t)*s;
		bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';

		if (p + (plain ? 1 : 4) > end) {
			memcpy(p, "...", 3);
			p += 3;
			break;
		}
		if (plain) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '\\';
		*p++ = 'x';
		*p++ = digits[c >> 4];
		*p++ = digits[c & 15];
	}
	*p++ = '"';
	*p = 0;
	return out;
}
