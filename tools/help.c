/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include "exit.h"

#include <string.h>

const char help_overview[] =
	"Volumes that tasks mount and use like a local directory, that keep "
	"every\nversion they seal, and that fork for free.\n";

const char help_references[] =
	"A version is referred to as NAME (its newest), NAME@SEQUENCE, "
	"NAME:TAG, its\ndigest, or \"sha256:\" and the first 8 or more digits "
	"of that.\n";

const struct help_row help_environment[] = {
	{"LAYERD_STATE_DIR", "where volumes live (/var/lib/layerd)"},
	{"LAYERD_RUNTIME_DIR", "where the daemon listens (/run/layerd)"},
	{"LAYERD_PROGRAM", "the layerd to start when none runs"},
	{"NO_COLOR", "no colours, unless --color says otherwise"},
	{0},
};

const struct help_row help_files[] = {
	{"/var/lib/layerd", "the state directory: store, cache, sessions; "
			    "see layerd-store(5) and layerd-state(5)"},
	{"/run/layerd/layerd.sock", "where the daemon listens"},
	{"/run/layerd/layerd.log", "what a daemon that was started by layerctl "
				   "has to say"},
	{0},
};

void help_usage(FILE *f, const struct command *c)
{
	fprintf(f, "usage: layerctl %s", c->name);
	for (size_t i = 0; i < ARGS_OPERANDS_MAX && c->operands[i].name; i++)
		fprintf(f, c->operands[i].optional ? " [%s%s]" : " %s%s",
			c->operands[i].name,
			c->operands[i].repeat ? "..." : "");
	for (const struct args_option *o = c->options; o && o->name; o++) {
		if (o->letter)
			fprintf(f, " [-%c", o->letter);
		else
			fprintf(f, " [--%s", o->name);
		fprintf(f, "%s%s]%s", o->value ? " " : "",
			o->value ? o->value : "", o->repeat ? "..." : "");
	}
	if (c->tail)
		fprintf(f, " [-- %s]", c->tail);
	fputc('\n', f);
}

static void print_options(FILE *f, const struct args_option *o)
{
	for (; o && o->name; o++) {
		char text[64], letter[8] = "    ";

		if (o->letter)
			(void)snprintf(letter, sizeof(letter), "-%c, ",
				       o->letter);
		(void)snprintf(text, sizeof(text), "%s--%s%s%s", letter,
			       o->name, o->value ? " " : "",
			       o->value ? o->value : "");
		fprintf(f, "  %-26s", text);
		if (strlen(text) > 26)
			fprintf(f, "\n  %26s", "");
		fprintf(f, " %s\n", o->help);
	}
}

void help_command(FILE *f, const struct command *c)
{
	help_usage(f, c);
	fprintf(f, "\n%s.\n", c->summary);
	if (c->details)
		fprintf(f, "\n%s", c->details);
	if (c->options && c->options->name) {
		fprintf(f, "\nOptions:\n");
		print_options(f, c->options);
	}
	fprintf(f, "\nGlobal options:\n");
	print_options(f, args_global);
	fprintf(f, "\nExamples:\n");
	for (const char *const *e = c->examples; *e; e++)
		fprintf(f, "  %s\n", *e);
}

void help_commands(FILE *f, const struct command *const *commands,
		   const char *group)
{
	size_t n = group ? strlen(group) : 0;

	fprintf(f, "Commands:\n");
	for (; *commands; commands++) {
		const struct command *c = *commands;

		if (c->hidden)
			continue;
		if (!group ||
		    (strncmp(c->name, group, n) == 0 && c->name[n] == ' '))
			fprintf(f, "  %-14s %s\n", c->name, c->summary);
	}
}

void help_all(FILE *f, const struct command *const *commands)
{
	fprintf(f, "usage: layerctl [OPTION]... COMMAND [ARGUMENT]...\n\n%s\n",
		help_overview);
	help_commands(f, commands, NULL);
	fprintf(f, "\n`layerctl help COMMAND` or `layerctl COMMAND --help` "
		   "explains one, with examples.\n"
		   "\nGlobal options, before or behind the command:\n");
	print_options(f, args_global);
	fprintf(f, "\n%s\nExit status:\n", help_references);
	exit_describe(f);
	fprintf(f, "\nEnvironment:\n");
	for (const struct help_row *row = help_environment; row->name; row++)
		fprintf(f, "  %-18s  %s\n", row->name, row->text);
}
