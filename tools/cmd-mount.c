/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "attach.h"
#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>
#include <sys/stat.h>

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

static json_t *undo_target(const char *path, dev_t device, const json_t *reply,
			   const char *reference)
{
	if (reply_optional(reply, "session"))
		return json_pack("{s:s}", "volume", reference);
	return json_pack("{s:o, s:I}", "path", target_path_json(path), "device",
			 (json_int_t)device);
}

/* Tells the daemon that its mount was not attached. A session that was made for
 * it holds nothing; one that was taken up again keeps its data. */
static void undo(struct tool *t, const char *path, dev_t device,
		 const json_t *reply)
{
	_cleanup_(json_decrefp) json_t *answer = NULL;
	bool made = reply_optional(reply, "session") &&
		    !reply_bool(reply, "resumed");
	json_t *target = undo_target(path, device, reply, t->args.operands[0]);

	/* The failure that is reported is the first one. */
	(void)tool_call(
		t, "Unmount",
		json_pack("{s:o, s:b}", "target", target, "discard", (int)made),
		&answer, NULL);
}

static int attach_or_undo(struct tool *t, int *fd, const char *path,
			  const json_t *reply, struct err *err)
{
	struct stat st;
	int r;

	if (*fd < 0)
		return err_set(err, EBADMSG,
			       "the daemon's answer has no mount in it");
	if (fstat(*fd, &st) < 0)
		return err_errno(err, errno, "cannot look at the new mount");
	r = attach(*fd, path, err);
	/* It would keep the mount busy. */
	closep(fd);
	if (r < 0)
		undo(t, path, st.st_dev, reply);
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
		r = attach_or_undo(t, &fd, path, reply, err);
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
	.operands = {{"REF"}, {"PATH", .optional = true, .bytes = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
