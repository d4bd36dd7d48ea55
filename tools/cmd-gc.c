/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "tool.h"
#include "version.h"

static const struct args_option options[] = {
	{'n', "dry-run", NULL, "only say what would be deleted"},
	{0},
};

static const char *const examples[] = {
	"layerctl gc --dry-run",
	"layerctl rm my-data@3 && layerctl gc",
	NULL,
};

static void print_result(const struct tool *t, const json_t *reply)
{
	char bytes[OUTPUT_SIZE_MAX], cached[OUTPUT_SIZE_MAX];
	char dead[OUTPUT_SIZE_MAX], kept[OUTPUT_SIZE_MAX];
	char versions[VERSION_COUNT_MAX], layers[VERSION_COUNT_MAX];
	char packs[VERSION_COUNT_MAX], cached_layers[VERSION_COUNT_MAX];
	const char *would =
		reply_bool(reply, "dry_run") ? "would free" : "freed";

	tool_say(t, "%s %s of the store (%s, %s, %s) and %s of the cache (%s)",
		 would, output_size(reply_size(reply, "bytes"), bytes),
		 version_count(reply_size(reply, "versions"), "version",
			       versions),
		 version_count(reply_size(reply, "layers"), "layer", layers),
		 version_count(reply_size(reply, "packs"), "pack", packs),
		 output_size(reply_size(reply, "cached"), cached),
		 version_count(reply_size(reply, "cached_layers"), "layer",
			       cached_layers));
	if (reply_size(reply, "dead"))
		tool_say(t,
			 "of %s in packs that are kept, %s are not needed any "
			 "more",
			 output_size(reply_size(reply, "kept"), kept),
			 output_size(reply_size(reply, "dead"), dead));
}

static int run(struct tool *t, struct err *err)
{
	return tool_run(t, "Collect",
			json_pack("{s:b}", "dry_run",
				  (int)args_has(&t->args, "dry-run")),
			-1, print_result, err);
}

const struct command command_gc = {
	.name = "gc",
	.summary = "Delete what no version needs any more",
	.details =
		"Deletes manifests, layers and packs that no version, tag, "
		"session or mount needs,\nand their copies in the cache. "
		"Commits go on meanwhile; it waits for those that\nhad begun "
		"before. It can be interrupted at any time and run again.\n",
	.options = options,
	.examples = examples,
	.run = run,
};
