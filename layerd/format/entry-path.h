/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Paths of foreign archives, made into those of entries. */

#include "util/buf.h"

#include <stdbool.h>
#include <string.h>

/* "." or "..", which are not NUL-terminated here. */
static inline bool entry_path_is_dots(const char *name, size_t n)
{
	return (n == 1 || n == 2) && memcmp(name, "..", n) == 0;
}

/* Appends a component. -EBADMSG for what is longer than entry.h allows. */
int entry_path_add(struct buf *b, const char *name, size_t n);

/* Makes a stored path relative, without "", "." and slashes at its end, into b,
 * NUL-terminated. -EBADMSG for ".." and what is too long. */
int entry_path_clean(struct buf *b, const char *stored);
