/* SPDX-License-Identifier: Apache-2.0 */
#include "seal.h"

#include "output.h"
#include "reply.h"
#include "target.h"
#include "tool.h"
#include "version.h"

#include "util/cleanup.h"

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

int seal_target(struct tool *t, json_t *target, bool finalize, bool lazy,
		struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	json_t *labels;
	int r = target_labels(&t->args, &labels, err);

	if (r < 0) {
		json_decref(target);
		return r;
	}
	r = tool_call_long(
		t, "Seal",
		json_pack("{s:o, s:s*, s:o*, s:b, s:b}", "target", target,
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
