/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"

static const char *const examples[] = {
	"layerctl show my-data",
	"layerctl show my-data@3",
	"layerctl show my-data --json | jq '.version.layers'",
	NULL,
};

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	int r;

	r = tool_call(t, "Show",
		      json_pack("{s:s}", "reference", t->args.operands[0]),
		      &reply, err);
	if (r < 0)
		return r;
	if (t->json)
		output_json(stdout, reply);
	else
		version_print(json_object_get(reply, "version"));
	return 0;
}

const struct command command_show = {
	.name = "show",
	.summary = "Show all about a version",
	.details =
		"Digest, parent, time, message, labels, tags and layers, the "
		"lowest layer first.\n",
	.operands = {{"REF"}},
	.examples = examples,
	.run = run,
};
