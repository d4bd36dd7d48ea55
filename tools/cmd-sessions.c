/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "listing.h"
#include "output.h"
#include "reply.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"

static const char *const examples[] = {
	"layerctl sessions",
	"layerctl sessions --json | jq -r '.sessions[].upper'",
	NULL,
};

static const char *short_or_null(const json_t *s, const char *key,
				 char text[static VERSION_SHORT_MAX])
{
	const char *digest = reply_optional(s, key);

	return digest ? version_short(digest, text) : NULL;
}

static int print_sessions(const json_t *sessions, struct err *err)
{
	static const struct listing_column columns[] = {
		{"SESSION"}, {"VOLUME", .style = OUTPUT_NAME},
		{"STATE"},   {"BASE"},
		{"CREATED"}, {"SEALED"},
		{"PATH"},
	};
	_cleanup_listing_ struct listing l = LISTING_INIT(columns);
	json_t *s;
	size_t i;

	json_array_foreach (sessions, i, s) {
		char base[VERSION_SHORT_MAX], sealed[VERSION_SHORT_MAX];
		char created[OUTPUT_TIME_MAX];
		const char *const cells[] = {
			reply_string(s, "id"),
			reply_string(s, "volume"),
			reply_string(s, "state"),
			short_or_null(s, "base", base),
			output_time(reply_optional(s, "created"), created),
			short_or_null(s, "sealed", sealed),
			reply_optional(s, "path"),
		};

		if (listing_add(&l, cells) < 0)
			return err_oom(err);
	}
	listing_print(&l);
	return 0;
}

static int print_mounts(const json_t *mounts, struct err *err)
{
	static const struct listing_column columns[] = {
		{"READ-ONLY", .style = OUTPUT_NAME},
		{"CREATED"},
		{"PATH"},
	};
	_cleanup_listing_ struct listing l = LISTING_INIT(columns);
	json_t *m;
	size_t i;

	json_array_foreach (mounts, i, m) {
		char created[OUTPUT_TIME_MAX];
		const char *const cells[] = {
			reply_string(m, "reference"),
			output_time(reply_optional(m, "created"), created),
			reply_string(m, "path"),
		};

		if (listing_add(&l, cells) < 0)
			return err_oom(err);
	}
	listing_print(&l);
	return 0;
}

static int run(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	const json_t *sessions, *mounts;
	int r;

	r = tool_call(t, "Sessions", json_object(), &reply, err);
	if (r < 0)
		return r;
	if (t->json) {
		output_json(stdout, reply);
		return 0;
	}
	sessions = json_object_get(reply, "sessions");
	mounts = json_object_get(reply, "mounts");
	r = print_sessions(sessions, err);
	if (r < 0)
		return r;
	if (json_array_size(sessions) && json_array_size(mounts))
		putchar('\n');
	return print_mounts(mounts, err);
}

const struct command command_sessions = {
	.name = "sessions",
	.summary = "List sessions and read-only mounts",
	.details = "A session is one writable mount with what was written to "
		   "it. \"detached\" ones are\nnot mounted anywhere; `layerctl "
		   "mount VOLUME` takes them up again.\n",
	.examples = examples,
	.run = run,
};
