/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "reply.h"
#include "target.h"
#include "tool.h"

static const struct args_option options[] = {
	{0, "discard", NULL, "end the session, throw away what is not sealed"},
	{0, "lazy", NULL, "detach now, also when the mount is in use"},
	{0},
};

static const char *const examples[] = {
	"layerctl unmount /workspace",
	"layerctl unmount my-data",
	"layerctl unmount my-data --discard",
	NULL,
};

static void print_result(const struct tool *t, const json_t *reply)
{
	const char *path = reply_optional(reply, "path");
	const char *volume = reply_string(reply, "volume");

	if (path)
		tool_say(t, "%s unmounted", path);
	if (reply_bool(reply, "discarded"))
		tool_say(t, "%s: session ended, unsealed changes discarded",
			 volume);
	else if (reply_optional(reply, "session"))
		tool_say(t,
			 "%s: session kept; `layerctl mount %s` takes it up "
			 "again, `layerctl finalize %s` seals it",
			 volume, volume, volume);
}

static int run(struct tool *t, struct err *err)
{
	json_t *target;
	int r = target_make(t->args.operands[0], &target, err);

	if (r < 0)
		return r;
	return tool_run(t, "Unmount",
			json_pack("{s:o, s:b, s:b}", "target", target, "lazy",
				  (int)args_has(&t->args, "lazy"), "discard",
				  (int)args_has(&t->args, "discard")),
			-1, print_result, err);
}

const struct command command_unmount = {
	.name = "unmount",
	.summary = "Unmount; a session keeps its data",
	.details = "What was written and not sealed stays in the session, "
		   "unless it is discarded.\n",
	.operands = {{"PATH|VOLUME", .bytes = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
