/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include "output.h"
#include "reply.h"

#include "util/cleanup.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define DRAW_MS 100
#define BAR_WIDTH 12 /* with which all fits into 80 columns */

static const char clear_line[] = "\r\033[K";

/* What Ctrl-C did before. */
static void (*volatile next_handler)(int) = SIG_DFL;

/* Ctrl-C leaves no half line behind; the signal then does what it does. */
static void on_interrupt(int number)
{
	ssize_t n = write(STDERR_FILENO, clear_line, sizeof(clear_line) - 1);

	(void)n;
	if (next_handler != SIG_DFL)
		next_handler(number);
	else
		(void)raise(number);
}

void progress_init(struct progress *p, bool wanted)
{
	struct sigaction action = {
		.sa_handler = on_interrupt,
		.sa_flags = (int)SA_RESETHAND,
	};
	struct sigaction now;

	*p = (struct progress){.enabled = wanted &&
					  output_is_terminal(STDERR_FILENO)};
	if (p->enabled && sigaction(SIGINT, NULL, &now) == 0 &&
	    now.sa_handler != SIG_IGN && now.sa_handler != on_interrupt) {
		next_handler = now.sa_handler;
		(void)sigaction(SIGINT, &action, NULL);
	}
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Room for a piece of text; what does not fit is left out as a whole. */
struct line {
	char *text;
	size_t used;
	size_t max;
};

static void line_add(struct line *l, const char *s)
{
	size_t n = strlen(s);

	if (l->used + n > l->max)
		return;
	memcpy(l->text + l->used, s, n + 1);
	l->used += n;
}

static void add_bar(struct line *l, uint64_t done, uint64_t total)
{
	double part = (double)MIN(done, total) / (double)total;
	int full = (int)(part * BAR_WIDTH);
	char s[BAR_WIDTH + 16];

	(void)snprintf(s, sizeof(s), "  [%.*s%*s] %3d%%", full, "############",
		       BAR_WIDTH - full, "", (int)(part * 100));
	line_add(l, s);
}

static void add_rate(struct line *l, uint64_t moved, uint64_t left,
		     int64_t elapsed_ms, bool bounded)
{
	double rate = (double)moved * 1000 / (double)MAX(elapsed_ms, 1);
	double seconds = rate > 0 ? (double)left / rate : 0;
	char size[OUTPUT_SIZE_MAX], s[64];
	uint64_t t;

	/* The first moments say nothing about the rest. */
	if (elapsed_ms < 500 || moved == 0)
		return;
	(void)snprintf(s, sizeof(s), "  %s/s",
		       output_size((uint64_t)rate, size));
	line_add(l, s);
	if (!bounded || seconds > 359999)
		return;
	t = (uint64_t)(seconds + 0.5);
	if (t >= 3600)
		(void)snprintf(s, sizeof(s), "  %" PRIu64 ":%02u:%02u left",
			       t / 3600, (unsigned int)(t / 60 % 60),
			       (unsigned int)(t % 60));
	else
		(void)snprintf(s, sizeof(s), "  %u:%02u left",
			       (unsigned int)(t / 60), (unsigned int)(t % 60));
	line_add(l, s);
}

char *progress_text(const char *stage, uint64_t first, uint64_t done,
		    uint64_t total, uint64_t files, int64_t elapsed_ms,
		    int width, char text[static PROGRESS_TEXT_MAX])
{
	struct line l = {text, 0, PROGRESS_TEXT_MAX - 1};
	char a[OUTPUT_SIZE_MAX], b[OUTPUT_SIZE_MAX], s[80];

	l.max = MIN(l.max, (size_t)MAX(width, 1));
	text[0] = 0;
	line_add(&l, stage);
	if (total)
		add_bar(&l, done, total);
	if (total)
		(void)snprintf(s, sizeof(s), "  %s of %s", output_size(done, a),
			       output_size(total, b));
	else
		(void)snprintf(s, sizeof(s), "  %s", output_size(done, a));
	line_add(&l, s);
	add_rate(&l, done - MIN(first, done), total - MIN(done, total),
		 elapsed_ms, total > 0);
	(void)snprintf(s, sizeof(s), "  %" PRIu64 " files", files);
	if (files)
		line_add(&l, s);
	return text;
}

static int terminal_width(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
		return 79;
	return w.ws_col - 1;
}

void progress_update(struct progress *p, const json_t *progress)
{
	const char *stage = reply_string(progress, "stage");
	uint64_t done = reply_size(progress, "done");
	char text[PROGRESS_TEXT_MAX];
	int64_t now = now_ms();

	if (!p->enabled || !json_is_object(progress))
		return;
	if (strcmp(stage, p->stage) != 0) {
		(void)snprintf(p->stage, sizeof(p->stage), "%s", stage);
		p->started_ms = now;
		p->first = done;
	} else if (now - p->drawn_ms < DRAW_MS) {
		return;
	}
	p->drawn_ms = now;
	p->drawn = true;
	(void)progress_text(p->stage, p->first, done,
			    reply_size(progress, "total"),
			    reply_size(progress, "files"), now - p->started_ms,
			    terminal_width(), text);
	fputs(clear_line, stderr);
	(void)output_text(stderr, text, strlen(text));
	fflush(stderr);
}

void progress_clear(struct progress *p)
{
	if (p->drawn)
		fputs(clear_line, stderr);
	p->drawn = false;
}
