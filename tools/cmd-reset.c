/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

static const char *const examples[] = {
	"layerctl reset my-data my-data@3",
	"layerctl reset my-data my-data:stable",
	NULL,
};

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	int r = tool_call(t, "Reset",
			  json_pack("{s:s, s:s}", "volume", t->args.operands[0],
				    "reference", t->args.operands[1]),
			  &reply, err);

	if (r < 0)
		return r;
	if (t->json)
		output_json(stdout, reply);
	tool_say(t, "%s is what %s is",
		 reply_string(json_object_get(reply, "version"), "reference"),
		 t->args.operands[1]);
	return 0;
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
