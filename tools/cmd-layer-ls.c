/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "entry-list.h"
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

static int run(struct tool *t, struct err *err)
{
	const char *word = t->args.operands[1];
	struct entry_list list = {
		.json = t->json,
		.details = args_has(&t->args, "long"),
		.printed.name = "entries",
	};
	json_t *path = word ? target_layer_path(word) : NULL;
	int r;

	if (word && !path)
		return err_oom(err);
	r = tool_call_each(t, "LayerEntries",
			   json_pack("{s:s, s:o*}", "layer",
				     t->args.operands[0], "path", path),
			   entry_list_add, &list, err);
	if (r == 0)
		entry_list_end(&list);
	return r;
}

const struct command command_layer_ls = {
	.name = "layer ls",
	.summary = "List what is in a layer",
	.details = "LAYER is a layer's digest, 8 or more digits of it, or a "
		   "reference for the topmost\nlayer of a version. Bytes of "
		   "names that cannot be printed are shown as \\xNN.\n"
		   "\".wh.NAME\" says that the layer deletes NAME.\n",
	.operands = {{"LAYER"},
		     {"PATH", .optional = true, .bytes = true,
		      .kinds = ARGS_NOTHING}},
	.options = options,
	.examples = examples,
	.run = run,
};
