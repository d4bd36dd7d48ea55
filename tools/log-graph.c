/* SPDX-License-Identifier: Apache-2.0 */
#include "log-graph.h"

#include "graph.h"
#include "output.h"
#include "reply.h"
#include "target.h"
#include "version.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define VERSIONS_MAX 1000 /* unless --limit says more */
#define MESSAGE_MIN 16

static int on_found(json_t *parameters, void *ctx)
{
	json_t *versions = json_object_get(parameters, "versions");

	return json_is_array(versions) && json_array_extend(ctx, versions) < 0
		       ? -ENOMEM
		       : 0;
}

/* Nanoseconds since 1970; beyond the centuries that fit, as near as may be. */
static int64_t created(const json_t *found)
{
	const json_t *version = json_object_get(found, "version");
	int64_t nsec = reply_int(found, "created_nsec");
	struct tm tm = {0};
	int64_t seconds;

	if (!strptime(reply_string(version, "created"), "%Y-%m-%dT%H:%M:%SZ",
		      &tm))
		return 0;
	seconds = MIN(timegm(&tm), INT64_MAX / 1000000000 - 1);
	seconds = MAX(seconds, INT64_MIN / 1000000000 + 1);
	return seconds * 1000000000 + MIN(MAX(nsec, 0), 999999999);
}

static int make_nodes(const json_t *versions, struct graph_node **ret)
{
	struct graph_node *nodes;
	json_t *found;
	size_t i;

	nodes = calloc(json_array_size(versions) + 1, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	json_array_foreach (versions, i, found) {
		const json_t *version = json_object_get(found, "version");

		nodes[i] = (struct graph_node){
			.id = reply_string(version, "digest"),
			.parent = reply_optional(version, "parent"),
			.time = created(found),
			.data = found,
		};
	}
	*ret = nodes;
	return 0;
}

/* "v@3 (stable, best), fork@1"; the name and the numbers in their style. */
static size_t print_places(const json_t *places)
{
	json_t *place, *tag;
	size_t i, k, used = 0;

	json_array_foreach (places, i, place) {
		const char *reference = reply_string(place, "reference");

		if (i)
			used += (size_t)printf(", ");
		output_style(OUTPUT_NAME);
		used += output_text(stdout, reference, strlen(reference));
		output_style(OUTPUT_PLAIN);
		json_array_foreach (json_object_get(place, "tags"), k, tag) {
			const char *text = json_string_value(tag);

			used += (size_t)printf(k ? ", " : " (");
			used += output_text(stdout, text ? text : "",
					    text ? strlen(text) : 0);
		}
		if (k)
			used += (size_t)printf(")");
	}
	return used;
}

static int on_line(const char *art, const struct graph_node *node, void *ctx)
{
	size_t width = *(const size_t *)ctx, used;
	char time[OUTPUT_TIME_MAX];
	const json_t *version;
	const char *message;

	if (!node) {
		printf("%s\n", art);
		return 0;
	}
	version = json_object_get(node->data, "version");
	message = reply_string(version, "message");
	used = (size_t)printf("%s ", art);
	used += print_places(json_object_get(node->data, "places"));
	output_style(OUTPUT_DIM);
	used += (size_t)printf(
		"  %s", output_time(reply_string(version, "created"), time));
	output_style(OUTPUT_PLAIN);
	if (*message) {
		size_t room = width > used + 2 ? width - used - 2 : 0;

		fputs("  ", stdout);
		(void)output_text(stdout, message,
				  output_fitting(message,
						 strcspn(message, "\n"),
						 MAX(room, MESSAGE_MIN)));
	}
	putchar('\n');
	return 0;
}

static int draw(const struct tool *t, const json_t *versions, size_t limit,
		struct err *err)
{
	_cleanup_free_ struct graph_node *nodes = NULL;
	size_t n = json_array_size(versions), width = output_columns();
	int r = make_nodes(versions, &nodes);

	if (r == 0)
		r = graph_order(nodes, n);
	if (r == -EINVAL)
		return err_set(err, EBADMSG,
			       "the daemon told of versions that are their own "
			       "ancestors");
	if (r == 0)
		r = graph_draw(nodes, MIN(n, limit), on_line, &width);
	if (r < 0)
		return err_oom(err);
	if (n > limit && !t->quiet)
		fprintf(stderr,
			"layerctl: these are not all versions; --limit N shows "
			"more\n");
	return 0;
}

int log_graph(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *versions = json_array();
	_cleanup_(json_decrefp) json_t *given = NULL;
	json_int_t limit = VERSIONS_MAX;
	int r;

	if (t->json)
		return err_set(err, EINVAL,
			       "--graph draws for people; \"layerctl find "
			       "--json\" has the same versions with their "
			       "parents");
	r = target_limit(&t->args, &given, err);
	if (r < 0)
		return r;
	if (given)
		limit = MIN(json_integer_value(given), INT32_MAX);
	/* One more tells whether there are more. */
	r = tool_call_each(t, "Find",
			   json_pack("{s:s*, s:b, s:I, s:b}", "volume",
				     t->args.operands[0], "related", 1, "limit",
				     limit + 1, "brief", 1),
			   on_found, versions, err);
	return r < 0 ? r : draw(t, versions, (size_t)limit, err);
}
