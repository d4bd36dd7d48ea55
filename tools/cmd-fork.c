/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "reply.h"
#include "tool.h"

static const char *const examples[] = {
	"layerctl fork my-data experiment",
	"layerctl fork my-data@3 from-the-third",
	NULL,
};

static void print_result(const struct tool *t, const json_t *reply)
{
	tool_say(t, "%s forked from %s", reply_string(reply, "volume"),
		 t->args.operands[0]);
}

static int run(struct tool *t, struct err *err)
{
	return tool_run(t, "Fork",
			json_pack("{s:s, s:s}", "reference",
				  t->args.operands[0], "name",
				  t->args.operands[1]),
			-1, print_result, err);
}

const struct command command_fork = {
	.name = "fork",
	.summary = "Make a volume that starts with an existing version",
	.details = "No data is copied; both volumes go their own ways from "
		   "there.\n",
	.operands = {{"REF"}, {"NEW"}},
	.examples = examples,
	.run = run,
};
