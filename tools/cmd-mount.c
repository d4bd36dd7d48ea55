/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "mount-exec.h"
#include "output.h"
#include "reply.h"
#include "seal.h"
#include "target.h"
#include "tool.h"

#include "proto/attach.h"
#include "util/cleanup.h"

static const struct args_option options[] = {
	{0, "ro", NULL, "read-only, also of a bare volume name"},
	{'o', "options", "LIST", "as of mount(8): ro, noexec, nosuid, noatime",
	 .repeat = true},
	{0, "exec", NULL, "run COMMAND there, seal, unmount"},
	SEAL_OPTION_MESSAGE,
	SEAL_OPTION_LABEL,
	{0, "on-failure", "ACTION",
	 "of COMMAND: keep (default), discard, seal"},
	{0},
};

static const char *const examples[] = {
	"layerctl mount my-data",
	"layerctl mount my-data /srv/data",
	"layerctl mount my-data@3 /mnt/old",
	"layerctl mount --ro my-data /mnt/newest",
	"layerctl mount my-data /srv/data -o noexec,nosuid,noatime",
	"layerctl mount my-data --exec -m 'nightly run' -- make -j8 all",
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

/* Everything but the words about it. */
static int mount_reference(struct tool *t, const struct mount_options *how,
			   char **ret_path, json_t **ret_reply, struct err *err)
{
	const char *reference = t->args.operands[0];
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	r = attach_check(t->args.operands[1], &path, err);
	if (r < 0)
		return r;
	r = tool_call_long(t, "Mount", attach_parameters(reference, path, how),
			   -1, &reply, &fd, err);
	if (r == 0 && args_has(&t->args, "exec"))
		r = mount_exec_check(t, reply_bool(reply, "readonly"), err);
	if (r == 0)
		r = attach_reply(reply, &fd, reference, path, how, err);
	if (r < 0)
		return r;
	*ret_path = TAKE_PTR(path);
	*ret_reply = TAKE_PTR(reply);
	return 0;
}

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	bool exec = args_has(&t->args, "exec");
	struct mount_options mount_options;
	_cleanup_free_ char *path = NULL;
	int r;

	r = get_options(&t->args, &mount_options, err);
	if (r == 0)
		r = mount_exec_check(t, mount_options.readonly, err);
	if (r == 0 && exec)
		r = mount_exec_prepare(t, err);
	if (r == 0)
		r = mount_reference(t, &mount_options, &path, &reply, err);
	if (r < 0)
		return r;
	if (t->json && !exec) {
		(void)json_object_set_new(reply, "path",
					  target_path_json(path));
		output_json(stdout, reply);
	}
	print_result(t, path, reply);
	return exec ? mount_exec(t, path, reply, err) : 0;
}

const struct command command_mount = {
	.name = "mount",
	.summary = "Mount a volume or a version",
	.details =
		"A bare volume name is mounted writable, on its newest "
		"version; what is written\nstays in a session until `layerctl "
		"commit` or `finalize` seals it. A version\n(NAME@SEQUENCE, "
		"NAME:TAG, a digest) is mounted read-only. PATH is "
		"/workspace\nunless it is given.\n\n"
		"With --exec, COMMAND runs in the mounted directory, which "
		"nobody else sees, with\nLAYERD_VOLUME (REF) and LAYERD_PATH "
		"in its environment. When it ends with\nstatus 0, what it "
		"wrote is sealed and the session ends; otherwise "
		"--on-failure\ndecides: keep leaves the session, detached, "
		"discard ends it, seal seals all the\nsame. The exit status "
		"is that of COMMAND, 128 and the number of a signal that\n"
		"killed it, 126 or 127 when it could not be run, or layerctl's "
		"own.\n",
	.operands = {{"REF"},
		     {"PATH", .optional = true, .bytes = true,
		      .kinds = ARGS_DIRECTORY}},
	.tail = "COMMAND [ARGUMENT]...",
	.options = options,
	.examples = examples,
	.run = run,
};
