/* SPDX-License-Identifier: Apache-2.0 */
#include "entry-list.h"

#include "entry-line.h"
#include "reply.h"

#include "util/cleanup.h"

#include <stdio.h>

/* Of owner and size together, where lines begin with. */
#define WIDTH 16

static void print_json(struct entry_list *list, const json_t *parameters,
		       const json_t *entries)
{
	const char *digest = reply_optional(parameters, "digest");
	json_t *entry;
	size_t i;

	output_list_begin(&list->printed, digest ? "digest" : NULL, digest);
	json_array_foreach (entries, i, entry) {
		output_list_add(&list->printed, entry);
	}
}

int entry_list_add(json_t *parameters, void *ctx)
{
	const json_t *entries = json_object_get(parameters, "entries");
	struct entry_list *list = ctx;
	json_t *entry;
	size_t i;

	/* Some replies only tell of progress. */
	if (!entries)
		return 0;
	if (list->json) {
		print_json(list, parameters, entries);
		return 0;
	}
	list->width = MAX(list->width, WIDTH);
	json_array_foreach (entries, i, entry) {
		if (list->details) {
			entry_print_line(entry, &list->width);
			continue;
		}
		entry_print_name(entry);
		putchar('\n');
	}
	return 0;
}

void entry_list_end(struct entry_list *list)
{
	if (list->json)
		output_list_end(&list->printed);
}
