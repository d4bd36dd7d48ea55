/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What shells ask when somebody presses tab. Nothing may be seen of a failure,
 * and nobody waits: what the daemon does not say within ASK_MS is left out, or
 * within LAYERD_COMPLETE_MS, where it is slow for a reason.
 */
#include "commands.h"

#include "complete.h"
#include "reply.h"
#include "tool.h"

#include "util/cleanup.h"

#include <signal.h>
#include <sys/time.h>

#define ASK_MS 150

static const char *const examples[] = {
	"layerctl complete -- mou",
	"layerctl complete -- show my-data@",
	NULL,
};

/* Lines go out one by one, so that what is there by now is whole. */
static void on_alarm(int number)
{
	(void)number;
	_exit(0);
}

static void limit_time(void)
{
	struct sigaction action = {.sa_handler = on_alarm};
	const char *word = getenv("LAYERD_COMPLETE_MS");
	long ms = word ? strtol(word, NULL, 10) : ASK_MS;
	struct itimerval timer = {.it_value = {ms / 1000, ms % 1000 * 1000}};

	(void)sigaction(SIGALRM, &action, NULL);
	(void)setitimer(ITIMER_REAL, &timer, NULL);
}

static int each_volume(json_t *reply, void *ctx)
{
	const struct complete_place *p = ctx;
	json_t *volume;
	size_t i;

	json_array_foreach (json_object_get(reply, "volumes"), i, volume)
		complete_print(stdout, p, reply_string(volume, "name"),
			       reply_string(volume, "message"));
	return 0;
}

static int each_version(json_t *reply, void *ctx)
{
	const struct complete_place *p = ctx;
	json_t *version;
	size_t i;

	json_array_foreach (json_object_get(reply, "versions"), i, version)
		complete_print(stdout, p, reply_string(version, "reference"),
			       reply_string(version, "message"));
	return 0;
}

static void print_tags(const struct complete_place *p, const char *volume,
		       const json_t *reply)
{
	json_t *tag;
	size_t i;

	json_array_foreach (json_object_get(reply, "tags"), i, tag) {
		_cleanup_free_ char *reference = NULL;

		if (asprintf(&reference, "%s:%s", volume,
			     reply_string(tag, "name")) >= 0)
			complete_print(stdout, p, reference,
				       reply_string(tag, "version"));
	}
}

/* NAME, NAME@SEQUENCE or NAME:TAG, as far as it is typed. */
static int ask_references(struct tool *t, struct complete_place *p,
			  struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	size_t n = strcspn(p->word, "@:");
	_cleanup_free_ char *volume = strndup(p->word, n);
	int r;

	if (!volume)
		return err_oom(err);
	if (!p->word[n])
		return tool_call_each(t, "List", json_object(), each_volume, p,
				      err);
	if (p->word[n] == '@')
		return tool_call_each(t, "Log",
				      json_pack("{s:s}", "reference", volume),
				      each_version, p, err);
	r = tool_call(t, "Tags", json_pack("{s:s}", "volume", volume), &reply,
		      err);
	if (r == 0)
		print_tags(p, volume, reply);
	return r;
}

static int ask(struct tool *t, struct complete_place *p, struct err *err)
{
	int r = 0;

	if (!(p->kinds & (ARGS_VOLUME | ARGS_REFERENCE)))
		return 0;
	r = client_connect(&t->client, false, err);
	if (r < 0)
		return r;
	if (p->kinds & ARGS_REFERENCE)
		return ask_references(t, p, err);
	return tool_call_each(t, "List", json_object(), each_volume, p, err);
}

static int run(struct tool *t, struct err *err)
{
	struct complete_place p;
	struct err ignored = ERR_INIT;

	complete_find(commands, (const char *const *)t->args.repeated,
		      t->args.n_repeated, &p);
	(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (p.kinds & ARGS_FILE)
		puts("files");
	else if (p.kinds & ARGS_DIRECTORY)
		puts("directories");
	else
		puts("words");
	complete_print_known(stdout, commands, &p);
	limit_time();
	/* A failure would be in the way of who is typing. */
	(void)ask(t, &p, &ignored);
	return 0;
}

const struct command command_complete = {
	.name = "complete",
	.summary = "Say what can stand at the end of a command line",
	.details =
		"For shells. WORDS are those behind the program's name; the "
		"last is completed. The\nfirst line says what the shell adds "
		"to the others: words (nothing), files or\ndirectories. Each "
		"other line is a candidate, a tab, and what it is. A daemon "
		"that\nis not there is not started.\n",
	.operands = {{"WORDS", .optional = true, .bytes = true,
		      .repeat = true}},
	.examples = examples,
	.run = run,
	.hidden = true,
};
