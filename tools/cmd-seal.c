/* SPDX-License-Identifier: Apache-2.0 */
/* One method under three names: commit and finalize are what people do every
 * day, seal is the general verb. */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"

#include <errno.h>

#define OPTION_MESSAGE                                                         \
	{                                                                      \
		'm', "message", "MESSAGE", "what the version is"               \
	}
#define OPTION_LABEL                                                           \
	{                                                                      \
		0, "label", "K=V", "a label of the version", .repeat = true    \
	}
#define OPTION_LAZY                                                            \
	{                                                                      \
		0, "lazy", NULL, "detach the mount also when it is in use"     \
	}

static const struct args_option commit_options[] = {
	OPTION_MESSAGE,
	OPTION_LABEL,
	{0},
};

static const struct args_option finalize_options[] = {
	OPTION_MESSAGE,
	OPTION_LABEL,
	OPTION_LAZY,
	{0},
};

static const struct args_option seal_options[] = {
	OPTION_MESSAGE,
	OPTION_LABEL,
	{0, "finalize", NULL, "unmount, too, and end the session"},
	OPTION_LAZY,
	{0},
};

static const char *const commit_examples[] = {
	"layerctl commit my-data -m 'first results'",
	"layerctl commit /workspace --label stage=clean --label by=ann",
	NULL,
};

static const char *const finalize_examples[] = {
	"layerctl finalize my-data -m 'done'",
	"layerctl finalize /workspace --lazy",
	NULL,
};

static const char *const seal_examples[] = {
	"layerctl seal my-data -m 'checkpoint 7'",
	"layerctl seal my-data --finalize -m 'done'",
	NULL,
};

static void print_sealed(const struct tool *t, const json_t *reply)
{
	const json_t *version = json_object_get(reply, "version");
	char added[OUTPUT_SIZE_MAX], stored[OUTPUT_SIZE_MAX];
	char count[VERSION_COUNT_MAX], digest[VERSION_SHORT_MAX];

	(void)version_short(reply_string(version, "digest"), digest);
	if (reply_size(version, "added") == 0) {
		tool_say(t, "%s sealed: no changes  %s",
			 reply_string(version, "reference"), digest);
		return;
	}
	tool_say(t, "%s sealed: %s changed, +%s, %s new in the store  %s",
		 reply_string(version, "reference"),
		 version_count(reply_size(version, "changed"), "file", count),
		 output_size(reply_size(version, "added"), added),
		 output_size(reply_size(reply, "stored"), stored), digest);
}

static void print_result(const struct tool *t, const json_t *reply,
			 bool finalize)
{
	const char *unmounted = reply_optional(reply, "unmounted");
	uint64_t sockets = reply_size(reply, "sockets");
	char count[VERSION_COUNT_MAX];

	print_sealed(t, reply);
	if (sockets)
		tool_say(t, "%s left out: a tarball cannot hold any",
			 version_count(sockets, "socket", count));
	if (unmounted)
		tool_say(t, "%s unmounted, session ended", unmounted);
	else if (finalize)
		tool_say(t, "session ended");
}

static int seal(struct tool *t, bool finalize, bool lazy, struct err *err)
{
	_cleanup_(json_decrefp) json_t *target = NULL;
	_cleanup_(json_decrefp) json_t *reply = NULL;
	json_t *labels;
	int r;

	r = target_make(t->args.operands[0], &target, err);
	if (r == 0)
		r = target_labels(&t->args, &labels, err);
	if (r < 0)
		return r;
	r = tool_call_long(
		t, "Seal",
		json_pack("{s:O, s:s*, s:o*, s:b, s:b}", "target", target,
			  "message", args_value(&t->args, "message"), "labels",
			  labels, "finalize", (int)finalize, "lazy", (int)lazy),
		-1, &reply, NULL, err);
	if (r < 0)
		return r;
	if (t->json)
		output_json(stdout, reply);
	print_result(t, reply, finalize);
	return 0;
}

static int run_commit(struct tool *t, struct err *err)
{
	return seal(t, false, false, err);
}

static int run_finalize(struct tool *t, struct err *err)
{
	return seal(t, true, args_has(&t->args, "lazy"), err);
}

static int run_seal(struct tool *t, struct err *err)
{
	bool finalize = args_has(&t->args, "finalize");
	bool lazy = args_has(&t->args, "lazy");

	if (lazy && !finalize)
		return err_set(err, EINVAL,
			       "--lazy is about unmounting and needs "
			       "--finalize");
	return seal(t, finalize, lazy, err);
}

#define TARGET_DETAILS                                                         \
	"TARGET is a volume, or a path in its mount: what has a '/' or is "    \
	"'.' is a path.\n"

const struct command command_commit = {
	.name = "commit",
	.summary = "Seal a new version; the mount stays",
	.details =
		"What changed since the last seal becomes one layer and one "
		"version, while the\nmount stays writable. Files that are "
		"written to meanwhile are read again; one that\ndoes not "
		"hold still makes it fail, naming the file.\n\n" TARGET_DETAILS,
	.operands = {{"TARGET", .bytes = true}},
	.options = commit_options,
	.examples = commit_examples,
	.run = run_commit,
};

const struct command command_finalize = {
	.name = "finalize",
	.summary = "Seal a new version, unmount, end the session",
	.details = "As `layerctl commit`, with nobody writing any more: a "
		   "mount that is in use is refused\nunless --lazy is "
		   "given.\n\n" TARGET_DETAILS,
	.operands = {{"TARGET", .bytes = true}},
	.options = finalize_options,
	.examples = finalize_examples,
	.run = run_finalize,
};

const struct command command_seal = {
	.name = "seal",
	.summary = "Seal a new version: commit, or finalize with --finalize",
	.details = "The general verb, for scripts; `layerctl commit` and "
		   "`layerctl finalize` are its\neveryday "
		   "spellings.\n\n" TARGET_DETAILS,
	.operands = {{"TARGET", .bytes = true}},
	.options = seal_options,
	.examples = seal_examples,
	.run = run_seal,
};
