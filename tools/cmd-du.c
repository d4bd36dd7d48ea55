/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "listing.h"
#include "output.h"
#include "reply.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>
#include <inttypes.h>

static const char *const examples[] = {
	"layerctl du",
	"layerctl du my-data",
	"layerctl du my-data@3 other-data:stable",
	"layerctl du --json | jq .total",
	NULL,
};

static int on_usage(json_t *parameters, void *ctx)
{
	static const char *const sums[] = {"stored", "shared", "total"};
	json_t *usage = json_object_get(parameters, "usage");
	json_t *all = ctx;

	/* A report of progress. */
	if (!usage)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(sums); i++)
		if (json_object_set(all, sums[i],
				    json_object_get(parameters, sums[i])) < 0)
			return -ENOMEM;
	return json_array_extend(json_object_get(all, "usage"), usage) < 0
		       ? -ENOMEM
		       : 0;
}

static int add_row(struct listing *l, const json_t *usage)
{
	static const char *const keys[] = {"size", "layers", "stored",
					   "unique"};
	char sizes[ARRAY_SIZE(keys)][OUTPUT_SIZE_MAX];
	char versions[24], files[24];
	const char *cells[3 + ARRAY_SIZE(keys)] = {
		reply_string(usage, "reference"), versions, files};

	(void)snprintf(versions, sizeof(versions), "%" PRIu64,
		       reply_size(usage, "versions"));
	(void)snprintf(files, sizeof(files), "%" PRIu64,
		       reply_size(usage, "files"));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		cells[3 + i] =
			output_size(reply_size(usage, keys[i]), sizes[i]);
	return listing_add(l, cells);
}

static int print_usage(const json_t *all, struct err *err)
{
	static const struct listing_column columns[] = {
		{"NAME", .style = OUTPUT_NAME}, {"VERSIONS", .right = true},
		{"FILES", .right = true},	{"SIZE", .right = true},
		{"LAYERS", .right = true},	{"STORED", .right = true},
		{"UNIQUE", .right = true},
	};
	_cleanup_listing_ struct listing l = LISTING_INIT(columns);
	char stored[OUTPUT_SIZE_MAX], shared[OUTPUT_SIZE_MAX];
	char total[OUTPUT_SIZE_MAX];
	json_t *usage;
	size_t i;

	json_array_foreach (json_object_get(all, "usage"), i, usage) {
		if (add_row(&l, usage) < 0)
			return err_oom(err);
	}
	listing_print(&l);
	printf("%s stored, %s of it shared; all volumes together need %s\n",
	       output_size(reply_size(all, "stored"), stored),
	       output_size(reply_size(all, "shared"), shared),
	       output_size(reply_size(all, "total"), total));
	return 0;
}

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *all = json_pack("{s:[]}", "usage");
	json_t *references = json_array();
	int r = 0;

	for (size_t i = 0; i < t->args.n_repeated; i++)
		if (json_array_append_new(references,
					  json_string(t->args.repeated[i])) < 0)
			r = -ENOMEM;
	if (!all || !references || r < 0) {
		json_decref(references);
		return err_oom(err);
	}
	r = tool_call_each(t, "Usage",
			   json_pack("{s:o}", "references", references),
			   on_usage, all, err);
	if (r < 0)
		return r;
	if (!t->json)
		return print_usage(all, err);
	output_json(stdout, all);
	return 0;
}

const struct command command_du = {
	.name = "du",
	.summary = "Show what volumes and versions take",
	.details =
		"Of each volume, of each version of the volumes NAME, or of "
		"the versions REF: the\nsize of the newest version's files, "
		"of the layers, and what these take in the store,\ncompressed "
		"and each chunk once. UNIQUE is what no other volume, or no "
		"other version\nof any volume, needs.\n",
	.operands = {{"REF|NAME", .optional = true, .repeat = true}},
	.examples = examples,
	.run = run,
};
