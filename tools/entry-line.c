/* SPDX-License-Identifier: Apache-2.0 */
#include "entry-line.h"

#include "output.h"
#include "reply.h"

#include "util/cleanup.h"

#include <inttypes.h>
#include <string.h>

#define MODE_SIZE 11

static bool is_kind(const json_t *entry, const char *kind)
{
	return strcmp(reply_string(entry, "kind"), kind) == 0;
}

static char kind_letter(const json_t *entry)
{
	static const struct {
		const char *kind;
		char letter;
	} kinds[] = {
		{"file", '-'},	    {"directory", 'd'}, {"symlink", 'l'},
		{"hardlink", 'h'},  {"fifo", 'p'},	{"block", 'b'},
		{"character", 'c'}, {"whiteout", 'w'},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (is_kind(entry, kinds[i].kind))
			return kinds[i].letter;
	return '?';
}

/* "drwxr-sr-x", as ls(1) writes it. */
static void mode_text(const json_t *entry, char text[static MODE_SIZE])
{
	unsigned int mode = (unsigned int)reply_int(entry, "mode");
	static const char bits[] = "rwxrwxrwx";

	text[0] = kind_letter(entry);
	for (unsigned int i = 0; i < 9; i++)
		text[1 + i] = mode & (0400u >> i) ? bits[i] : '-';
	if (mode & 04000)
		text[3] = mode & 0100 ? 's' : 'S';
	if (mode & 02000)
		text[6] = mode & 0010 ? 's' : 'S';
	if (mode & 01000)
		text[9] = mode & 0001 ? 't' : 'T';
	text[10] = 0;
}

void entry_print_name(const json_t *entry)
{
	const char *path = reply_string(entry, "path");
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	if (!*path)
		path = name = ".";
	(void)output_text(stdout, path, (size_t)(name - path));
	if (is_kind(entry, "whiteout"))
		fputs(".wh.", stdout);
	(void)output_text(stdout, name, strlen(name));
	if (is_kind(entry, "directory"))
		putchar('/');
}

static void print_rest(const json_t *entry)
{
	const char *target = reply_string(entry, "target");

	if (is_kind(entry, "symlink"))
		fputs(" -> ", stdout);
	else if (is_kind(entry, "hardlink"))
		fputs(" link to ", stdout);
	(void)output_text(stdout, target, strlen(target));
	if (is_kind(entry, "whiteout"))
		fputs(" (deletes what is below)", stdout);
	if (reply_bool(entry, "opaque"))
		fputs(" (hides what is below)", stdout);
}

void entry_print_line(const json_t *entry, int *width)
{
	const char *device = reply_optional(entry, "device");
	char mode[MODE_SIZE], owner[48], size[32], time[OUTPUT_TIME_MAX];
	int used;

	mode_text(entry, mode);
	(void)snprintf(owner, sizeof(owner), "%" PRIu64 "/%" PRIu64,
		       reply_size(entry, "uid"), reply_size(entry, "gid"));
	if (device)
		(void)snprintf(size, sizeof(size), "%s", device);
	else
		(void)snprintf(size, sizeof(size), "%" PRIu64,
			       reply_size(entry, "size"));
	used = (int)(strlen(owner) + 1 + strlen(size));
	*width = MAX(*width, used);
	printf("%s %s %*s%s %s ", mode, owner, *width - used, "", size,
	       output_seconds(reply_int(entry, "mtime"), time));
	entry_print_name(entry);
	print_rest(entry);
	putchar('\n');
}
