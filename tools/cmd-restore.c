/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "destination.h"
#include "inside.h"
#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

static const struct args_option options[] = {
	{0, "overwrite", NULL, "replace what is in DEST already"},
	{0},
};

static const char *const examples[] = {
	"layerctl restore my-data ./copy",
	"layerctl restore my-data@3:results/run-1 /srv/run-1",
	"layerctl restore my-data:/etc/hosts /etc/hosts --overwrite",
	NULL,
};

static const char interrupted[] =
	"\r\033[Klayerctl: interrupted; the destination may have a part, which "
	"the same command with --overwrite completes\n";

/* Ctrl-C ends the daemon's work, too, as it hangs up. */
static void on_interrupt(int number)
{
	bool terminal = isatty(STDERR_FILENO);
	size_t skip = terminal ? 0 : strlen("\r\033[K");
	ssize_t n = write(STDERR_FILENO, interrupted + skip,
			  sizeof(interrupted) - 1 - skip);

	(void)n;
	(void)raise(number);
}

static void say_omitted(const json_t *omitted)
{
	static const struct {
		const char *key;
		const char *one, *many;
	} rows[] = {
		{"devices", "device", "devices"},
		{"set_ids", "setuid or setgid bit",
		 "files' setuid or setgid bits"},
		{"attributes", "extended attribute", "extended attributes"},
	};
	uint64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		n = reply_size(omitted, rows[i].key);
		if (n)
			fprintf(stderr, "layerctl: left out %" PRIu64 " %s\n",
				n, n == 1 ? rows[i].one : rows[i].many);
	}
	n = reply_size(omitted, "links");
	if (n)
		fprintf(stderr,
			"layerctl: %" PRIu64 " hard links became copies\n", n);
	n = reply_size(omitted, "directories");
	if (n)
		fprintf(stderr,
			"layerctl: %" PRIu64
			" directories of others keep their "
			"attributes\n",
			n);
}

static void print_result(const struct tool *t, const char *to,
			 const json_t *reply)
{
	char size[OUTPUT_SIZE_MAX], count[VERSION_COUNT_MAX];

	if (t->json)
		output_json(stdout, reply);
	tool_say(t, "%s restored to %s: %s, %s", t->args.operands[0], to,
		 version_count(reply_size(reply, "entries"), "name", count),
		 output_size(reply_size(reply, "bytes"), size));
	if (!t->json && !t->quiet)
		say_omitted(json_object_get(reply, "omitted"));
}

static int call_restore(struct tool *t, const struct inside *where,
			const struct destination *d, json_t **ret,
			struct err *err)
{
	struct sigaction action = {.sa_handler = on_interrupt,
				   .sa_flags = (int)SA_RESETHAND};
	int r;

	(void)sigaction(SIGINT, &action, NULL);
	r = tool_call_long(t, "Restore",
			   json_pack("{s:s, s:O, s:o, s:O*, s:b}", "reference",
				     where->reference, "path", where->path,
				     "to",
				     target_path_json(t->args.operands[1]),
				     "name", d->name, "overwrite",
				     args_has(&t->args, "overwrite")),
			   d->fd, ret, NULL, err);
	(void)signal(SIGINT, SIG_DFL);
	if (r == -ECONNRESET)
		return err_prefix(err, r,
				  "%s may have a part, which the same with "
				  "--overwrite completes",
				  t->args.operands[1]);
	return r;
}

static int run(struct tool *t, struct err *err)
{
	_cleanup_destination_ struct destination d = DESTINATION_INIT;
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_inside_ struct inside where = {0};
	int r = inside_parse(t->args.operands[0], &where, err);

	if (r == 0)
		r = destination_open(t->args.operands[1], &d, err);
	if (r == 0)
		r = call_restore(t, &where, &d, &reply, err);
	if (r < 0)
		return r;
	print_result(t, t->args.operands[1], reply);
	return 0;
}

const struct command command_restore = {
	.name = "restore",
	.summary = "Write a version, or a path in it, to disk",
	.details =
		"Without a mount, with all attributes. DEST is made, or is an "
		"empty directory; a\nfile is written as DEST, or into it if "
		"that is a directory. With --overwrite\nwhat the version has "
		"replaces what DEST has, and all else in DEST stays.\n\n"
		"Who is not root owns what is restored; devices, setuid and "
		"setgid bits and\nattributes that only root may set are left "
		"out and counted.\n",
	.operands = {{"REF[:PATH]", .bytes = true}, {"DEST", .bytes = true}},
	.options = options,
	.examples = examples,
	.run = run,
};
