/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "entry-data.h"
#include "inside.h"
#include "output.h"
#include "reply.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

static const char *const examples[] = {
	"layerctl cat my-data:/etc/hostname",
	"layerctl cat my-data@3:results.csv | head",
	"layerctl cat my-data:stable:notes --json | jq .size",
	NULL,
};

static int check_file(const struct inside *where, const json_t *entry,
		      struct err *err)
{
	const char *kind = reply_string(entry, "kind");
	const char *path = json_string_value(where->path);

	if (strcmp(kind, "file") == 0)
		return 0;
	if (strcmp(kind, "symlink") == 0)
		return err_set(err, EINVAL, "%s is a symbolic link to %s", path,
			       reply_string(entry, "target"));
	if (strcmp(kind, "directory") == 0)
		return err_set(err, EISDIR,
			       "%s is a directory; `layerctl ls %s:/%s` lists "
			       "it",
			       *path ? path : "/", where->reference, path);
	return err_set(err, EINVAL, "%s is a %s, not a file", path, kind);
}

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_inside_ struct inside where = {0};
	_cleanup_close_ int fd = -1;
	const json_t *entry;
	int r = inside_parse(t->args.operands[0], &where, err);

	if (r == 0 && !where.has_path)
		r = err_set(err, EINVAL,
			    "%s has no path in it; `layerctl cat %s:/PATH` "
			    "writes a file",
			    where.reference, where.reference);
	if (r == 0)
		r = tool_call_long(t, "VersionFile",
				   json_pack("{s:s, s:O}", "reference",
					     where.reference, "path",
					     where.path),
				   -1, &reply, &fd, err);
	if (r < 0)
		return r;
	entry = json_object_get(reply, "entry");
	if (t->json) {
		output_json(stdout, entry);
		return 0;
	}
	r = check_file(&where, entry, err);
	if (r == 0 && fd < 0)
		r = err_set(err, EBADMSG,
			    "the daemon's answer has no tarball in it");
	return r < 0 ? r : entry_data_copy(entry, fd, STDOUT_FILENO, err);
}

const struct command command_cat = {
	.name = "cat",
	.summary = "Write a file of a version to standard output",
	.details =
		"Nothing is mounted. REF:PATH is a path in a version; behind "
		"a bare volume name it\nbegins with a slash. With --json its "
		"entry is printed instead of its contents.\n",
	.operands = {{"REF:PATH", .bytes = true}},
	.examples = examples,
	.run = run,
};
