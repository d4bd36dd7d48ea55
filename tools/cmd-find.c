/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"
#include "version.h"
#include "when.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static const struct args_option options[] = {
	{0, "label", "KEY[=VALUE]", "has this label, with this value", true},
	{0, "since", "WHEN", "sealed then or later"},
	{0, "until", "WHEN", "sealed then or earlier"},
	{0, "volume", "NAME", "a version of this volume"},
	{0, "message", "TEXT", "has this in its message"},
	{'n', "limit", "N", "no more than the N newest"},
	{0, "name-only", NULL, "print references and nothing else"},
	{0},
};

static const char *const examples[] = {
	"layerctl find --label best=true --limit 1",
	"layerctl find --since 2d --message import",
	"layerctl find --volume my-data --since 2026-11-01 --until 2026-11-07",
	"layerctl mount --ro $(layerctl find --label best=true -n 1 "
	"--name-only) /mnt",
	NULL,
};

struct find {
	bool json, name_only;
	struct output_list printed; /* as JSON */
	size_t width;
};

static int on_versions(json_t *parameters, void *ctx)
{
	json_t *versions = json_object_get(parameters, "versions");
	struct find *find = ctx;
	json_t *found;
	size_t i;

	json_array_foreach (versions, i, found) {
		const json_t *version = json_object_get(found, "version");

		if (find->json)
			output_list_add(&find->printed, found);
		find->width = MAX(find->width,
				  strlen(reply_string(version, "reference")));
	}
	if (find->json)
		return 0;
	json_array_foreach (versions, i, found) {
		const json_t *version = json_object_get(found, "version");

		if (find->name_only)
			printf("%s\n", reply_string(version, "reference"));
		else
			version_print_line(version, (int)find->width);
	}
	return 0;
}

/* "KEY=VALUE", or "KEY" for any value. */
static int add_label(json_t *labels, const char *word, struct err *err)
{
	if (strchr(word, '='))
		return target_add_label(labels, word, err);
	if (json_object_get(labels, word))
		return err_set(err, EINVAL, "label '%s' is given twice", word);
	return json_object_set_new(labels, word, json_null()) < 0 ? err_oom(err)
								  : 0;
}

static int add_labels(const struct args *a, json_t *request, struct err *err)
{
	_cleanup_(json_decrefp) json_t *labels = json_object();
	const char *word;
	int r = 0;

	for (size_t i = 0;
	     r == 0 && (word = args_value_at(a, "label", i)) != NULL; i++)
		r = add_label(labels, word, err);
	if (r == 0 && json_object_size(labels) &&
	    json_object_set(request, "labels", labels) < 0)
		r = err_oom(err);
	return r;
}

/* since counts from the start of what is meant, until to its end. */
static int add_times(const struct args *a, json_t *request, struct err *err)
{
	const char *since = args_value(a, "since");
	const char *until = args_value(a, "until");
	int64_t first = 0, last = 0, ignored, now = time(NULL);
	int r = 0;

	if (since)
		r = when_parse(since, now, &first, &ignored, err);
	if (r == 0 && until)
		r = when_parse(until, now, &ignored, &last, err);
	if (r == 0 && since && until && first > last)
		r = err_set(err, EINVAL, "--since %s is later than --until %s",
			    since, until);
	if (r < 0)
		return r;
	if ((since &&
	     json_object_set_new(request, "since", json_integer(first)) < 0) ||
	    (until &&
	     json_object_set_new(request, "until", json_integer(last)) < 0))
		return err_oom(err);
	return 0;
}

static int make_request(const struct args *a, json_t **ret, struct err *err)
{
	_cleanup_(json_decrefp) json_t *request = NULL;
	json_t *limit;
	int r = target_limit(a, &limit, err);

	if (r < 0)
		return r;
	request = json_pack("{s:s*, s:s*, s:o*}", "volume",
			    args_value(a, "volume"), "message",
			    args_value(a, "message"), "limit", limit);
	if (!request)
		return err_oom(err);
	if (json_object_set_new(request, "brief",
				json_boolean(!args_has(a, "json"))) < 0)
		return err_oom(err);
	r = add_labels(a, request, err);
	if (r == 0)
		r = add_times(a, request, err);
	if (r == 0)
		*ret = TAKE_PTR(request);
	return r;
}

static int run(struct tool *t, struct err *err)
{
	struct find find = {.json = t->json,
			    .name_only = args_has(&t->args, "name-only"),
			    .printed.name = "versions"};
	json_t *request;
	int r = make_request(&t->args, &request, err);

	if (r == 0)
		r = tool_call_each(t, "Find", request, on_versions, &find, err);
	if (r == 0 && t->json)
		output_list_end(&find.printed);
	return r;
}

const struct command command_find = {
	.name = "find",
	.summary = "Find versions of all volumes, newest first",
	.details =
		"All that is asked for must match. A version that several "
		"volumes have is told once.\nWHEN is a date (2026-11-21), a "
		"minute (\"2026-11-21 13:02\"), a second\n"
		"(2026-11-21T13:02:11Z), or an age (90s, 15m, 2h, 3d, 1w). "
		"When nothing matches\nnothing is printed, and the exit status "
		"is 0.\n",
	.options = options,
	.examples = examples,
	.run = run,
};
