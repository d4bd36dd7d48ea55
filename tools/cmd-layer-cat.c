/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "entry-data.h"
#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

static const char *const examples[] = {
	"layerctl layer cat my-data etc/hostname",
	"layerctl layer cat my-data@3 results.csv | head",
	NULL,
};

/* The one entry that is looked for; others, below it, are passed over. */
struct search {
	const char *path;
	json_t *found;
};

static int on_entries(json_t *parameters, void *ctx)
{
	const json_t *entries = json_object_get(parameters, "entries");
	struct search *search = ctx;
	json_t *entry;
	size_t i;

	json_array_foreach (entries, i, entry) {
		if (!search->found &&
		    strcmp(reply_string(entry, "path"), search->path) == 0)
			search->found = json_incref(entry);
	}
	return 0;
}

static int find_entry(struct tool *t, const char *path, json_t **ret,
		      struct err *err)
{
	struct search search = {.path = path};
	int r;

	r = tool_call_each(t, "LayerEntries",
			   json_pack("{s:s, s:s}", "layer", t->args.operands[0],
				     "path", path),
			   on_entries, &search, err);
	if (r == 0 && !search.found)
		r = err_set(err, ENOENT, "%s is not in layer %s", path,
			    t->args.operands[0]);
	if (r < 0)
		json_decref(search.found);
	else
		*ret = search.found;
	return r;
}

/* The file that path is a name of. */
static int find_file(struct tool *t, const char *path, json_t **ret,
		     struct err *err)
{
	_cleanup_(json_decrefp) json_t *entry = NULL;
	const char *kind;
	int r;

	r = find_entry(t, path, &entry, err);
	if (r < 0)
		return r;
	if (strcmp(reply_string(entry, "kind"), "hardlink") == 0) {
		_cleanup_(json_decrefp) json_t *name = TAKE_PTR(entry);

		r = find_entry(t, reply_string(name, "target"), &entry, err);
		if (r < 0)
			return r;
	}
	kind = reply_string(entry, "kind");
	if (strcmp(kind, "whiteout") == 0)
		return err_set(err, ENOENT, "%s is deleted by layer %s", path,
			       t->args.operands[0]);
	if (strcmp(kind, "symlink") == 0)
		return err_set(err, EINVAL, "%s is a symbolic link to %s", path,
			       reply_string(entry, "target"));
	if (strcmp(kind, "file") != 0)
		return err_set(err, EINVAL, "%s is a %s, not a file",
			       *path ? path : "/", kind);
	*ret = TAKE_PTR(entry);
	return 0;
}

static int copy_file(struct tool *t, const json_t *entry, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	r = tool_call_long(t, "LayerOpen",
			   json_pack("{s:s}", "layer", t->args.operands[0]), -1,
			   &reply, &fd, err);
	if (r < 0)
		return r;
	if (fd < 0)
		return err_set(err, EBADMSG,
			       "the daemon's answer has no tarball in it");
	return entry_data_copy(entry, fd, STDOUT_FILENO, err);
}

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *path = NULL;
	_cleanup_(json_decrefp) json_t *entry = NULL;
	int r;

	path = target_layer_path(t->args.operands[1]);
	if (!path)
		return err_oom(err);
	r = find_file(t, json_string_value(path), &entry, err);
	if (r < 0)
		return r;
	if (!t->json)
		return copy_file(t, entry, err);
	output_json(stdout, entry);
	return 0;
}

const struct command command_layer_cat = {
	.name = "layer cat",
	.summary = "Write a file of a layer to standard output",
	.details = "PATH is the file's path as `layer ls` prints it. With "
		   "--json its entry is printed\ninstead of its contents.\n",
	.operands = {{"LAYER"}, {"PATH", .bytes = true, .kinds = ARGS_NOTHING}},
	.examples = examples,
	.run = run,
};
