/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "tool.h"

#include "util/cleanup.h"

static const char *const examples[] = {
	"layerctl fork my-data experiment",
	"layerctl fork my-data@3 from-the-third",
	NULL,
};

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	int r;

	r = tool_call(t, "Fork",
		      json_pack("{s:s, s:s}", "reference", t->args.operands[0],
				"name", t->args.operands[1]),
		      &reply, err);
	if (r < 0)
		return r;
	if (t->json)
		output_json(stdout, reply);
	tool_say(t, "%s forked from %s", reply_string(reply, "volume"),
		 t->args.operands[0]);
	return 0;
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
