/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "listing.h"
#include "output.h"
#include "reply.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>

static const struct args_option options[] = {
	{0, "move", NULL, "also when the tag stands for another version"},
	{'d', "delete", NULL, "take the tag NAME:TAG away"},
	{0},
};

static const char *const examples[] = {
	"layerctl tag my-data@3 stable",
	"layerctl tag --move my-data stable",
	"layerctl tag my-data",
	"layerctl tag --delete my-data:stable",
	NULL,
};

static int print_tags(const json_t *reply, struct err *err)
{
	static const struct listing_column columns[] = {
		{"TAG", .style = OUTPUT_NAME},
		{"VERSION"},
	};
	_cleanup_listing_ struct listing l = LISTING_INIT(columns);
	json_t *tag;
	size_t i;

	json_array_foreach (json_object_get(reply, "tags"), i, tag) {
		const char *const cells[] = {reply_string(tag, "name"),
					     reply_string(tag, "version")};

		if (listing_add(&l, cells) < 0)
			return err_oom(err);
	}
	listing_print(&l);
	return 0;
}

static int list_tags(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	int r = tool_call(t, "Tags",
			  json_pack("{s:s}", "volume", t->args.operands[0]),
			  &reply, err);

	if (r < 0)
		return r;
	if (!t->json)
		return print_tags(reply, err);
	output_json(stdout, reply);
	return 0;
}

static void print_deleted(const struct tool *t, const json_t *reply)
{
	tool_say(t, "%s is no tag any more; it was %.19s",
		 reply_string(reply, "reference"),
		 reply_string(reply, "version"));
}

static int delete_tag(struct tool *t, struct err *err)
{
	if (t->args.operands[1])
		return err_set(err, EINVAL,
			       "--delete takes one NAME:TAG and nothing else");
	return tool_run(t, "Untag",
			json_pack("{s:s}", "reference", t->args.operands[0]),
			-1, print_deleted, err);
}

static void print_set(const struct tool *t, const json_t *reply)
{
	const char *previous = reply_optional(reply, "previous");

	tool_say(t, "%s is %.19s%s%.19s", reply_string(reply, "reference"),
		 reply_string(reply, "version"), previous ? ", it was " : "",
		 previous ? previous : "");
}

static int set_tag(struct tool *t, struct err *err)
{
	return tool_run(t, "Tag",
			json_pack("{s:s, s:s, s:b}", "reference",
				  t->args.operands[0], "tag",
				  t->args.operands[1], "move",
				  (int)args_has(&t->args, "move")),
			-1, print_set, err);
}

static int run(struct tool *t, struct err *err)
{
	if (args_has(&t->args, "move") &&
	    (args_has(&t->args, "delete") || !t->args.operands[1]))
		return err_set(err, EINVAL,
			       "--move needs a TAG to move, and no --delete");
	if (args_has(&t->args, "delete"))
		return delete_tag(t, err);
	return t->args.operands[1] ? set_tag(t, err) : list_tags(t, err);
}

const struct command command_tag = {
	.name = "tag",
	.summary = "Give a version a name, or list a volume's tags",
	.details =
		"NAME:TAG is a reference from then on, and keeps its version "
		"from being removed.\nWithout TAG the tags of the volume REF "
		"are listed.\n",
	.operands = {{"REF"}, {"TAG", .optional = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
