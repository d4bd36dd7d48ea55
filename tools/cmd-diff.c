/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "content-diff.h"
#include "inside.h"
#include "output.h"
#include "reply.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const struct args_option options[] = {
	{0, "stat", NULL, "how much was added, removed and changed"},
	{0, "name-only", NULL, "only the names, one a line"},
	{0, "content", NULL, "with the lines that differ, as `diff -u`"},
	{0, "no-renames", NULL, "a moved file is removed and added"},
	{0},
};

static const char *const examples[] = {
	"layerctl diff my-data@1 my-data@2",
	"layerctl diff my-data@1:/etc my-data",
	"layerctl diff --content my-data@1:/etc/hosts my-data",
	"layerctl diff --json my-data@1 my-data | jq '.differences | length'",
	NULL,
};

enum {
	ADDED,
	REMOVED,
	CHANGED,
	RENAMED,
	KINDS
};

static const struct kind {
	const char *name;
	char letter;
} kinds[KINDS] = {
	[ADDED] = {"added", 'A'},
	[REMOVED] = {"removed", 'D'},
	[CHANGED] = {"changed", 'M'},
	[RENAMED] = {"renamed", 'R'},
};

struct diff {
	struct tool *tool;
	const char *from, *to;
	json_t *all; /* NULL: print them as they come */
	bool stat, names, content;
	uint64_t count[KINDS];
	uint64_t bytes_before, bytes_after; /* of files that differ */
	struct err *err;
};

static int kind_of(const json_t *d)
{
	const char *name = reply_string(d, "kind");

	for (int i = 0; i < KINDS; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return i;
	return CHANGED;
}

static void print_path(const json_t *d, const char *key)
{
	const char *path = reply_string(d, key);
	bool directory = strcmp(reply_string(d, "after"), "directory") == 0 ||
			 (!reply_optional(d, "after") &&
			  strcmp(reply_string(d, "before"), "directory") == 0);

	(void)output_text(stdout, *path ? path : ".", *path ? strlen(path) : 1);
	if (directory)
		putchar('/');
}

static void print_what(const json_t *d)
{
	const json_t *what = json_object_get(d, "what");
	json_t *word;
	size_t i;

	json_array_foreach (what, i, word) {
		printf("%s%s", i ? ", " : "  (", json_string_value(word));
	}
	if (json_array_size(what))
		putchar(')');
}

static void print_line(const json_t *d, int kind)
{
	printf("%c  ", kinds[kind].letter);
	if (kind == RENAMED) {
		print_path(d, "from");
		fputs(" -> ", stdout);
	}
	print_path(d, "path");
	output_style(OUTPUT_DIM);
	print_what(d);
	output_style(OUTPUT_PLAIN);
	putchar('\n');
}

static int show(struct diff *diff, const json_t *d, int kind)
{
	if (diff->stat)
		return 0;
	if (diff->names) {
		print_path(d, "path");
		putchar('\n');
		return 0;
	}
	print_line(d, kind);
	return 0;
}

static int on_differences(json_t *parameters, void *ctx)
{
	const json_t *list = json_object_get(parameters, "differences");
	struct diff *diff = ctx;
	json_t *d;
	size_t i;
	int r = 0;

	json_array_foreach (list, i, d) {
		int kind = kind_of(d);

		diff->count[kind]++;
		diff->bytes_before += reply_size(d, "size_before");
		diff->bytes_after += reply_size(d, "size_after");
		if (diff->all)
			r = json_array_append(diff->all, d) < 0 ? -ENOMEM : 0;
		else
			r = show(diff, d, kind);
		if (r < 0)
			return r;
	}
	return 0;
}

static void print_stat(const struct diff *diff)
{
	char before[OUTPUT_SIZE_MAX], after[OUTPUT_SIZE_MAX];
	bool any = false;

	for (int i = 0; i < KINDS; i++) {
		if (!diff->count[i])
			continue;
		printf("%s%" PRIu64 " %s", any ? ", " : "", diff->count[i],
		       kinds[i].name);
		any = true;
	}
	if (!any) {
		puts("no differences");
		return;
	}
	printf("; %s became %s\n", output_size(diff->bytes_before, before),
	       output_size(diff->bytes_after, after));
}

/* The files themselves, once the list is there: another call needs the
 * connection. */
static int show_contents(struct diff *diff, struct err *err)
{
	json_t *d;
	size_t i;
	int r = 0;

	json_array_foreach (diff->all, i, d) {
		print_line(d, kind_of(d));
		r = content_diff(diff->tool, diff->from, diff->to, d, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int call(struct diff *diff, const json_t *path, struct err *err)
{
	const struct args *a = &diff->tool->args;
	int r = tool_call_each(diff->tool, "Diff",
			       json_pack("{s:s, s:s, s:O, s:b}", "from",
					 diff->from, "to", diff->to, "path",
					 path, "renames",
					 (int)!args_has(a, "no-renames")),
			       on_differences, diff, err);

	if (r < 0)
		return r;
	if (diff->content)
		return show_contents(diff, err);
	if (diff->stat && !diff->tool->json)
		print_stat(diff);
	return 0;
}

static int check_places(const struct inside *from, const struct inside *to,
			struct err *err)
{
	if (!to->has_path || json_equal(from->path, to->path))
		return 0;
	return err_set(err, EINVAL,
		       "the two places are at different paths; give the path "
		       "once, behind the first reference");
}

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_inside_ struct inside from = {0};
	_cleanup_inside_ struct inside to = {0};
	struct diff diff = {.tool = t,
			    .stat = args_has(&t->args, "stat"),
			    .names = args_has(&t->args, "name-only"),
			    .content =
				    args_has(&t->args, "content") && !t->json};
	int r = inside_parse(t->args.operands[0], &from, err);

	if (r == 0)
		r = inside_parse(t->args.operands[1], &to, err);
	if (r == 0)
		r = check_places(&from, &to, err);
	if (r < 0)
		return r;
	diff.from = from.reference;
	diff.to = to.reference;
	if (t->json || diff.content) {
		reply = json_pack("{s:[]}", "differences");
		if (!reply)
			return err_oom(err);
		diff.all = json_object_get(reply, "differences");
	}
	r = call(&diff, from.path, err);
	if (r == 0 && t->json)
		output_json(stdout, reply);
	return r;
}

const struct command command_diff = {
	.name = "diff",
	.summary = "Show what differs between two versions",
	.details = "A added, D removed, M changed (and what of it), R renamed. "
		   "Indexes are compared,\nnot files, so it is quick however "
		   "large the versions are. A path behind the first\nreference "
		   "restricts both.\n",
	.operands = {{"REF[:PATH]", .bytes = true}, {"REF", .bytes = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
