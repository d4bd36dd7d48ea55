/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"

#include "proto/attach.h"
#include "util/cleanup.h"

static const struct args_option options[] = {
	{0, "ro", NULL, "read-only, also of a bare volume name"},
	{'o', "options", "LIST", "as of mount(8): ro, noexec, nosuid, noatime",
	 .repeat = true},
	{0},
};

static const char *const examples[] = {
	"layerctl mount my-data",
	"layerctl mount my-data /srv/data",
	"layerctl mount my-data@3 /mnt/old",
	"layerctl mount --ro my-data /mnt/newest",
	"layerctl mount my-data /srv/data -o noexec,nosuid,noatime",
	NULL,
};

static int get_options(const struct args *a, struct mount_options *ret,
		       struct err *err)
{
	const char *list;
	int r = 0;

	*ret = MOUNT_OPTIONS_INIT;
	for (size_t i = 0; r == 0 && (list = args_value_at(a, "options", i));
	     i++)
		r = mount_options_parse(list, false, ret, err);
	if (args_has(a, "ro"))
		ret->readonly = true;
	return r;
}

static void print_result(const struct tool *t, const char *path,
			 const json_t *reply)
{
	const char *reference = t->args.operands[0];
	const char *source = reply_string(reply, "source");
	bool on = *source && strcmp(source, reference) != 0;

	tool_say(t, "%s mounted at %s, %s%s%s%s", reference, path,
		 reply_bool(reply, "readonly") ? "read-only" : "writable",
		 on ? ", on " : "", on ? source : "",
		 reply_bool(reply, "resumed")
			 ? ", with what its session had not sealed"
			 : "");
}

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	struct mount_options mount_options;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	r = get_options(&t->args, &mount_options, err);
	if (r == 0)
		r = attach_check(t->args.operands[1], &path, err);
	if (r < 0)
		return r;
	r = tool_call_long(
		t, "Mount",
		attach_parameters(t->args.operands[0], path, &mount_options),
		-1, &reply, &fd, err);
	if (r == 0)
		r = attach_reply(reply, &fd, t->args.operands[0], path,
				 &mount_options, err);
	if (r < 0)
		return r;
	if (t->json) {
		(void)json_object_set_new(reply, "path",
					  target_path_json(path));
		output_json(stdout, reply);
	}
	print_result(t, path, reply);
	return 0;
}

const struct command command_mount = {
	.name = "mount",
	.summary = "Mount a volume or a version",
	.details =
		"A bare volume name is mounted writable, on its newest "
		"version; what is written\nstays in a session until `layerctl "
		"commit` or `finalize` seals it. A version\n(NAME@SEQUENCE, "
		"NAME:TAG, a digest) is mounted read-only. PATH is "
		"/workspace\nunless it is given.\n",
	.operands = {{"REF"},
		     {"PATH", .optional = true, .bytes = true,
		      .kinds = ARGS_DIRECTORY}},
	.options = options,
	.examples = examples,
	.run = run,
};
