/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "tool.h"

#include "util/cleanup.h"
#include "util/release.h"

static const char *const examples[] = {
	"layerctl version",
	"layerctl --version",
	NULL,
};

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;

	if (!t->json) {
		printf("layerctl %s\n", release_text);
		return 0;
	}
	reply = json_pack("{s:s}", "version", release_text);
	if (!reply)
		return err_oom(err);
	output_json(stdout, reply);
	return 0;
}

const struct command command_version = {
	.name = "version",
	.summary = "Show the version of layerctl",
	.details = "That of the daemon is part of `layerctl status`.\n",
	.examples = examples,
	.run = run,
};
