/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include "util/cleanup.h"
#include "util/escape.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <time.h>

static enum {
	COLOR_AUTO,
	COLOR_ALWAYS,
	COLOR_NEVER
} color;

int output_color(const char *when)
{
	static const char *const names[] = {
		[COLOR_AUTO] = "auto",
		[COLOR_ALWAYS] = "always",
		[COLOR_NEVER] = "never",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(when, names[i]) == 0) {
			color = i;
			return 0;
		}
	return -EINVAL;
}

bool output_is_terminal(int fd)
{
	const char *terminal = getenv("TERM");

	return isatty(fd) && terminal && *terminal &&
	       strcmp(terminal, "dumb") != 0;
}

static bool coloured(void)
{
	const char *off = getenv("NO_COLOR");

	if (color != COLOR_AUTO)
		return color == COLOR_ALWAYS;
	return !(off && *off) && output_is_terminal(STDOUT_FILENO);
}

void output_style(enum output_style style)
{
	static const char *const codes[] = {
		[OUTPUT_PLAIN] = "\033[0m",  [OUTPUT_BOLD] = "\033[1m",
		[OUTPUT_DIM] = "\033[2m",    [OUTPUT_NAME] = "\033[33m",
		[OUTPUT_GOOD] = "\033[32m",  [OUTPUT_WARNING] = "\033[33m",
		[OUTPUT_BAD] = "\033[1;31m",
	};

	if (coloured())
		fputs(codes[style], stdout);
}

/* Escapes s except for backslashes, which are harmless in front of people. */
static int clean(struct buf *b, const char *s, size_t size)
{
	while (size) {
		const char *slash = memchr(s, '\\', size);
		size_t n = slash ? (size_t)(slash - s) : size;
		int r = escape_bytes(b, s, n);

		if (r == 0 && slash)
			r = buf_add(b, slash, 1);
		if (r < 0)
			return r;
		n += slash != NULL;
		s += n;
		size -= n;
	}
	return 0;
}

static size_t characters(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->size; i++)
		n += (b->data[i] & 0xc0) != 0x80;
	return n;
}

size_t output_text(FILE *f, const char *s, size_t size)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	/* Without memory the text is left out; the next request will say so. */
	if (clean(&b, s, size) < 0 || b.size == 0)
		return 0;
	(void)fwrite(b.data, 1, b.size, f);
	return characters(&b);
}

size_t output_width(const char *s, size_t size)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	return clean(&b, s, size) < 0 ? 0 : characters(&b);
}

size_t output_fitting(const char *s, size_t size, size_t columns)
{
	size_t n = 0, used = 0;

	/* No byte takes more than the four of \xNN. */
	if (columns / 4 >= size)
		return size;
	while (n < size) {
		size_t length = 1;

		while (n + length < size && (s[n + length] & 0xc0) == 0x80)
			length++;
		used += output_width(s + n, length);
		if (used > columns)
			break;
		n += length;
	}
	return n;
}

size_t output_columns(void)
{
	struct winsize w;

	return isatty(STDOUT_FILENO) &&
			       ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 &&
			       w.ws_col > 0
		       ? w.ws_col
		       : SIZE_MAX;
}

void output_json(FILE *f, const json_t *value)
{
	size_t flags = isatty(fileno(f)) ? JSON_INDENT(2) : JSON_COMPACT;

	(void)json_dumpf(value, f, flags | JSON_ENCODE_ANY);
	fputc('\n', f);
}

void output_list_begin(struct output_list *list, const char *member,
		       const char *value)
{
	if (list->begun)
		return;
	list->begun = true;
	putchar('{');
	if (member)
		printf("\"%s\":\"%s\",", member, value);
	printf("\"%s\":[", list->name);
}

void output_list_add(struct output_list *list, const json_t *item)
{
	output_list_begin(list, NULL, NULL);
	if (list->comma)
		putchar(',');
	list->comma = true;
	(void)json_dumpf(item, stdout, JSON_COMPACT);
}

void output_list_end(struct output_list *list)
{
	output_list_begin(list, NULL, NULL);
	puts("]}");
}

char *output_size(uint64_t bytes, char text[static OUTPUT_SIZE_MAX])
{
	static const char *const units[] = {"KiB", "MiB", "GiB",
					    "TiB", "PiB", "EiB"};
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)snprintf(text, OUTPUT_SIZE_MAX, "%u B",
			       (unsigned int)bytes);
		return text;
	}
	/* As soon as it would be printed as 1024.0. */
	for (; value >= 1023.95 && unit + 1 < ARRAY_SIZE(units); unit++)
		value /= 1024;
	(void)snprintf(text, OUTPUT_SIZE_MAX, "%.1f %s", value, units[unit]);
	return text;
}

char *output_seconds(int64_t seconds, char text[static OUTPUT_TIME_MAX])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!localtime_r(&t, &tm) ||
	    !strftime(text, OUTPUT_TIME_MAX, "%Y-%m-%d %H:%M:%S", &tm))
		(void)snprintf(text, OUTPUT_TIME_MAX, "@%lld",
			       (long long)seconds);
	return text;
}

char *output_time(const char *rfc3339, char text[static OUTPUT_TIME_MAX])
{
	struct tm tm = {0};
	const char *end;

	end = rfc3339 ? strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	if (end && *end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (end && strcmp(end, "Z") == 0)
		return output_seconds(timegm(&tm), text);
	(void)snprintf(text, OUTPUT_TIME_MAX, "%s", rfc3339 ? rfc3339 : "-");
	return text;
}
