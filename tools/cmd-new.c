/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"
#include "util/escape.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const struct args_option options[] = {
	{0, "from", "FROM", "a directory, an archive, or - for standard input",
	 .bytes = true, .kinds = ARGS_FILE},
	{'m', "message", "MESSAGE", "what the first version is"},
	{0, "label", "K=V", "a label of the first version", .repeat = true},
	{0},
};

static const char *const examples[] = {
	"layerctl new my-data",
	"layerctl new my-data --from /usr/share -m 'as installed'",
	"layerctl new model --from ./weights --label stage=raw",
	"layerctl new site --from site.tar.gz",
	"git archive HEAD | layerctl new sources --from -",
	"docker save debian | layerctl new debian-image --from -",
	NULL,
};

/* What the first version is made from. */
struct from {
	int fd;
	json_t *name; /* for the daemon's sentences */
	char *message;
};

static void from_release(struct from *f)
{
	closep(&f->fd);
	json_decref(f->name);
	free(f->message);
}

static bool is_volume(struct tool *t, const char *word)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;

	return utf8_valid(word, strlen(word)) &&
	       tool_call(t, "Show", json_pack("{s:s}", "reference", word),
			 &reply, NULL) == 0;
}

static int open_path(struct tool *t, const char *path, int *ret,
		     struct err *err)
{
	*ret = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (*ret >= 0)
		return 0;
	if (errno != ENOENT)
		return err_errno(err, errno, "cannot open %s", path);
	if (is_volume(t, path))
		return err_set(err, ENOENT,
			       "there is no file %s; \"layerctl fork %s %s\" "
			       "makes a volume from that version",
			       path, path, t->args.operands[0]);
	return err_set(err, ENOENT, "%s does not exist", path);
}

static int open_input(struct from *f, struct err *err)
{
	if (isatty(STDIN_FILENO))
		return err_set(err, EINVAL,
			       "standard input is a terminal; redirect an "
			       "archive into it, or name a file");
	f->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (f->fd < 0)
		return err_errno(err, errno, "cannot read standard input");
	f->name = json_string("standard input");
	return f->name ? 0 : err_oom(err);
}

/* Of an archive the version tells where it is from. */
static int make_message(const char *from, struct from *f, struct err *err)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return err_errno(err, errno, "cannot look at %s", from);
	if (S_ISDIR(st.st_mode))
		return 0;
	return asprintf(&f->message, "imported from %s",
			json_string_value(f->name)) < 0
		       ? err_oom(err)
		       : 0;
}

static int open_from(struct tool *t, const char *from, struct from *ret,
		     struct err *err)
{
	int r = strcmp(from, "-") == 0 ? open_input(ret, err)
				       : open_path(t, from, &ret->fd, err);

	if (r == 0 && !ret->name) {
		ret->name = target_path_json(from);
		r = ret->name ? 0 : err_oom(err);
	}
	return r < 0 ? r : make_message(from, ret, err);
}

static void say_archive(const struct tool *t, const json_t *archive)
{
	const char *compression = reply_optional(archive, "compression");
	const char *format = reply_string(archive, "format");

	if (json_is_true(json_object_get(archive, "converted")))
		tool_say(t, "the %s archive was converted into a tarball%s",
			 format,
			 strcmp(format, "tar") == 0
				 ? ": its holes are more than an index can have"
				 : "");
	else
		tool_say(t, "the %s%star archive is kept byte for byte",
			 compression ? compression : "",
			 compression ? "-compressed " : "");
}

static void print_result(const struct tool *t, const json_t *reply)
{
	const json_t *version = json_object_get(reply, "version");
	const json_t *archive = json_object_get(reply, "archive");
	char size[OUTPUT_SIZE_MAX], count[VERSION_COUNT_MAX];

	if (!json_is_object(version)) {
		tool_say(t, "%s made, empty", reply_string(reply, "volume"));
		return;
	}
	tool_say(t, "%s sealed: %s, %s", reply_string(version, "reference"),
		 version_count(reply_size(version, "changed"), "file", count),
		 output_size(reply_size(version, "added"), size));
	if (json_is_object(archive))
		say_archive(t, archive);
}

static int run(struct tool *t, struct err *err)
{
	const char *from = args_value(&t->args, "from");
	const char *message = args_value(&t->args, "message");
	_cleanup_(from_release) struct from f = {.fd = -1};
	json_t *labels;
	int r = 0;

	if (!from && (message || args_has(&t->args, "label")))
		return err_set(err, EINVAL,
			       "a message or label is a version's, and without "
			       "--from there will be none yet");
	if (from)
		r = open_from(t, from, &f, err);
	if (r == 0)
		r = target_labels(&t->args, &labels, err);
	if (r < 0)
		return r;
	return tool_run(t, "New",
			json_pack("{s:s, s:O*, s:s*, s:o*}", "name",
				  t->args.operands[0], "from", f.name,
				  "message", message ? message : f.message,
				  "labels", labels),
			f.fd, print_result, err);
}

const struct command command_new = {
	.name = "new",
	.summary = "Make a volume",
	.details =
		"The volume is empty, or its first version holds what is in "
		"FROM: a copy of a\n"
		"directory, or an archive as tar, cpio, docker save, git "
		"archive and npm pack\n"
		"write them, plain or compressed with gzip, bzip2, xz, zstd or "
		"lz4. A tarball is\n"
		"kept as it is, byte for byte. Files named .wh.* in it hide "
		"what they name, as\n"
		"in container images.\n",
	.operands = {{"NAME", .kinds = ARGS_NOTHING}},
	.options = options,
	.examples = examples,
	.run = run,
};
