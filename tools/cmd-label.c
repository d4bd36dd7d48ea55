/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "listing.h"
#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>

static const struct args_option options[] = {
	{'d', "delete", NULL, "take the labels with these keys away"},
	{0},
};

static const char *const examples[] = {
	"layerctl label my-data@3 best=true accuracy=0.93",
	"layerctl label my-data@3",
	"layerctl label --delete my-data@3 best",
	NULL,
};

static int print_labels(const json_t *version, struct err *err)
{
	static const struct listing_column columns[] = {
		{"KEY", .style = OUTPUT_NAME},
		{"VALUE"},
	};
	_cleanup_listing_ struct listing l = LISTING_INIT(columns);
	json_t *value;
	const char *key;

	json_object_foreach (json_object_get(version, "labels"), key, value) {
		const char *const cells[] = {key, json_string_value(value)};

		if (listing_add(&l, cells) < 0)
			return err_oom(err);
	}
	listing_print(&l);
	return 0;
}

static int list_labels(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	const json_t *version;
	int r = tool_call(t, "Show",
			  json_pack("{s:s}", "reference", t->args.operands[0]),
			  &reply, err);

	if (r < 0)
		return r;
	version = json_object_get(reply, "version");
	if (!t->json)
		return print_labels(version, err);
	output_json(stdout, reply);
	return 0;
}

/* The words as a list of keys or as an object, whose members they set. */
static int take_words(const struct args *a, bool delete, json_t **ret,
		      struct err *err)
{
	_cleanup_(json_decrefp) json_t *all =
		delete ? json_array() : json_object();
	int r = all ? 0 : err_oom(err);

	for (size_t i = 0; r == 0 && i < a->n_repeated; i++)
		if (!delete)
			r = target_add_label(all, a->repeated[i], err);
		else if (json_array_append_new(all,
					       json_string(a->repeated[i])) < 0)
			r = err_oom(err);
	if (r == 0)
		*ret = TAKE_PTR(all);
	return r;
}

static void print_change(const struct tool *t, const json_t *reply)
{
	tool_say(t, "%s: labels %s",
		 reply_string(json_object_get(reply, "version"), "reference"),
		 args_has(&t->args, "delete") ? "removed" : "set");
}

static int change_labels(struct tool *t, bool delete, struct err *err)
{
	json_t *words;
	int r = take_words(&t->args, delete, &words, err);

	if (r < 0)
		return r;
	return tool_run(t, "Label",
			json_pack("{s:s, s:o}", "reference",
				  t->args.operands[0],
				  delete ? "remove" : "labels", words),
			-1, print_change, err);
}

static int run(struct tool *t, struct err *err)
{
	bool delete = args_has(&t->args, "delete");

	if (delete &&!t->args.n_repeated)
		return err_set(err, EINVAL,
			       "--delete needs the keys of labels");
	return t->args.n_repeated ? change_labels(t, delete, err)
				  : list_labels(t, err);
}

const struct command command_label = {
	.name = "label",
	.summary = "Label a version, or list its labels",
	.details =
		"A version never changes: its volume keeps what is added to "
		"the labels it was sealed\nwith, or taken from them. A fork "
		"begins with the labels from the seal. Without\nKEY=VALUE the "
		"labels of REF are listed.\n",
	.operands = {{"REF"}, {"KEY=VALUE", .optional = true, .repeat = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
