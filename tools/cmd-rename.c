/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "reply.h"
#include "tool.h"

static const char *const examples[] = {
	"layerctl rename my-data training-data",
	NULL,
};

static void print_result(const struct tool *t, const json_t *reply)
{
	tool_say(t, "%s is %s now", t->args.operands[0],
		 reply_string(reply, "volume"));
}

static int run(struct tool *t, struct err *err)
{
	return tool_run(t, "Rename",
			json_pack("{s:s, s:s}", "volume", t->args.operands[0],
				  "name", t->args.operands[1]),
			-1, print_result, err);
}

const struct command command_rename = {
	.name = "rename",
	.summary = "Give a volume another name",
	.details =
		"Versions, their numbers, tags and labels stay. A volume with "
		"a session is not renamed:\nfinalize it first. Read-only "
		"mounts "
		"go on under the old name.\n",
	.operands = {{"NAME"}, {"NEW"}},
	.examples = examples,
	.run = run,
};
