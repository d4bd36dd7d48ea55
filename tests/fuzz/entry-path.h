/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What every reader of archives promises of a path. */

#include "format/entry.h"

#include <stdlib.h>
#include <string.h>

static inline void must(bool holds)
{
	if (!holds)
		abort();
}

static inline void check_path(const char *path)
{
	must(strlen(path) <= ENTRY_PATH_MAX);
	for (const char *p = path, *end; *p; p = *end ? end + 1 : end) {
		size_t n;

		end = strchrnul(p, '/');
		n = (size_t)(end - p);
		must(n > 0 && n <= ENTRY_NAME_MAX && (!*end || end[1]));
		must(n > 2 || memcmp(p, "..", n) != 0);
	}
}
