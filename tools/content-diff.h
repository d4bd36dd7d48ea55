/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The lines that differ in a file, by diff(1). */

#include "tool.h"

#include <jansson.h>

/* Prints what differs in the data of a Difference of the API, if it is of
 * regular files; files that are not text are only said to differ. */
int content_diff(struct tool *t, const char *from, const char *to,
		 const json_t *difference, struct err *err);
