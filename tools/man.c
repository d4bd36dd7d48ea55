/* SPDX-License-Identifier: Apache-2.0 */
#include "man.h"

#include "exit.h"
#include "help.h"
#include "roff.h"

#include "util/cleanup.h"

#include <ctype.h>

static void header(const struct man *m, const char *name, const char *section,
		   const char *summary)
{
	fputs(".TH ", m->f);
	for (const char *s = name; *s; s++) {
		if (*s == '-')
			fputc('\\', m->f);
		fputc(toupper((unsigned char)*s), m->f);
	}
	fprintf(m->f, " %s %s \"layerd %s\" layerd\n.SH NAME\n", section,
		m->date, LAYERD_VERSION);
	roff_string(m->f, name);
	fputs(" \\- ", m->f);
	roff_string(m->f, summary);
	fputc('\n', m->f);
}

char *man_name(const struct command *c, char name[static MAN_NAME_MAX])
{
	(void)snprintf(name, MAN_NAME_MAX, "layerctl-%s", c->name);
	for (char *s = name; *s; s++)
		if (*s == ' ')
			*s = '-';
	return name;
}

static void link_to(const struct man *m, const char *name, const char *section,
		    const char *end)
{
	fputs(".BR ", m->f);
	roff_string(m->f, name);
	fprintf(m->f, " (%s)%s\n", section, end);
}

/* A line of help as a sentence. */
static void sentence(const struct man *m, const char *text, const char *end)
{
	fputc(toupper((unsigned char)*text), m->f);
	roff_string(m->f, *text ? text + 1 : text);
	fprintf(m->f, "%s\n", end);
}

static void options(const struct man *m, const struct args_option *o)
{
	for (; o && o->name; o++) {
		fputs(".TP\n", m->f);
		if (o->letter)
			fprintf(m->f, "\\fB\\-%c\\fR, ", o->letter);
		fputs("\\fB\\-\\-", m->f);
		roff_string(m->f, o->name);
		fputs("\\fR", m->f);
		if (o->value) {
			fputs(" \\fI", m->f);
			roff_string(m->f, o->value);
			fputs("\\fR", m->f);
		}
		fputc('\n', m->f);
		sentence(m, o->help,
			 o->repeat ? "; may be given several times." : ".");
	}
}

static void synopsis(const struct man *m, const struct command *c)
{
	fputs(".SH SYNOPSIS\n\\fBlayerctl ", m->f);
	roff_string(m->f, c->name);
	fputs("\\fR", m->f);
	for (size_t i = 0; i < ARGS_OPERANDS_MAX && c->operands[i].name; i++) {
		const struct args_operand *o = &c->operands[i];

		fputs(o->optional ? " [\\fI" : " \\fI", m->f);
		roff_string(m->f, o->name);
		fputs(o->repeat ? "\\fR..." : "\\fR", m->f);
		fputs(o->optional ? "]" : "", m->f);
	}
	if (c->options && c->options->name)
		fputs(" [\\fIOPTION\\fR]...", m->f);
	if (c->tail) {
		fputs(" [\\-\\- \\fI", m->f);
		roff_string(m->f, c->tail);
		fputs("\\fR]", m->f);
	}
	fputc('\n', m->f);
}

static bool contains_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *s = text; (s = strstr(s, word)); s++)
		if (!isalnum((unsigned char)s[n]) && s[n] != '-')
			return true;
	return false;
}

/* Whether c's help says "layerctl OTHER", or both are in the same group. */
static bool is_related(const struct command *c, const struct command *other)
{
	size_t n = strcspn(c->name, " ");
	char words[64], quoted[64];

	if (c == other || other->hidden)
		return false;
	if (c->name[n] && strncmp(c->name, other->name, n + 1) == 0)
		return true;
	(void)snprintf(words, sizeof(words), "layerctl %s", other->name);
	(void)snprintf(quoted, sizeof(quoted), "`%s`", other->name);
	if (c->details && (contains_word(c->details, words) ||
			   contains_word(c->details, quoted)))
		return true;
	for (const char *const *e = c->examples; e && *e; e++)
		if (contains_word(*e, words))
			return true;
	return false;
}

static void see_also(const struct man *m, const struct command *c)
{
	fputs(".SH SEE ALSO\n", m->f);
	link_to(m, "layerctl", "1", ",");
	for (size_t i = 0; m->commands[i]; i++) {
		char name[MAN_NAME_MAX];

		if (is_related(c, m->commands[i]))
			link_to(m, man_name(m->commands[i], name), "1", ",");
	}
	link_to(m, "layer-reference", "7", ",");
	link_to(m, "layerd", "8", "");
}

static void print_examples(const struct man *m, const struct command *c)
{
	fputs(".SH EXAMPLES\n.RS 4\n.nf\n", m->f);
	for (const char *const *e = c->examples; *e; e++) {
		roff_text(m->f, *e, strlen(*e), true);
		fputc('\n', m->f);
	}
	fputs(".fi\n.RE\n", m->f);
}

void man_command(const struct man *m, const struct command *c)
{
	char name[MAN_NAME_MAX];

	header(m, man_name(c, name), "1", c->summary);
	synopsis(m, c);
	fputs(".SH DESCRIPTION\n", m->f);
	roff_string(m->f, c->summary);
	fputs(".\n", m->f);
	if (c->details) {
		fputs(".PP\n", m->f);
		roff_prose(m->f, c->details);
	}
	fputs(".SH OPTIONS\n", m->f);
	options(m, c->options);
	options(m, args_global);
	if (c->examples && *c->examples)
		print_examples(m, c);
	fputs(".SH EXIT STATUS\n0 when it is done; every other status says "
	      "what kind of failure it was, see\n.BR layerctl (1).\n",
	      m->f);
	see_also(m, c);
}

static void list_commands(const struct man *m)
{
	fputs(".SH COMMANDS\n", m->f);
	for (size_t i = 0; m->commands[i]; i++) {
		char name[MAN_NAME_MAX];

		if (m->commands[i]->hidden)
			continue;
		fputs(".TP\n", m->f);
		link_to(m, man_name(m->commands[i], name), "1", "");
		sentence(m, m->commands[i]->summary, ".");
	}
}

static void list_statuses(const struct man *m)
{
	const char *meaning;
	int status, before = -1;

	fputs(".SH EXIT STATUS\n", m->f);
	for (size_t i = 0; (meaning = exit_meaning(i, &status)); i++) {
		if (status != before)
			fprintf(m->f, ".TP\n.B %d\n", status);
		else
			fputs(".br\n", m->f);
		sentence(m, meaning, ".");
		before = status;
	}
}

static void list_rows(const struct man *m, const char *title,
		      const struct help_row *rows)
{
	fprintf(m->f, ".SH %s\n", title);
	for (; rows->name; rows++) {
		fputs(".TP\n.B ", m->f);
		roff_string(m->f, rows->name);
		fputc('\n', m->f);
		sentence(m, rows->text, ".");
	}
}

void man_overview(const struct man *m)
{
	header(m, "layerctl", "1", "volumes that keep every version");
	fputs(".SH SYNOPSIS\n\\fBlayerctl\\fR [\\fIOPTION\\fR]... "
	      "\\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n.SH DESCRIPTION\n",
	      m->f);
	roff_prose(m->f, help_overview);
	list_commands(m);
	fputs(".SH OPTIONS\nThey stand before or behind the command.\n", m->f);
	options(m, args_global);
	fputs(".SH REFERENCES\n", m->f);
	roff_prose(m->f, help_references);
	fputs("See\n", m->f);
	link_to(m, "layer-reference", "7", ".");
	list_statuses(m);
	list_rows(m, "ENVIRONMENT", help_environment);
	list_rows(m, "FILES", help_files);
	fputs(".SH SEE ALSO\n", m->f);
	link_to(m, "layerd", "8", ",");
	link_to(m, "layer-reference", "7", ",");
	link_to(m, "layerd-store", "5", "");
}

void man_help(const struct man *m, const char *name, const char *section,
	      const char *summary, const char *text)
{
	header(m, name, section, summary);
	roff_help(m->f, text);
	fputs(".SH SEE ALSO\n", m->f);
	link_to(m, "layerctl", "1", ",");
	link_to(m, "layerd-store", "5", ",");
	link_to(m, "layerd-state", "5", "");
}

char *man_comment(const char *source)
{
	const char *s = strstr(source, "\n/*\n"), *end;
	char *text, *out;

	end = s ? strstr(s, "\n */") : NULL;
	if (!end)
		return NULL;
	text = malloc((size_t)(end - s));
	if (!text)
		return NULL;
	out = text;
	for (s += strlen("\n/*\n"); s < end;) {
		size_t n = strcspn(s, "\n");
		size_t skip = MIN(n, strncmp(s, " * ", 3) == 0 ? 3u : 2u);

		memcpy(out, s + skip, n - skip);
		out += n - skip;
		*out++ = '\n';
		s += n + 1;
	}
	*out = 0;
	return text;
}

void man_sources(const struct man *m, const char *name, const char *section,
		 const char *summary, const char *const *texts, size_t n)
{
	header(m, name, section, summary);
	fputs(".SH DESCRIPTION\n", m->f);
	for (size_t i = 0; i < n; i++) {
		if (i)
			fputs(".PP\n", m->f);
		roff_prose(m->f, texts[i]);
	}
	fputs(".SH SEE ALSO\n", m->f);
	link_to(m, "layerctl", "1", ",");
	if (strcmp(name, "layerd-store") != 0)
		link_to(m, "layerd-store", "5", ",");
	link_to(m, "layerd", "8", "");
}
