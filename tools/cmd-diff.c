/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "content-diff.h"
#include "inside.h"
#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
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
	"layerctl diff /workspace",
	"layerctl diff my-data@1 /workspace",
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

/* What is compared: a version, or a live mount. */
struct side {
	struct inside inside; /* of a version */
	json_t *target;	      /* of a live mount, else NULL */
	const char *label;
};

struct diff {
	struct tool *tool;
	struct side sides[2];
	const json_t *path;
	char sealed[96]; /* what a live mount is compared with; "": nothing */
	struct output_list printed; /* as JSON */
	FILE *kept; /* for --content: n_kept JSON texts, one a line */
	uint64_t n_kept;
	bool json, stat, names, content;
	uint64_t count[KINDS];
	uint64_t bytes_before, bytes_after; /* of files that differ */
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

static void show(const struct diff *diff, const json_t *d, int kind)
{
	if (!diff->names) {
		print_line(d, kind);
		return;
	}
	print_path(d, "path");
	putchar('\n');
}

/* What cannot be written is missed when it is read. */
static void keep(struct diff *diff, const json_t *d)
{
	(void)json_dumpf(d, diff->kept, JSON_COMPACT);
	(void)fputc('\n', diff->kept);
	diff->n_kept++;
}

static int on_differences(json_t *parameters, void *ctx)
{
	const json_t *list = json_object_get(parameters, "differences");
	struct diff *diff = ctx;
	json_t *d;
	size_t i;

	json_array_foreach (list, i, d) {
		int kind = kind_of(d);

		diff->count[kind]++;
		diff->bytes_before += reply_size(d, "size_before");
		diff->bytes_after += reply_size(d, "size_after");
		if (diff->json)
			output_list_add(&diff->printed, d);
		else if (diff->kept)
			keep(diff, d);
		else if (!diff->stat)
			show(diff, d, kind);
	}
	(void)snprintf(diff->sealed, sizeof(diff->sealed), "%s",
		       reply_string(parameters, "sealed"));
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

/* NULL for a live mount, and for the version that it was sealed as. */
static const char *reference_of(const struct side *s)
{
	return s->target ? NULL : s->inside.reference;
}

/* The files themselves, once the list is there: another call needs the
 * connection. */
static int show_contents(struct diff *diff, struct err *err)
{
	char sealed[VERSION_SHORT_MAX];
	struct content_side sides[2];
	int r = 0;

	for (size_t i = 0; i < 2; i++) {
		const struct side *s = &diff->sides[i];
		const char *reference = reference_of(s);

		sides[i] = (struct content_side){
			reference, s->target, s->target ? s->label : reference};
		if (!reference && !s->target)
			sides[i] = (struct content_side){
				diff->sealed, NULL,
				version_short(diff->sealed, sealed)};
	}
	rewind(diff->kept);
	for (uint64_t n = 0; r == 0 && n < diff->n_kept; n++) {
		_cleanup_(json_decrefp) json_t *d =
			json_loadf(diff->kept, JSON_DISABLE_EOF_CHECK, NULL);

		if (!d)
			return err_set(err, EIO,
				       "the list of differences, a temporary "
				       "file in %s, cannot be written or read; "
				       "make room there",
				       P_tmpdir);
		print_line(d, kind_of(d));
		r = content_diff(diff->tool, sides, d, err);
	}
	return r;
}

static int call(struct diff *diff, struct err *err)
{
	const struct args *a = &diff->tool->args;
	const struct side *from = &diff->sides[0], *to = &diff->sides[1];
	json_t *target = from->target ? from->target : to->target;
	int r = tool_call_each(diff->tool, "Diff",
			       json_pack("{s:s?, s:s?, s:O?, s:O?, s:b}",
					 "from", reference_of(from), "to",
					 reference_of(to), "target", target,
					 "path", diff->path, "renames",
					 (int)!args_has(a, "no-renames")),
			       on_differences, diff, err);

	if (r < 0)
		return r;
	if (diff->content)
		return show_contents(diff, err);
	if (diff->stat)
		print_stat(diff);
	return 0;
}

static int parse_side(const char *word, struct side *ret, struct err *err)
{
	ret->label = word;
	if (target_is_place(word))
		return target_make(word, &ret->target, err);
	return inside_parse(word, &ret->inside, err);
}

/* NAME[:PATH] alone stands for the session of the volume NAME. */
static int make_live(struct side *s, struct err *err)
{
	const char *name = s->inside.reference;

	if (s->target)
		return 0;
	if (strpbrk(name, "@:"))
		return err_set(err, EINVAL,
			       "%s is a version; name another one, or a mount, "
			       "to compare it with",
			       name);
	s->target = json_pack("{s:s}", "volume", name);
	s->label = name;
	return s->target ? 0 : err_oom(err);
}

static int choose_path(struct diff *diff, struct err *err)
{
	const struct side *from = &diff->sides[0], *to = &diff->sides[1];

	diff->path = from->inside.path ? from->inside.path : to->inside.path;
	if (from->target || to->target || !to->inside.has_path ||
	    json_equal(from->inside.path, to->inside.path))
		return 0;
	return err_set(err, EINVAL,
		       "the two places are at different paths; give the path "
		       "once, behind the first reference");
}

static int parse_sides(struct diff *diff, const char *const *operands,
		       struct err *err)
{
	struct side *from = &diff->sides[0], *to = &diff->sides[1];
	int r;

	if (!operands[1]) {
		r = parse_side(operands[0], to, err);
		if (r == 0)
			r = make_live(to, err);
	} else {
		r = parse_side(operands[0], from, err);
		if (r == 0)
			r = parse_side(operands[1], to, err);
		if (r == 0 && from->target && to->target)
			r = err_set(err, EINVAL,
				    "two mounts cannot be compared; commit one "
				    "and name its version");
	}
	return r < 0 ? r : choose_path(diff, err);
}

/* What would be ignored is refused. */
static int check_options(const struct tool *t, struct err *err)
{
	static const char *const forms[] = {"stat", "name-only", "content"};
	const char *given = t->json ? "json" : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (!args_has(&t->args, forms[i]))
			continue;
		if (given)
			return err_set(err, EINVAL,
				       "--%s and --%s cannot both be had; give "
				       "one of them",
				       given, forms[i]);
		given = forms[i];
	}
	return 0;
}

static void release(struct diff *diff)
{
	for (size_t i = 0; i < 2; i++) {
		inside_release(&diff->sides[i].inside);
		json_decref(diff->sides[i].target);
	}
}

static int compare(struct diff *diff, struct err *err)
{
	int r;

	if (diff->content) {
		diff->kept = tmpfile();
		if (!diff->kept)
			return err_errno(err, errno,
					 "cannot make a temporary file in %s",
					 P_tmpdir);
		/* Not for what compares two files. */
		(void)fcntl(fileno(diff->kept), F_SETFD, FD_CLOEXEC);
	}
	r = call(diff, err);
	if (r == 0 && diff->json)
		output_list_end(&diff->printed);
	if (diff->kept)
		(void)fclose(diff->kept);
	return r;
}

static int run(struct tool *t, struct err *err)
{
	struct diff diff = {.tool = t,
			    .printed.name = "differences",
			    .json = t->json,
			    .stat = args_has(&t->args, "stat"),
			    .names = args_has(&t->args, "name-only"),
			    .content = args_has(&t->args, "content")};
	int r = check_options(t, err);

	if (r == 0)
		r = parse_sides(&diff, t->args.operands, err);
	if (r == 0)
		r = compare(&diff, err);
	release(&diff);
	return r;
}

const struct command command_diff = {
	.name = "diff",
	.summary = "Show what differs between two versions, or what a mount "
		   "changed",
	.details = "A added, D removed, M changed (and what of it), R renamed. "
		   "A PATH is a mount as it\nis now, or a place in it; alone, "
		   "like a volume's NAME alone, it is compared with\nwhat was "
		   "committed last. Of versions the indexes are compared, not "
		   "files; of a\nmount what was written is looked at. A path "
		   "behind a reference restricts both.\n",
	.operands = {{"REF[:PATH]|PATH", .bytes = true},
		     {"REF|PATH", .optional = true, .bytes = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
