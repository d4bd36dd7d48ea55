/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "reply.h"
#include "tool.h"

#include <errno.h>
#include <string.h>

static const char *const examples[] = {
	"layerctl reset my-data my-data@3",
	"layerctl reset my-data my-data:stable",
	NULL,
};

static void print_result(const struct tool *t, const json_t *reply)
{
	tool_say(t, "%s is what %s is",
		 reply_string(json_object_get(reply, "version"), "reference"),
		 t->args.operands[1]);
}

static int run(struct tool *t, struct err *err)
{
	return tool_run(t, "Reset",
			json_pack("{s:s, s:s}", "volume", t->args.operands[0],
				  "reference", t->args.operands[1]),
			-1, print_result, err);
}

const struct command command_reset = {
	.name = "reset",
	.summary = "Go on from an older version",
	.details = "The version becomes the newest one again, under the next "
		   "number; those in between\nstay. Refused while the volume "
		   "has a session.\n",
	.operands = {{"NAME"}, {"REF"}},
	.examples = examples,
	.run = run,
};
