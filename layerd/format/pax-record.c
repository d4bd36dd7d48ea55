/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: a record lies within its header, and has no NUL in front of
 * its value. */
#include "format/pax-record.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

int pax_decimal(const char *s, size_t n, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (n == 0)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		uint64_t digit = (uint64_t)(s[i] - '0');

		if (s[i] < '0' || s[i] > '9' || v > (max - digit) / 10)
			return -EBADMSG;
		v = v * 10 + digit;
	}
	*ret = v;
	return 0;
}

int pax_record_next(char **p, char *end, struct pax_record *ret)
{
	char *space = memchr(*p, ' ', (size_t)MIN(end - *p, (ptrdiff_t)8));
	char *equals, *last;
	uint64_t length;

	if (!space ||
	    pax_decimal(*p, (size_t)(space - *p), INT64_MAX, &length) < 0 ||
	    length > (uint64_t)(end - *p) ||
	    length < (uint64_t)(space - *p) + 4)
		return -EBADMSG;
	last = *p + length - 1;
	if (*last != '\n')
		return -EBADMSG;
	ret->keyword = space + 1;
	equals = memchr(ret->keyword, '=', (size_t)(last - ret->keyword));
	if (!equals || equals == ret->keyword ||
	    memchr(ret->keyword, 0, (size_t)(equals - ret->keyword)))
		return -EBADMSG;
	*equals = 0;
	*last = 0;
	ret->value = equals + 1;
	ret->size = (size_t)(last - ret->value);
	*p = last + 1;
	return 0;
}
