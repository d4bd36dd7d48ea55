/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "attach.h"
#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>

static const struct args_option options[] = {
	{0, "ro", NULL, "read-only, also of a bare volume name"},
	{0},
};

static const char *const examples[] = {
	"layerctl mount my-data",
	"layerctl mount my-data /srv/data",
	"layerctl mount my-data@3 /mnt/old",
	"layerctl mount --ro my-data /mnt/newest",
	NULL,
};

/* A session that cannot be attached is kept: by now somebody else may have
 * taken it up. */
static int attach_reply(struct tool *t, int *fd, const char *path,
			const json_t *reply, struct err *err)
{
	const char *volume = t->args.operands[0];
	int r;

	if (*fd < 0)
		return err_set(err, EBADMSG,
			       "the daemon's answer has no mount in it");
	r = attach(*fd, path, err);
	/* It would keep the mount busy. */
	closep(fd);
	if (r < 0 && reply_optional(reply, "session"))
		return err_prefix(err, r,
				  "the session of %s is there but detached "
				  "(`layerctl mount %s` takes it up)",
				  volume, volume);
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
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	r = attach_check(t->args.operands[1], &path, err);
	if (r < 0)
		return r;
	r = tool_call_long(t, "Mount",
			   json_pack("{s:s, s:o, s:b}", "reference",
				     t->args.operands[0], "path",
				     target_path_json(path), "readonly",
				     (int)args_has(&t->args, "ro")),
			   -1, &reply, &fd, err);
	if (r == 0)
		r = attach_reply(t, &fd, path, reply, err);
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
