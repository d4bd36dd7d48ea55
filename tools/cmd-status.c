/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "output.h"
#include "reply.h"
#include "tool.h"

#include "util/cleanup.h"

#include <inttypes.h>
#include <string.h>

static const char *const examples[] = {
	"layerctl status",
	"layerctl --no-autostart status",
	"layerctl status --json | jq .stored",
	NULL,
};

enum kind {
	TEXT,
	NUMBER,
	SIZE,
	ANSWER,
};

static const struct {
	const char *title;
	const char *key;
	enum kind kind;
} fields[] = {
	{"layerd", "version", TEXT},
	{"process", "pid", NUMBER},
	{"state", "state", TEXT},
	{"runtime", "runtime", TEXT},
	{"store", "store", TEXT},
	{"store id", "store_id", TEXT},
	{"volumes", "volumes", NUMBER},
	{"sessions", "sessions", NUMBER},
	{"packs", "packs", NUMBER},
	{"chunks", "chunks", NUMBER},
	{"stored", "stored", SIZE},
	{"cached layers", "cached_layers", NUMBER},
	{"cached", "cached", SIZE},
	{"kernel", "kernel", TEXT},
	{"EROFS on files", "file_backed_erofs", ANSWER},
};

static void print_value(const json_t *reply, const char *key, enum kind kind)
{
	const char *text = reply_string(reply, key);
	char size[OUTPUT_SIZE_MAX];

	switch (kind) {
	case TEXT:
		(void)output_text(stdout, text, strlen(text));
		break;
	case NUMBER:
		printf("%" PRIu64, reply_size(reply, key));
		break;
	case SIZE:
		fputs(output_size(reply_size(reply, key), size), stdout);
		break;
	case ANSWER:
		fputs(reply_bool(reply, key) ? "yes" : "no", stdout);
		break;
	}
	putchar('\n');
}

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	int r;

	r = tool_call(t, "Status", json_object(), &reply, err);
	if (r < 0)
		return r;
	if (t->json) {
		output_json(stdout, reply);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		output_style(OUTPUT_BOLD);
		printf("%-16s", fields[i].title);
		output_style(OUTPUT_PLAIN);
		print_value(reply, fields[i].key, fields[i].kind);
	}
	return 0;
}

const struct command command_status = {
	.name = "status",
	.summary = "Show the daemon, its store and its cache",
	.details = "Where its state is, and how much its store and its cache "
		   "hold. What the host can do\nis what `layerctl doctor` "
		   "says.\n",
	.examples = examples,
	.run = run,
};
