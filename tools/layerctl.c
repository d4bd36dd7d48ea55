/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. Results go to standard output, everything else to standard
 * error; the exit status says what kind of failure it was (see exit.h).
 */
#include "commands.h"
#include "exit.h"
#include "help.h"
#include "output.h"
#include "target.h"
#include "tool.h"

#include "util/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static json_t *error_json(int code, const char *text)
{
	json_t *message = json_string(text);

	/* It names a file whose name is not UTF-8. */
	if (!message)
		message = target_path_json(text);
	return json_pack("{s:{s:s, s:o}}", "error", "name",
			 exit_error_name(code), "message", message);
}

static int report(bool json, int code, const struct err *err)
{
	const char *text = err->code ? err->text : strerror(-code);
	_cleanup_(json_decrefp) json_t *error = NULL;

	if (json)
		error = error_json(code, text);
	if (error) {
		output_json(stderr, error);
		return exit_status(code);
	}
	fputs("layerctl: ", stderr);
	(void)output_text(stderr, text, strlen(text));
	fputc('\n', stderr);
	return exit_status(code);
}

/* A command line that is wrong may be so before --json is reached. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

static int report_usage(bool json, const struct args *a, int code,
			const struct err *err)
{
	int status = report(json, code, err);

	if (json)
		return status;
	if (a->command)
		help_usage(stderr, a->command);
	else if (a->group)
		help_commands(stderr, commands, a->group);
	return status;
}

/* Help, the version, or what else needs no command; false if there is one. */
static bool show_help(const struct args *a)
{
	bool help = args_has(a, "help");

	if (help && a->command)
		help_command(stdout, a->command);
	else if (help && a->group)
		help_commands(stdout, commands, a->group);
	else if (help)
		help_all(stdout, commands);
	return help;
}

static int run_command(struct tool *t)
{
	const char *color = args_value(&t->args, "color");
	struct err err = ERR_INIT;
	int r;

	if (color && output_color(color) < 0) {
		r = err_set(&err, EINVAL,
			    "--color is auto, always or never, not '%s'",
			    color);
		return report_usage(t->json, &t->args, r, &err);
	}
	if (show_help(&t->args))
		return 0;
	if (args_has(&t->args, "version"))
		t->args.command = &command_version;
	if (!t->args.command) {
		r = err_set(&err, EINVAL,
			    "a command is missing; `layerctl --help` lists "
			    "them");
		return report_usage(t->json, &t->args, r, &err);
	}
	r = t->args.command->run(t, &err);
	if (r < 0)
		r = report(t->json, r, &err);
	return t->status ? t->status : r;
}

/* Output that did not reach its file must not look like success. */
static int finish_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "layerctl: cannot write the output: %s\n",
		strerror(errno));
	return status ? status : 1;
}

int main(int argc, char **argv)
{
	struct tool t = {.json = wants_json(argc, argv)};
	struct err err = ERR_INIT;
	int r, status;

	/* `layerctl layer tar X | head` ends quietly, whoever started us. */
	(void)signal(SIGPIPE, SIG_DFL);
	r = args_parse(commands, argc, argv, &t.args, &err);
	if (r < 0) {
		status = report_usage(t.json, &t.args, r, &err);
	} else {
		t.json = args_has(&t.args, "json");
		t.quiet = args_has(&t.args, "quiet");
		status = run_command(&t);
	}
	args_release(&t.args);
	client_freep(&t.client);
	return finish_output(status);
}
