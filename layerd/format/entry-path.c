/* SPDX-License-Identifier: Apache-2.0 */
#include "format/entry-path.h"

#include "format/entry.h"

#include <errno.h>

int entry_path_add(struct buf *b, const char *name, size_t n)
{
	int r = 0;

	if (n > ENTRY_NAME_MAX || b->size + n + 1 > ENTRY_PATH_MAX)
		return -EBADMSG;
	if (b->size)
		r = buf_add_str(b, "/");
	return r < 0 ? r : buf_add(b, name, n);
}

int entry_path_clean(struct buf *b, const char *stored)
{
	const char *end;
	int r = 0;

	b->size = 0;
	for (const char *p = stored; r == 0 && *p; p = end + (*end == '/')) {
		size_t n;

		end = strchrnul(p, '/');
		n = (size_t)(end - p);
		if (n == 0 || (n == 1 && *p == '.'))
			continue;
		r = entry_path_is_dots(p, n) ? -EBADMSG
					     : entry_path_add(b, p, n);
	}
	if (r < 0)
		return r;
	return buf_str(b) ? 0 : -ENOMEM;
}
