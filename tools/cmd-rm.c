/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

static const struct args_option options[] = {
	{'f', "force", NULL, "remove a volume though it has tags"},
	{0},
};

static const char *const examples[] = {
	"layerctl rm my-data@3",
	"layerctl rm my-data:old",
	"layerctl rm task-17 task-18 && layerctl gc",
	NULL,
};

static void say_removed(const struct tool *t, const json_t *reply)
{
	const char *reference = reply_string(reply, "reference");
	char versions[VERSION_COUNT_MAX];

	if (strpbrk(reference, "@:"))
		tool_say(t, "%s is removed", reference);
	else
		tool_say(t, "volume %s is removed, with %s", reference,
			 version_count(reply_size(reply, "versions"), "version",
				       versions));
}

/* Each is done before the next one is looked at. */
static int remove_all(struct tool *t, json_t *removed, struct err *err)
{
	int force = args_has(&t->args, "force");

	for (size_t i = 0; i < t->args.n_repeated; i++) {
		json_t *reply;
		int r = tool_call(t, "Remove",
				  json_pack("{s:s, s:b}", "reference",
					    t->args.repeated[i], "force",
					    force),
				  &reply, err);

		if (r < 0)
			return r;
		say_removed(t, reply);
		if (json_array_append_new(removed, reply) < 0)
			return err_oom(err);
	}
	return 0;
}

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *removed = json_array();
	_cleanup_(json_decrefp) json_t *all = NULL;
	int r;

	all = json_pack("{s:O?}", "removed", removed);
	if (!removed || !all)
		return err_oom(err);
	r = remove_all(t, removed, err);
	/* Also what went before one that could not be removed. */
	if (t->json && (r == 0 || json_array_size(removed)))
		output_json(stdout, all);
	return r;
}

const struct command command_rm = {
	.name = "rm",
	.summary = "Remove versions, or volumes with all their versions",
	.details =
		"NAME@NUMBER and NAME:TAG remove one version, the latter with "
		"its tag; NAME removes\nthe volume. Refused for what a session "
		"or a mount still needs, and for the newest\nversion of a "
		"volume. Other volumes that were forked from it keep it. A "
		"number is\nnot given out again as long as its volume is "
		"there. `layerctl gc` frees the space;\nuntil then a removed "
		"version can be forked by its digest.\n",
	.operands = {{"REF", .repeat = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
