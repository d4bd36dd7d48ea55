/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The lines that differ in a file, by diff(1). */

#include "tool.h"

#include <jansson.h>

/* Where the data is: in a version, or in a live mount. Both borrowed. */
struct content_side {
	const char *reference; /* NULL: live */
	const json_t *target;  /* as in the API */
	const char *label;
};

/* Prints what differs in the data of a Difference of the API, if it is of
 * regular files; files that are not text are only said to differ. */
int content_diff(struct tool *t, const struct content_side sides[2],
		 const json_t *difference, struct err *err);
