/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A list of Entries of the API, printed as they come: there may be millions, so
 * none is kept.
 */

#include "output.h"

#include <jansson.h>
#include <stdbool.h>

struct entry_list {
	bool json;
	bool details; /* as `tar tv`, else only names */
	int width;
	struct output_list printed; /* as JSON */
};

/* Takes one reply; a tool_each_fn, whose ctx is the list. */
int entry_list_add(json_t *parameters, void *ctx);

/* After the last one. */
void entry_list_end(struct entry_list *list);
