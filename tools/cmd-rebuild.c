/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "reply.h"
#include "tool.h"
#include "version.h"

static const char *const examples[] = {
	"layerctl rebuild",
	"layerctl rebuild --json | jq .skipped",
	NULL,
};

static void print_result(const struct tool *t, const json_t *reply)
{
	char packs[VERSION_COUNT_MAX], versions[VERSION_COUNT_MAX];
	uint64_t skipped = reply_size(reply, "skipped");

	tool_say(t, "the catalog was made anew from %s and %s",
		 version_count(reply_size(reply, "packs"), "pack", packs),
		 version_count(reply_size(reply, "versions"), "version",
			       versions));
	if (reply_bool(reply, "damaged"))
		tool_say(t, "it was damaged and has been set aside as "
			    "catalog.db.corrupt-*");
	if (skipped)
		tool_say(t,
			 "%s of the store could not be read; \"layerctl fsck\" "
			 "names what is damaged",
			 version_count(skipped, "object", packs));
}

static int run(struct tool *t, struct err *err)
{
	return tool_run(t, "Rebuild", json_object(), -1, print_result, err);
}

const struct command command_rebuild = {
	.name = "rebuild",
	.summary = "Make the catalog anew from the store",
	.details = "The catalog only remembers what the store has. Volumes "
		   "stay in use meanwhile, and\nwhat is sealed while it is not "
		   "complete is stored again at worst.\n",
	.examples = examples,
	.run = run,
};
