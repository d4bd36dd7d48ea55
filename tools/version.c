/* SPDX-License-Identifier: Apache-2.0 */
#include "version.h"

#include "output.h"
#include "reply.h"

#include <inttypes.h>
#include <string.h>

#define SHORT_DIGITS 12

char *version_short(const char *digest, char text[static VERSION_SHORT_MAX])
{
	(void)snprintf(text, VERSION_SHORT_MAX, "%.*s",
		       (int)strlen("sha256:") + SHORT_DIGITS, digest);
	return text;
}

char *version_count(uint64_t n, const char *noun,
		    char text[static VERSION_COUNT_MAX])
{
	(void)snprintf(text, VERSION_COUNT_MAX, "%" PRIu64 " %s%s", n, noun,
		       n == 1 ? "" : "s");
	return text;
}

static void print_styled(enum output_style style, const char *s)
{
	output_style(style);
	(void)output_text(stdout, s, strlen(s));
	output_style(OUTPUT_PLAIN);
}

void version_print_line(const json_t *version, int width)
{
	const char *reference = reply_string(version, "reference");
	const char *message = reply_string(version, "message");
	char digest[VERSION_SHORT_MAX], time[OUTPUT_TIME_MAX];
	char size[OUTPUT_SIZE_MAX], files[VERSION_COUNT_MAX];
	char added[OUTPUT_SIZE_MAX + 1];
	size_t line = strcspn(message, "\n");

	(void)snprintf(added, sizeof(added), "+%s",
		       output_size(reply_size(version, "added"), size));
	print_styled(OUTPUT_NAME, reference);
	printf("%*s  %s  %11s  %9s  ",
	       (int)(width - (int)output_width(reference, strlen(reference))),
	       "", output_time(reply_string(version, "created"), time), added,
	       version_count(reply_size(version, "changed"), "file", files));
	(void)output_text(stdout, line ? message : "-", line ? line : 1);
	fputs("  ", stdout);
	print_styled(OUTPUT_DIM,
		     version_short(reply_string(version, "digest"), digest));
	putchar('\n');
}

static void print_field(const char *name, const char *value)
{
	output_style(OUTPUT_BOLD);
	printf("%-12s", name);
	output_style(OUTPUT_PLAIN);
	(void)output_text(stdout, value, strlen(value));
	putchar('\n');
}

/* A message of several lines, each behind the column of names. */
static void print_message(const char *message)
{
	const char *name = "message";

	do {
		size_t n = strcspn(message, "\n");

		output_style(OUTPUT_BOLD);
		printf("%-12s", name);
		output_style(OUTPUT_PLAIN);
		(void)output_text(stdout, message, n);
		putchar('\n');
		message += n + (message[n] == '\n');
		name = "";
	} while (*message);
}

static void print_labels(const json_t *labels)
{
	const char *name = "labels", *key;
	json_t *value;

	json_object_foreach ((json_t *)labels, key, value) {
		const char *text = json_string_value(value);

		printf("%-12s", name);
		(void)output_text(stdout, key, strlen(key));
		putchar('=');
		(void)output_text(stdout, text ? text : "",
				  text ? strlen(text) : 0);
		putchar('\n');
		name = "";
	}
}

static void print_tags(const json_t *tags)
{
	const char *name = "tags";
	json_t *tag;
	size_t i;

	json_array_foreach (tags, i, tag) {
		const char *text = json_string_value(tag);

		print_field(name, text ? text : "");
		name = "";
	}
}

static void print_layers(const json_t *layers)
{
	const char *name = "layers";
	json_t *layer;
	size_t i;

	json_array_foreach (layers, i, layer) {
		char size[OUTPUT_SIZE_MAX];

		printf("%-12s%s  %10s\n", name, reply_string(layer, "digest"),
		       output_size(reply_size(layer, "size"), size));
		name = "";
	}
}

static void print_sizes(const json_t *version)
{
	size_t layers = json_array_size(json_object_get(version, "layers"));
	char size[OUTPUT_SIZE_MAX], count[VERSION_COUNT_MAX], text[128];

	(void)snprintf(text, sizeof(text), "%s in %s",
		       output_size(reply_size(version, "size"), size),
		       version_count(layers, "layer", count));
	print_field("size", text);
	(void)snprintf(
		text, sizeof(text), "+%s, %s changed",
		output_size(reply_size(version, "added"), size),
		version_count(reply_size(version, "changed"), "file", count));
	print_field("added", text);
}

void version_print(const json_t *version)
{
	const char *parent = reply_optional(version, "parent");
	char text[192], time[OUTPUT_TIME_MAX];

	print_field("version", reply_string(version, "reference"));
	print_field("digest", reply_string(version, "digest"));
	(void)snprintf(text, sizeof(text), "%s@%" PRIu64,
		       reply_string(version, "volume"),
		       reply_size(version, "sequence"));
	print_field("sealed as", text);
	print_field("created",
		    output_time(reply_string(version, "created"), time));
	if (parent)
		print_field("parent", parent);
	print_tags(json_object_get(version, "tags"));
	print_labels(json_object_get(version, "labels"));
	print_field("consistency", reply_string(version, "consistency"));
	print_sizes(version);
	print_layers(json_object_get(version, "layers"));
	if (*reply_string(version, "message"))
		print_message(reply_string(version, "message"));
}
