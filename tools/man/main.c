/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes manual pages while the tree is built:
 *
 *   man-pages commands DIR                    layerctl(1) and its commands
 *   man-pages help NAME SECTION SUMMARY FILE  from a program's --help
 *   man-pages sources NAME SECTION SUMMARY FILE...  from comments
 *
 * The last two go to standard output.
 */
#include "commands.h"
#include "man.h"

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SOURCE_MAX (1u << 20)
#define SOURCES_MAX 8

/* The day of the build, unless that is to be repeatable
 * (reproducible-builds.org/specs/source-date-epoch). */
static void find_date(char date[static 16])
{
	const char *fixed = getenv("SOURCE_DATE_EPOCH");
	time_t now = fixed ? (time_t)strtoll(fixed, NULL, 10) : time(NULL);
	struct tm tm = {0};

	(void)gmtime_r(&now, &tm);
	(void)strftime(date, 16, "%Y-%m-%d", &tm);
}

static int finish(FILE *f)
{
	int bad = ferror(f);

	return fclose(f) != 0 || bad ? -EIO : 0;
}

static int write_page(struct man m, const char *directory,
		      const struct command *c)
{
	_cleanup_free_ char *path = NULL;
	char name[MAN_NAME_MAX];

	if (asprintf(&path, "%s/%s.1", directory,
		     c ? man_name(c, name) : "layerctl") < 0)
		return -ENOMEM;
	m.f = fopen(path, "we");
	if (!m.f)
		return -errno;
	if (c)
		man_command(&m, c);
	else
		man_overview(&m);
	return finish(m.f);
}

/* Anew, so that no page of a command stays that is gone. */
static int write_commands(struct man m, const char *directory)
{
	int r = remove_tree_at(AT_FDCWD, directory);

	if (r < 0 && r != -ENOENT)
		return r;
	if (mkdir(directory, 0777) < 0)
		return -errno;
	r = write_page(m, directory, NULL);
	for (size_t i = 0; r == 0 && m.commands[i]; i++)
		if (!m.commands[i]->hidden)
			r = write_page(m, directory, m.commands[i]);
	return r;
}

static int read_text(const char *path, bool comment, char **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = read_file_at(AT_FDCWD, path, SOURCE_MAX, &b);

	if (r < 0)
		return r;
	if (!buf_str(&b))
		return -ENOMEM;
	*ret = comment ? man_comment(buf_str(&b)) : strdup(buf_str(&b));
	return *ret ? 0 : -EBADMSG;
}

static int write_from_files(struct man m, bool sources, char **argv, int n)
{
	char *texts[SOURCES_MAX] = {0};
	int r = 0, i;

	for (i = 0; r == 0 && i < n - 3 && i < SOURCES_MAX; i++) {
		r = read_text(argv[3 + i], sources, &texts[i]);
		if (r < 0)
			fprintf(stderr, "man-pages: %s: %s\n", argv[3 + i],
				strerror(-r));
	}
	m.f = stdout;
	if (r == 0 && sources)
		man_sources(&m, argv[0], argv[1], argv[2],
			    (const char *const *)texts, (size_t)i);
	else if (r == 0)
		man_help(&m, argv[0], argv[1], argv[2], texts[0]);
	for (i = 0; i < SOURCES_MAX; i++)
		free(texts[i]);
	return r < 0 ? r : finish(stdout);
}

int main(int argc, char **argv)
{
	char date[16];
	struct man m = {.date = date, .commands = commands};
	int r = -EINVAL;

	find_date(date);
	if (argc == 3 && strcmp(argv[1], "commands") == 0)
		r = write_commands(m, argv[2]);
	else if (argc == 6 && strcmp(argv[1], "help") == 0)
		r = write_from_files(m, false, argv + 2, argc - 2);
	else if (argc >= 6 && strcmp(argv[1], "sources") == 0)
		r = write_from_files(m, true, argv + 2, argc - 2);
	if (r < 0)
		fprintf(stderr, "man-pages: %s\n", strerror(-r));
	return r < 0;
}
