/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "tool.h"

#include "util/cleanup.h"

static const char *const examples[] = {
	"layerctl rename my-data training-data",
	NULL,
};

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	int r = tool_call(t, "Rename",
			  json_pack("{s:s, s:s}", "volume", t->args.operands[0],
				    "name", t->args.operands[1]),
			  &reply, err);

	if (r < 0)
		return r;
	if (t->json)
		output_json(stdout, reply);
	tool_say(t, "%s is %s now", t->args.operands[0],
		 reply_string(reply, "volume"));
	return 0;
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
