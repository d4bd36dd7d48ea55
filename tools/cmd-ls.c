/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "entry-list.h"
#include "inside.h"
#include "listing.h"
#include "output.h"
#include "reply.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const struct args_option options[] = {
	{'l', "long", NULL,
	 "volumes with newest version, size, time, session and message; "
	 "files as `ls -l`"},
	{'R', "recursive", NULL, "with all that is below"},
	{0},
};

static const char *const examples[] = {
	"layerctl ls",
	"layerctl ls -l",
	"layerctl ls my-data@3",
	"layerctl ls -lR my-data:/etc",
	"layerctl ls --json | jq -r '.volumes[].name'",
	NULL,
};

static int add_volume(struct listing *l, const json_t *volume)
{
	char sequence[32], size[OUTPUT_SIZE_MAX], time[OUTPUT_TIME_MAX];
	const char *message = reply_string(volume, "message");
	_cleanup_free_ char *line = strndup(message, strcspn(message, "\n"));
	const char *const cells[] = {
		reply_string(volume, "name"),
		reply_optional(volume, "head") ? sequence : NULL,
		output_size(reply_size(volume, "size"), size),
		output_time(reply_optional(volume, "modified"), time),
		reply_optional(volume, "session"),
		line && *line ? line : NULL,
	};

	(void)snprintf(sequence, sizeof(sequence), "@%" PRIu64,
		       reply_size(volume, "sequence"));
	return listing_add(l, cells);
}

static int print_long(const json_t *volumes, struct err *err)
{
	static const struct listing_column columns[] = {
		{"NAME", .style = OUTPUT_NAME},
		{"NEWEST", .right = true},
		{"SIZE", .right = true},
		{"MODIFIED"},
		{"SESSION"},
		{"MESSAGE"},
	};
	_cleanup_listing_ struct listing l = LISTING_INIT(columns);
	json_t *volume;
	size_t i;

	json_array_foreach (volumes, i, volume) {
		if (add_volume(&l, volume) < 0)
			return err_oom(err);
	}
	listing_print(&l);
	return 0;
}

static int on_volumes(json_t *parameters, void *ctx)
{
	const json_t *volumes = json_object_get(parameters, "volumes");

	return json_is_array(volumes) &&
			       json_array_extend(ctx, (json_t *)volumes) < 0
		       ? -ENOMEM
		       : 0;
}

static int list_volumes(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *all = json_pack("{s:[]}", "volumes");
	json_t *volumes = json_object_get(all, "volumes");
	json_t *volume;
	size_t i;
	int r;

	if (!all)
		return err_oom(err);
	r = tool_call_each(t, "List", json_object(), on_volumes, volumes, err);
	if (r < 0)
		return r;
	if (t->json) {
		output_json(stdout, all);
		return 0;
	}
	if (args_has(&t->args, "long"))
		return print_long(volumes, err);
	json_array_foreach (volumes, i, volume) {
		printf("%s\n", reply_string(volume, "name"));
	}
	return 0;
}

static int list_place(struct tool *t, struct err *err)
{
	_cleanup_inside_ struct inside where = {0};
	struct entry_list list = {
		.json = t->json,
		.details = args_has(&t->args, "long"),
		.printed.name = "entries",
	};
	int r = inside_parse(t->args.operands[0], &where, err);

	if (r == 0)
		r = tool_call_each(
			t, "VersionEntries",
			json_pack("{s:s, s:O, s:b, s:b}", "reference",
				  where.reference, "path", where.path,
				  "recursive",
				  (int)args_has(&t->args, "recursive"), "brief",
				  (int)(!t->json && !list.details)),
			entry_list_add, &list, err);
	if (r == 0)
		entry_list_end(&list);
	return r;
}

static int run(struct tool *t, struct err *err)
{
	if (t->args.operands[0])
		return list_place(t, err);
	if (args_has(&t->args, "recursive"))
		return err_set(err, EINVAL,
			       "--recursive needs a REF to look into; `ls` "
			       "alone lists volumes");
	return list_volumes(t, err);
}

const struct command command_ls = {
	.name = "ls",
	.summary = "List volumes, or a directory of a version",
	.details =
		"Nothing is mounted. REF:PATH is a path in a version; behind "
		"a bare volume name it\nbegins with a slash.\n",
	.operands = {{"REF[:PATH]", .optional = true, .bytes = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
