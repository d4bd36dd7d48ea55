/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A table with aligned columns on standard output. */

#include "output.h"

#include <stddef.h>

#define LISTING_COLUMNS_MAX 8

struct listing_column {
	const char *title;
	bool right; /* aligned to the right */
	enum output_style style;
};

struct listing {
	const struct listing_column *columns;
	size_t n_columns;
	char **cells; /* n_rows * n_columns, each may be NULL */
	size_t n_rows;
};

#define LISTING_INIT(c)                                                        \
	(struct listing)                                                       \
	{                                                                      \
		.columns = (c), .n_columns = sizeof(c) / sizeof((c)[0])        \
	}
#define _cleanup_listing_ __attribute__((cleanup(listing_release)))
void listing_release(struct listing *l);

/* Adds a row of n_columns texts, which are copied; NULL shows as "-". -ENOMEM.
 */
int listing_add(struct listing *l, const char *const *cells);

/* Prints the titles and the rows; nothing when there are none. */
void listing_print(const struct listing *l);
