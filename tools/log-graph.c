/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions come from the daemon as Find tells them, each once, with the numbers
 * of all volumes that stand for it. A volume's name leads to those of the
 * volumes it was forked from, or that were forked from it, and so on.
 */
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
#define VOLUMES_MAX 256	  /* that one leads to */
#define MESSAGE_MIN 16

struct gather {
	json_t *found;	 /* by digest */
	json_t *volumes; /* names, in the order in which they came up */
	json_t *seen;	 /* the same as members */
	uint64_t limit;
	bool all; /* no version was left out */
};

/* The volumes of all places are to be looked at as well. */
static int add_volumes(struct gather *g, const json_t *places)
{
	json_t *place;
	size_t i;

	json_array_foreach (places, i, place) {
		const char *reference = reply_string(place, "reference");
		const char *at = strrchr(reference, '@');
		_cleanup_free_ char *name = NULL;

		if (!at)
			continue;
		name = strndup(reference, (size_t)(at - reference));
		if (!name)
			return -ENOMEM;
		if (json_object_get(g->seen, name))
			continue;
		if (json_object_set_new(g->seen, name, json_true()) < 0 ||
		    json_array_append_new(g->volumes, json_string(name)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int on_found(json_t *parameters, void *ctx)
{
	const json_t *versions = json_object_get(parameters, "versions");
	struct gather *g = ctx;
	json_t *found;
	size_t i;

	json_array_foreach (versions, i, found) {
		const json_t *version = json_object_get(found, "version");
		const char *digest = reply_string(version, "digest");
		int r;

		r = add_volumes(g, json_object_get(found, "places"));
		if (r == 0 && json_object_set(g->found, digest, found) < 0)
			r = -ENOMEM;
		if (r < 0)
			return r;
	}
	return 0;
}

static int find(struct tool *t, struct gather *g, const char *volume,
		struct err *err)
{
	return tool_call_each(t, "Find",
			      json_pack("{s:s*, s:I, s:b}", "volume", volume,
					"limit", (json_int_t)g->limit + 1,
					"brief", 1),
			      on_found, g, err);
}

static int gather(struct tool *t, struct gather *g, struct err *err)
{
	const char *name = t->args.operands[0];
	int r;

	if (!name)
		return find(t, g, NULL, err);
	r = find(t, g, name, err);
	for (size_t i = 0;
	     r == 0 && i < json_array_size(g->volumes) && i < VOLUMES_MAX;
	     i++) {
		const char *other =
			json_string_value(json_array_get(g->volumes, i));

		if (strcmp(other, name) == 0)
			continue;
		r = find(t, g, other, err);
		/* It may have gone since it was told. */
		if (r == -ENOENT) {
			*err = ERR_INIT;
			r = 0;
		}
	}
	if (json_array_size(g->volumes) > VOLUMES_MAX)
		g->all = false;
	return r;
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

static int make_nodes(const struct gather *g, struct graph_node **ret,
		      size_t *ret_n)
{
	struct graph_node *nodes;
	const char *digest;
	json_t *found;
	size_t n = 0;

	nodes = calloc(json_object_size(g->found) + 1, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	json_object_foreach (g->found, digest, found) {
		const json_t *version = json_object_get(found, "version");

		nodes[n++] = (struct graph_node){
			.id = digest,
			.parent = reply_optional(version, "parent"),
			.time = created(found),
			.data = found,
		};
	}
	*ret = nodes;
	*ret_n = n;
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

static int draw(struct tool *t, struct gather *g, struct err *err)
{
	_cleanup_free_ struct graph_node *nodes = NULL;
	size_t n = 0, width = output_columns();
	int r = make_nodes(g, &nodes, &n);

	if (r == 0)
		r = graph_order(nodes, n);
	if (r == -EINVAL)
		return err_set(err, EBADMSG,
			       "the daemon told of versions that are their own "
			       "ancestors");
	g->all = g->all && n <= g->limit;
	if (r == 0)
		r = graph_draw(nodes, MIN(n, g->limit), on_line, &width);
	if (r < 0)
		return err_oom(err);
	if (!g->all && !t->quiet)
		fprintf(stderr,
			"layerctl: these are not all versions; --limit N shows "
			"more\n");
	return 0;
}

int log_graph(struct tool *t, struct err *err)
{
	_cleanup_(json_decrefp) json_t *limit = NULL;
	struct gather g = {.all = true};
	int r;

	if (t->json)
		return err_set(err, EINVAL,
			       "--graph draws for people; \"layerctl find "
			       "--json\" has the same versions with their "
			       "parents");
	r = target_limit(&t->args, &limit, err);
	if (r < 0)
		return r;
	g.limit = limit ? (uint64_t)json_integer_value(limit) : VERSIONS_MAX;
	g.limit = MIN(g.limit, INT32_MAX);
	g.found = json_object();
	g.volumes = json_array();
	g.seen = json_object();
	r = g.found && g.volumes && g.seen ? gather(t, &g, err) : err_oom(err);
	if (r == 0)
		r = draw(t, &g, err);
	json_decref(g.found);
	json_decref(g.volumes);
	json_decref(g.seen);
	return r;
}
