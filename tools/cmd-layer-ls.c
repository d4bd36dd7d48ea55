/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "entry-line.h"
#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>

static const struct args_option options[] = {
	{'l', "long", NULL, "with mode, owner, size and time, as `tar tv`"},
	{0},
};

static const char *const examples[] = {
	"layerctl layer ls my-data",
	"layerctl layer ls -l my-data@3 etc",
	"layerctl layer ls sha256:0123abcd --json | jq '.entries | length'",
	NULL,
};

/* A layer may have millions of names, so nothing is kept, not as JSON either:
 * the one object that is printed is put together from its batches. */
struct list {
	bool json;
	bool details;
	bool started;
	bool comma;
	int width;
};

static int print_json(struct list *list, const json_t *parameters)
{
	const json_t *entries = json_object_get(parameters, "entries");
	json_t *entry;
	size_t i;

	if (!list->started)
		printf("{\"digest\":\"%s\",\"entries\":[",
		       reply_string(parameters, "digest"));
	list->started = true;
	json_array_foreach (entries, i, entry) {
		if (list->comma)
			putchar(',');
		list->comma = true;
		if (json_dumpf(entry, stdout, JSON_COMPACT) < 0)
			return -EIO;
	}
	return 0;
}

static int on_entries(json_t *parameters, void *ctx)
{
	const json_t *entries = json_object_get(parameters, "entries");
	struct list *list = ctx;
	json_t *entry;
	size_t i;

	if (list->json)
		return print_json(list, parameters);
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

static int run(struct tool *t, struct err *err)
{
	const char *word = t->args.operands[1];
	struct list list = {
		.json = t->json,
		.details = args_has(&t->args, "long"),
		.width = 16,
	};
	json_t *path = word ? target_layer_path(word) : NULL;
	int r;

	if (word && !path)
		return err_oom(err);
	r = tool_call_each(t, "LayerEntries",
			   json_pack("{s:s, s:o*}", "layer",
				     t->args.operands[0], "path", path),
			   on_entries, &list, err);
	if (r == 0 && list.json)
		puts("]}");
	return r;
}

const struct command command_layer_ls = {
	.name = "layer ls",
	.summary = "List what is in a layer",
	.details = "LAYER is a layer's digest, 8 or more digits of it, or a "
		   "reference for the topmost\nlayer of a version. Bytes of "
		   "names that cannot be printed are shown as \\xNN.\n"
		   "\".wh.NAME\" says that the layer deletes NAME.\n",
	.operands = {{"LAYER"}, {"PATH", .optional = true, .bytes = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
