/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "progress.h"
#include "reply.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Of versions and paths in one line. */
#define NAMES_MAX 8

static const struct args_option options[] = {
	{0, "read-data", NULL, "read and check every pack as well"},
	{0, "repair", NULL, "put right what can be, remove nothing"},
	{0},
};

static const char *const examples[] = {
	"layerctl fsck",
	"layerctl fsck --read-data --repair",
	"layerctl fsck my-data@3",
	"layerctl fsck --json | jq -r '.findings[].versions[]' | sort -u",
	NULL,
};

struct fsck {
	struct tool *tool;
	struct progress progress;
	json_t *findings;
	json_t *totals;
};

static int on_reply(json_t *parameters, void *ctx)
{
	json_t *progress = json_object_get(parameters, "progress");
	json_t *list = json_object_get(parameters, "findings");
	json_t *totals = json_object_get(parameters, "totals");
	struct fsck *f = ctx;

	if (json_is_object(progress))
		progress_update(&f->progress, progress);
	if (json_is_array(list) && json_array_extend(f->findings, list) < 0)
		return -ENOMEM;
	if (json_is_object(totals))
		f->totals = json_incref(totals);
	return 0;
}

static void print_names(const json_t *list, uint64_t total)
{
	json_t *name;
	size_t i;

	json_array_foreach (list, i, name) {
		const char *text = json_string_value(name);

		if (i == NAMES_MAX || !text)
			break;
		fputs(i ? ", " : "", stdout);
		(void)output_text(stdout, text, strlen(text));
	}
	if (total > i)
		printf(" and %" PRIu64 " more", total - i);
}

static void print_finding(const json_t *found)
{
	static const struct {
		const char *state, *text;
	} states[] = {
		{"lost", "cannot be repaired from here"},
		{"repairable", "--repair can repair it"},
		{"repaired", "repaired"},
	};
	const char *state = reply_string(found, "state");
	const char *object = reply_string(found, "object");
	const char *message = reply_string(found, "message");
	uint64_t versions = reply_size(found, "versions_total");
	uint64_t paths = reply_size(found, "paths_total");

	output_style(OUTPUT_NAME);
	(void)output_text(stdout, object, strlen(object));
	output_style(OUTPUT_PLAIN);
	fputs(": ", stdout);
	(void)output_text(stdout, reply_string(found, "kind"),
			  strlen(reply_string(found, "kind")));
	fputs(": ", stdout);
	(void)output_text(stdout, message, strlen(message));
	fputs(versions ? "; touches " : "; touches no version", stdout);
	print_names(json_object_get(found, "versions"), versions);
	if (paths) {
		fputs(": ", stdout);
		print_names(json_object_get(found, "paths"), paths);
	}
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (strcmp(states[i].state, state) == 0)
			printf("; %s", states[i].text);
	putchar('\n');
}

static void print_totals(const struct fsck *f)
{
	char versions[VERSION_COUNT_MAX], layers[VERSION_COUNT_MAX];
	char packs[VERSION_COUNT_MAX], orphans[VERSION_COUNT_MAX];
	char bytes[OUTPUT_SIZE_MAX], garbage[OUTPUT_SIZE_MAX];
	const json_t *t = f->totals;
	bool data = args_has(&f->tool->args, "read-data");

	tool_say(f->tool, "checked %s, %s, %s%s%s%s",
		 version_count(reply_size(t, "versions"), "version", versions),
		 version_count(reply_size(t, "layers"), "layer", layers),
		 version_count(reply_size(t, "packs"), "pack", packs),
		 data ? " (" : "",
		 data ? output_size(reply_size(t, "bytes"), bytes) : "",
		 data ? " read)" : "; their data was not read");
	if (reply_size(t, "orphans"))
		tool_say(f->tool, "%s (%s) that no version needs",
			 version_count(reply_size(t, "orphans"), "object",
				       orphans),
			 output_size(reply_size(t, "orphan_bytes"), garbage));
}

static int judge(const struct fsck *f, struct err *err)
{
	uint64_t left = reply_size(f->totals, "findings") -
			reply_size(f->totals, "repaired");
	uint64_t repairable = reply_size(f->totals, "repairable");
	char text[VERSION_COUNT_MAX];

	if (!left)
		return 0;
	version_count(left, "damaged object", text);
	if (repairable == left)
		return err_set(err, EUCLEAN,
			       "%s; \"layerctl fsck --repair\" can repair that",
			       text);
	if (repairable)
		return err_set(err, EUCLEAN,
			       "%s; \"layerctl fsck --repair\" can repair "
			       "%" PRIu64 " of them",
			       text, repairable);
	return err_set(err, EUCLEAN,
		       "%s, and nothing here can supply what is missing; "
		       "restore it from a copy of the store",
		       text);
}

static int show(struct fsck *f, struct err *err)
{
	json_t *found;
	size_t i;

	if (f->tool->json) {
		_cleanup_(json_decrefp) json_t *all =
			json_pack("{s:O, s:O}", "findings", f->findings,
				  "totals", f->totals);

		if (!all)
			return err_oom(err);
		output_json(stdout, all);
		return judge(f, err);
	}
	json_array_foreach (f->findings, i, found)
		print_finding(found);
	print_totals(f);
	if (!reply_size(f->totals, "findings"))
		tool_say(f->tool, "all is well");
	fflush(stdout);
	return judge(f, err);
}

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *findings = json_array();
	struct fsck f = {.tool = t, .findings = findings};
	int r;

	if (!findings)
		return err_oom(err);
	progress_init(&f.progress, !t->json && !t->quiet);
	r = tool_call_each(
		t, "Fsck",
		json_pack("{s:s?, s:b, s:b}", "reference", t->args.operands[0],
			  "read_data", (int)args_has(&t->args, "read-data"),
			  "repair", (int)args_has(&t->args, "repair")),
		on_reply, &f, err);
	progress_clear(&f.progress);
	if (r == 0)
		r = show(&f, err);
	json_decref(f.totals);
	return r;
}

const struct command command_fsck = {
	.name = "fsck",
	.summary = "Check the store, the cache and the catalog, and repair",
	.details = "Each damaged object comes with the versions and the files "
		   "it touches and whether it\ncan be repaired: from the cache "
		   "of this host, or from other packs that have the same\n"
		   "chunks. A repair removes nothing from the store.\n",
	.operands = {{"NAME|REF", .optional = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
