/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "tool.h"
#include "version.h"

static const char *const examples[] = {
	"layerctl layer verify my-data",
	"layerctl layer verify sha256:0123abcd && echo intact",
	NULL,
};

static void print_result(const struct tool *t, const json_t *reply)
{
	char size[OUTPUT_SIZE_MAX], entries[VERSION_COUNT_MAX];
	char chunks[VERSION_COUNT_MAX], packs[VERSION_COUNT_MAX];

	tool_say(t, "%s is intact: %s, %s in %s, %s",
		 reply_string(reply, "digest"),
		 output_size(reply_size(reply, "size"), size),
		 version_count(reply_size(reply, "chunks"), "chunk", chunks),
		 version_count(reply_size(reply, "packs"), "pack", packs),
		 version_count(reply_size(reply, "entries"), "name", entries));
}

static int run(struct tool *t, struct err *err)
{
	return tool_run(t, "LayerVerify",
			json_pack("{s:s}", "layer", t->args.operands[0]), -1,
			print_result, err);
}

const struct command command_layer_verify = {
	.name = "layer verify",
	.summary = "Read a layer from the store and check all of it",
	.details = "Checks every chunk, the tarball's digest, and that the "
		   "index is the one that the\ntarball makes.\n",
	.operands = {{"LAYER"}},
	.examples = examples,
	.run = run,
};
