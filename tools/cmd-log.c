/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "log-graph.h"
#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

static const struct args_option options[] = {
	{'n', "limit", "N", "no more than N versions"},
	{0, "graph", NULL,
	 "draw versions and forks, of all volumes without NAME"},
	{0},
};

static const char *const examples[] = {
	"layerctl log my-data",
	"layerctl log my-data@3 -n 2",
	"layerctl log --graph",
	"layerctl log my-data --json | jq -r '.versions[].digest'",
	NULL,
};

struct log {
	bool json;
	struct output_list printed; /* as JSON */
	int width;
};

static int on_versions(json_t *parameters, void *ctx)
{
	const json_t *versions = json_object_get(parameters, "versions");
	struct log *log = ctx;
	json_t *version;
	size_t i;

	json_array_foreach (versions, i, version) {
		if (log->json) {
			output_list_add(&log->printed, version);
			continue;
		}
		/* The first has the longest number. */
		if (!log->width)
			log->width =
				(int)strlen(reply_string(version, "reference"));
		version_print_line(version, log->width);
	}
	return 0;
}

static int run(struct tool *t, struct err *err)
{
	struct log log = {.json = t->json, .printed.name = "versions"};
	json_t *limit;
	int r;

	if (args_has(&t->args, "graph"))
		return log_graph(t, err);
	if (!t->args.operands[0])
		return err_set(err, EINVAL,
			       "log needs NAME, or --graph for all volumes");
	r = target_limit(&t->args, &limit, err);
	if (r < 0)
		return r;
	r = tool_call_each(t, "Log",
			   json_pack("{s:s, s:o*, s:b}", "reference",
				     t->args.operands[0], "limit", limit,
				     "brief", (int)!t->json),
			   on_versions, &log, err);
	if (r == 0 && t->json)
		output_list_end(&log.printed);
	return r;
}

const struct command command_log = {
	.name = "log",
	.summary = "Show the versions of a volume, newest first",
	.details = "One line a version: reference, time, bytes added, files "
		   "changed, message, digest.\nNAME may be any reference; the "
		   "log starts there. With --graph it is a volume, which is "
		   "drawn\nwith those it was forked from or that were forked "
		   "from it.\n",
	.operands = {{"NAME", .optional = true, .kinds = ARGS_REFERENCE}},
	.options = options,
	.examples = examples,
	.run = run,
};
