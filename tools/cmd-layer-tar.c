/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "copy.h"
#include "output.h"
#include "reply.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>

static const char *const examples[] = {
	"layerctl layer tar my-data | tar tv",
	"layerctl layer tar my-data@3 > layer.tar",
	"layerctl layer tar sha256:0123abcd | sha256sum",
	NULL,
};

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (!t->json && isatty(STDOUT_FILENO))
		return err_set(err, EINVAL,
			       "a tarball is no text for a terminal; send it "
			       "to a file or `| tar tv`");
	r = tool_call_long(t, "LayerOpen",
			   json_pack("{s:s}", "layer", t->args.operands[0]), -1,
			   &reply, &fd, err);
	if (r < 0)
		return r;
	if (t->json) {
		output_json(stdout, reply);
		return 0;
	}
	if (fd < 0)
		return err_set(err, EBADMSG,
			       "the daemon's answer has no tarball in it");
	return copy_bytes(fd, 0, reply_size(reply, "size"), STDOUT_FILENO, err);
}

const struct command command_layer_tar = {
	.name = "layer tar",
	.summary = "Write a layer's tarball to standard output",
	.details = "These are the bytes whose SHA-256 is the layer's digest. "
		   "With --json only its\ndigest and size are printed.\n",
	.operands = {{"LAYER"}},
	.examples = examples,
	.run = run,
};
