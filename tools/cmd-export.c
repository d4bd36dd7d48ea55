/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "destination.h"
#include "inside.h"
#include "outfile.h"
#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"
#include "util/escape.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

static const struct args_option options[] = {
	{0, "tar", "FILE", "write one tarball; - is standard output (default)",
	 .bytes = true},
	{0, "oci", "DIR[:NAME]", "add an image to the OCI image layout in DIR",
	 .bytes = true},
	{0, "force", NULL, "replace FILE, or the image of that name"},
	{0},
};

static const char *const examples[] = {
	"layerctl export my-data | tar tv",
	"layerctl export my-data@3:results --tar results.tar",
	"layerctl export my-data --oci images:my-data && skopeo inspect "
	"oci:images:my-data",
	NULL,
};

/* `layerctl export X | head` ends as quietly as any writer does. */
static void end_without_reader(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	if (poll(&p, 1, 0) > 0 && p.revents & POLLERR)
		(void)raise(SIGPIPE);
}

static int call_tar(struct tool *t, const struct inside *where, int fd,
		    json_t **ret, struct err *err)
{
	int r = tool_call_long(t, "ExportTar",
			       json_pack("{s:s, s:O}", "reference",
					 where->reference, "path", where->path),
			       fd, ret, NULL, err);

	if (r < 0)
		end_without_reader(fd);
	return r;
}

static int to_output(struct tool *t, const struct inside *where,
		     struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;

	if (t->json)
		return err_set(err, EINVAL,
			       "standard output has the tarball, so there is "
			       "no room for JSON; use --tar FILE");
	if (isatty(STDOUT_FILENO))
		return err_set(err, EINVAL,
			       "a tarball is no text for a terminal; use --tar "
			       "FILE or `| tar tv`");
	return call_tar(t, where, STDOUT_FILENO, &reply, err);
}

static int to_file(struct tool *t, const struct inside *where, const char *path,
		   struct err *err)
{
	_cleanup_outfile_ struct outfile out = OUTFILE_INIT;
	_cleanup_(json_decrefp) json_t *reply = NULL;
	bool replace = args_has(&t->args, "force");
	char size[OUTPUT_SIZE_MAX], count[VERSION_COUNT_MAX];
	int r = outfile_open(path, replace, &out, err);

	if (r == 0)
		r = call_tar(t, where, out.fd, &reply, err);
	if (r == 0)
		r = outfile_publish(&out, replace, err);
	if (r < 0)
		return r;
	if (t->json)
		output_json(stdout, reply);
	tool_say(t, "%s exported to %s: %s, %s", t->args.operands[0], path,
		 version_count(reply_size(reply, "entries"), "name", count),
		 output_size(reply_size(reply, "size"), size));
	return 0;
}

/* What is behind the last colon is a name, unless it is part of a path. */
static int split_name(const char *word, char **ret_path, const char **ret_name,
		      struct err *err)
{
	const char *colon = strrchr(word, ':');

	if (colon && strchr(colon, '/'))
		colon = NULL;
	*ret_name = colon ? colon + 1 : NULL;
	if (*ret_name && !utf8_valid(*ret_name, strlen(*ret_name)))
		return err_set(err, EINVAL,
			       "the name of an image is not UTF-8");
	*ret_path =
		strndup(word, colon ? (size_t)(colon - word) : strlen(word));
	return *ret_path ? 0 : err_oom(err);
}

static int to_layout(struct tool *t, const struct inside *where,
		     const char *word, struct err *err)
{
	_cleanup_destination_ struct destination d = DESTINATION_INIT;
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_free_ char *path = NULL;
	char size[OUTPUT_SIZE_MAX], count[VERSION_COUNT_MAX];
	const char *name;
	int r;

	if (where->has_path && *json_string_value(where->path))
		return err_set(err, EINVAL,
			       "an image is a whole version; --tar exports a "
			       "part of one");
	r = split_name(word, &path, &name, err);
	if (r == 0)
		r = destination_open(path, &d, err);
	if (r == 0)
		r = tool_call_long(t, "ExportOci",
				   json_pack("{s:s, s:o, s:O*, s:s*, s:b}",
					     "reference", where->reference,
					     "to", target_path_json(path),
					     "name", d.name, "image", name,
					     "force",
					     args_has(&t->args, "force")),
				   d.fd, &reply, NULL, err);
	if (r < 0)
		return r;
	if (t->json)
		output_json(stdout, reply);
	tool_say(t, "%s exported to %s:%s: %s, %s", t->args.operands[0], path,
		 reply_string(reply, "image"),
		 version_count(reply_size(reply, "blobs"), "new blob", count),
		 output_size(reply_size(reply, "bytes"), size));
	return 0;
}

static int run(struct tool *t, struct err *err)
{
	const char *tar = args_value(&t->args, "tar");
	const char *oci = args_value(&t->args, "oci");
	_cleanup_inside_ struct inside where = {0};
	int r = inside_parse(t->args.operands[0], &where, err);

	if (r < 0)
		return r;
	if (tar && oci)
		return err_set(err, EINVAL,
			       "export writes a tarball or an image, one at a "
			       "time");
	if (oci)
		return to_layout(t, &where, oci, err);
	if (!tar || strcmp(tar, "-") == 0)
		return to_output(t, &where, err);
	return to_file(t, &where, tar, err);
}

const struct command command_export = {
	.name = "export",
	.summary = "Write a version as a tarball or an OCI image",
	.details =
		"The tarball is what a mount would show, in one piece: equal "
		"trees make equal\nbytes. A PATH becomes its root. The image "
		"has the version's layers as they are;\nit is named "
		"VOLUME-SEQUENCE unless NAME is given, and other images in DIR "
		"stay.\n\n"
		"In both, a name of yours that begins with \".wh.\" is "
		"\".wh..wh.esc.NAME\", which\nother tools do not show under "
		"its own name; import brings it back.\n",
	.operands = {{"REF[:PATH]", .bytes = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
