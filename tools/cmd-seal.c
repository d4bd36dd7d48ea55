/* SPDX-License-Identifier: Apache-2.0 */
/* One method under three names: commit and finalize are what people do every
 * day, seal is the general verb. */
#include "commands.h"

#include "seal.h"
#include "target.h"
#include "tool.h"

#include <errno.h>

#define OPTION_LAZY                                                            \
	{                                                                      \
		0, "lazy", NULL, "detach the mount also when it is in use"     \
	}

static const struct args_option commit_options[] = {
	SEAL_OPTION_MESSAGE,
	SEAL_OPTION_LABEL,
	{0},
};

static const struct args_option finalize_options[] = {
	SEAL_OPTION_MESSAGE,
	SEAL_OPTION_LABEL,
	OPTION_LAZY,
	{0},
};

static const struct args_option seal_options[] = {
	SEAL_OPTION_MESSAGE,
	SEAL_OPTION_LABEL,
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

static int seal(struct tool *t, bool finalize, bool lazy, struct err *err)
{
	json_t *target;
	int r = target_make(t->args.operands[0], &target, err);

	return r < 0 ? r : seal_target(t, target, finalize, lazy, err);
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
