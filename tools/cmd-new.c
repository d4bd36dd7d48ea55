/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>

static const struct args_option options[] = {
	{0, "from", "DIR", "seal what is in DIR as the first version",
	 .bytes = true},
	{'m', "message", "MESSAGE", "what the first version is"},
	{0, "label", "K=V", "a label of the first version", .repeat = true},
	{0},
};

static const char *const examples[] = {
	"layerctl new my-data",
	"layerctl new my-data --from /usr/share -m 'as installed'",
	"layerctl new model --from ./weights --label stage=raw",
	NULL,
};

static int open_directory(const char *path, int *ret, struct err *err)
{
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret >= 0)
		return 0;
	if (errno == ENOENT)
		return err_set(err, ENOENT, "%s does not exist", path);
	if (errno == ENOTDIR)
		return err_set(err, EINVAL, "%s is not a directory", path);
	return err_errno(err, errno, "cannot open %s", path);
}

static void print_result(const struct tool *t, const json_t *reply)
{
	const json_t *version = json_object_get(reply, "version");
	char size[OUTPUT_SIZE_MAX], count[VERSION_COUNT_MAX];

	if (!json_is_object(version)) {
		tool_say(t, "%s made, empty", reply_string(reply, "volume"));
		return;
	}
	tool_say(t, "%s sealed: %s, %s", reply_string(version, "reference"),
		 version_count(reply_size(version, "changed"), "file", count),
		 output_size(reply_size(version, "added"), size));
}

static int run(struct tool *t, struct err *err)
{
	const char *from = args_value(&t->args, "from");
	const char *message = args_value(&t->args, "message");
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	json_t *labels;
	int r = 0;

	if (!from && (message || args_has(&t->args, "label")))
		return err_set(err, EINVAL,
			       "a message or label is a version's, and without "
			       "--from DIR there will be none yet");
	if (from)
		r = open_directory(from, &fd, err);
	if (r == 0 && from)
		r = target_resolve(from, &path, err);
	if (r == 0)
		r = target_labels(&t->args, &labels, err);
	if (r < 0)
		return r;
	r = tool_call_long(t, "New",
			   json_pack("{s:s, s:o*, s:s*, s:o*}", "name",
				     t->args.operands[0], "from",
				     path ? target_path_json(path) : NULL,
				     "message", message, "labels", labels),
			   fd, &reply, NULL, err);
	if (r < 0)
		return r;
	if (t->json)
		output_json(stdout, reply);
	print_result(t, reply);
	return 0;
}

const struct command command_new = {
	.name = "new",
	.summary = "Make a volume",
	.details = "The volume is empty, or its first version holds a copy of "
		   "DIR, which is left as it is.\n",
	.operands = {{"NAME", .kinds = ARGS_NOTHING}},
	.options = options,
	.examples = examples,
	.run = run,
};
