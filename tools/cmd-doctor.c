/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "doctor.h"
#include "exit.h"
#include "output.h"
#include "tool.h"

#include "util/cleanup.h"
#include "util/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A daemon that does not answer in this time is not well. */
#define ANSWER_MS 5000

static const char *const examples[] = {
	"layerctl doctor",
	"sudo layerctl doctor",
	"layerctl doctor --json | jq '.checks[] | select(.state != \"ok\")'",
	NULL,
};

static bool has_capability(unsigned int number)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[number / 32].effective & (1u << (number % 32)));
}

/* In a child, for a daemon that hangs: {"status":...}, or why there is none. */
static json_t *ask_status(struct tool *t)
{
	struct err err = ERR_INIT;
	json_t *status = NULL;
	int r = client_connect(&t->client, false, &err);

	if (r == 0)
		r = tool_call(t, "Status", json_object(), &status, &err);
	if (r == 0)
		return json_pack("{s:o}", "status", status);
	return json_pack("{s:i, s:s}", "code", r, "text", err.text);
}

static void answer(struct tool *t, int fd)
{
	_cleanup_(json_decrefp) json_t *found = ask_status(t);
	FILE *f = fdopen(fd, "w");

	if (f && found) {
		(void)json_dumpf(found, f, JSON_COMPACT);
		(void)fclose(f);
	}
	_exit(0);
}

/* Reads until the end of the file or the time. */
static json_t *read_answer(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[16384];
	size_t n = 0;

	while (n < sizeof(text) && poll(&p, 1, ANSWER_MS) > 0) {
		ssize_t got = read(fd, text + n, sizeof(text) - n);

		if (got <= 0)
			return json_loadb(text, n, 0, NULL);
		n += (size_t)got;
	}
	return NULL;
}

/* d borrows from *ret, which is NULL without an answer. */
static void look_at_daemon(struct tool *t, struct doctor *d, json_t **ret)
{
	json_t *found = NULL;
	int ends[2];
	pid_t pid;

	d->daemon_error = -ETIMEDOUT;
	d->daemon_text = "it does not answer";
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0)
		answer(t, ends[1]);
	(void)close(ends[1]);
	if (pid > 0) {
		found = read_answer(ends[0]);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	(void)close(ends[0]);
	d->status = json_object_get(found, "status");
	if (json_object_get(found, "text")) {
		d->daemon_error =
			(int)json_integer_value(json_object_get(found, "code"));
		d->daemon_text =
			json_string_value(json_object_get(found, "text"));
	}
	*ret = found;
}

static enum output_style style_of(enum doctor_state state)
{
	static const enum output_style styles[] = {
		[DOCTOR_OK] = OUTPUT_GOOD,
		[DOCTOR_UNSEEN] = OUTPUT_DIM,
		[DOCTOR_WARNING] = OUTPUT_WARNING,
		[DOCTOR_PROBLEM] = OUTPUT_BAD,
	};

	return styles[state];
}

static void print_line(const char *before, const char *text)
{
	if (!*text)
		return;
	fputs(before, stdout);
	(void)output_text(stdout, text, strlen(text));
	putchar('\n');
}

static void print_finding(const struct doctor_check *check,
			  const struct doctor_finding *found)
{
	char title[32];

	output_style(style_of(found->state));
	printf("%-8s", doctor_state_name(found->state));
	output_style(OUTPUT_PLAIN);
	(void)snprintf(title, sizeof(title), "  %-16s ", check->title);
	print_line(title, found->found);
	print_line("                           so: ", found->follows);
	print_line("                           do: ", found->todo);
}

static json_t *finding_json(const struct doctor_check *check,
			    const struct doctor_finding *found)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", check->name,
			 "state", doctor_state_name(found->state), "found",
			 found->found, "follows", found->follows, "todo",
			 found->todo);
}

struct counts {
	size_t of[DOCTOR_PROBLEM + 1];
	char problems[256]; /* titles */
};

static void count(struct counts *counts, const struct doctor_check *check,
		  enum doctor_state state)
{
	size_t used = strlen(counts->problems);

	counts->of[state]++;
	if (state == DOCTOR_PROBLEM)
		(void)snprintf(counts->problems + used,
			       sizeof(counts->problems) - used, "%s%s",
			       used ? ", " : "", check->title);
}

static int print_summary(struct tool *t, const struct counts *counts,
			 json_t *checks, struct err *err)
{
	bool usable = counts->of[DOCTOR_PROBLEM] == 0;

	if (t->json) {
		_cleanup_(json_decrefp) json_t *all = json_pack(
			"{s:b, s:O}", "usable", (int)usable, "checks", checks);

		if (!all)
			return err_oom(err);
		output_json(stdout, all);
	}
	fflush(stdout);
	if (!usable)
		return err_set(err, EOPNOTSUPP,
			       "layerd cannot do its work on this host: %s",
			       counts->problems);
	tool_say(t, "layerd can do its work on this host%s",
		 counts->of[DOCTOR_UNSEEN] ? ", as far as could be seen" : "");
	return 0;
}

static int run(struct tool *t, struct err *err)
{
	struct doctor d = {
		.state_dir = paths_state_dir(),
		.admin = has_capability(CAP_SYS_ADMIN),
	};
	_cleanup_(json_decrefp) json_t *answered = NULL;
	_cleanup_(json_decrefp) json_t *checks = json_array();
	struct counts counts = {0};

	look_at_daemon(t, &d, &answered);
	for (const struct doctor_check *c = doctor_checks; c->name; c++) {
		struct doctor_finding finding = {0};

		/* A check that forks must not write this twice. */
		fflush(stdout);
		c->look(&d, &finding);
		count(&counts, c, finding.state);
		if (!t->json)
			print_finding(c, &finding);
		else if (json_array_append_new(checks,
					       finding_json(c, &finding)) < 0)
			return err_oom(err);
	}
	return print_summary(t, &counts, checks, err);
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "Say what this host can and cannot do",
	.details =
		"Each line says what was found, what follows from it and what "
		"to do. \"problem\" is\nwhat keeps layerd from its work; the "
		"exit status is 11 then. \"unseen\" is what only\nroot could "
		"look at. Nothing is changed, no daemon is started, and what "
		"is mounted\nto try it is seen by nobody else.\n",
	.examples = examples,
	.run = run,
};
