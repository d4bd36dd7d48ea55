/* SPDX-License-Identifier: Apache-2.0 */
#include "complete.h"

#include "output.h"

#include "util/cleanup.h"

#include <ctype.h>

/* A walk over the words in front of the one that is to be completed. */
struct walk {
	const struct command *const *commands;
	struct complete_place *place;
	const struct args_option *pending; /* its value comes next */
	size_t operands;
	bool ended; /* "--": no more options */
	bool lost;  /* no command is called like this */
};

static bool in_group(const struct command *c, const char *group, size_t n)
{
	return strncmp(c->name, group, n) == 0 && c->name[n] == ' ';
}

static const struct args_option *find_in(const struct args_option *o,
					 const char *name, size_t n,
					 char letter)
{
	for (; o && o->name; o++)
		if (name ? strlen(o->name) == n && memcmp(o->name, name, n) == 0
			 : o->letter == letter)
			return o;
	return NULL;
}

static const struct args_option *find_option(const struct walk *w,
					     const char *name, size_t n,
					     char letter)
{
	const struct command *c = w->place->command;
	const struct args_option *o = find_in(args_global, name, n, letter);

	return o || !c ? o : find_in(c->options, name, n, letter);
}

/* An option, or several letters; notes whether the next word is its value. */
static void walk_option(struct walk *w, const char *word)
{
	const struct args_option *o;

	if (word[1] == '-') {
		size_t n = strcspn(word + 2, "=");

		o = find_option(w, word + 2, n, 0);
		if (o && o->value && !word[2 + n])
			w->pending = o;
		return;
	}
	for (word++; *word; word++) {
		o = find_option(w, NULL, 0, *word);
		if (!o || !o->value)
			continue;
		if (!word[1])
			w->pending = o;
		return;
	}
}

static void walk_command(struct walk *w, const char *word)
{
	struct complete_place *p = w->place;
	size_t n = p->group ? strlen(p->group) : 0;

	if (!p->group && strcmp(word, "help") == 0)
		return;
	for (size_t i = 0; w->commands[i]; i++) {
		const struct command *c = w->commands[i];
		const char *name = c->name;

		if (p->group && !in_group(c, p->group, n))
			continue;
		if (strcmp(p->group ? name + n + 1 : name, word) == 0) {
			p->command = c;
			return;
		}
		if (!p->group && in_group(c, word, strlen(word))) {
			p->group = word;
			return;
		}
	}
	w->lost = true;
}

static void walk_word(struct walk *w, const char *word)
{
	if (w->pending)
		w->pending = NULL;
	else if (!w->ended && strcmp(word, "--") == 0)
		w->ended = true;
	else if (!w->ended && word[0] == '-' && word[1])
		walk_option(w, word);
	else if (!w->place->command)
		walk_command(w, word);
	else
		w->operands++;
}

static void want_value(struct complete_place *p, const struct args_option *o)
{
	bool listed =
		islower((unsigned char)*o->value) && strchr(o->value, '|');

	p->values = listed ? o->value : NULL;
	p->kinds = o->kinds ? o->kinds : args_kinds(o->value);
}

static void want_operand(struct complete_place *p, size_t i)
{
	const struct args_operand *o = p->command->operands;
	size_t n = 0;

	while (n < ARGS_OPERANDS_MAX && o[n].name)
		n++;
	if (i >= n && !(n && o[n - 1].repeat))
		return;
	o += i < n ? i : n - 1;
	p->kinds = o->kinds ? o->kinds : args_kinds(o->name);
}

void complete_find(const struct command *const *commands,
		   const char *const *words, size_t n,
		   struct complete_place *ret)
{
	struct walk w = {.commands = commands, .place = ret};
	const char *last = n ? words[n - 1] : "", *equals = strchr(last, '=');

	*ret = (struct complete_place){.word = last};
	for (size_t i = 0; i + 1 < n && !w.lost; i++)
		walk_word(&w, words[i]);
	if (w.lost) {
		ret->kinds = ARGS_NOTHING;
	} else if (w.pending) {
		want_value(ret, w.pending);
	} else if (!w.ended && strncmp(last, "--", 2) == 0 && equals) {
		const struct args_option *o = find_option(
			&w, last + 2, (size_t)(equals - last) - 2, 0);

		ret->word = equals + 1;
		ret->prefix = (int)(ret->word - last);
		ret->kinds = ARGS_NOTHING;
		if (o && o->value)
			want_value(ret, o);
	} else if (!w.ended && last[0] == '-') {
		ret->options = true;
	} else if (ret->command) {
		want_operand(ret, w.operands);
	}
}

void complete_print(FILE *f, const struct complete_place *p, const char *word,
		    const char *what)
{
	if (strncmp(word, p->word, strlen(p->word)) != 0)
		return;
	fprintf(f, "%.*s%s\t", p->prefix, p->word - p->prefix, word);
	(void)output_text(f, what, strlen(what));
	fputc('\n', f);
}

static void print_options(FILE *f, const struct complete_place *p,
			  const struct args_option *o)
{
	for (; o && o->name; o++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "--%s", o->name);
		complete_print(f, p, name, o->help);
	}
}

/* Commands of one word, and the first words of the others, each once. */
static void print_commands(FILE *f, const struct command *const *commands,
			   const struct complete_place *p)
{
	size_t skip = p->group ? strlen(p->group) : 0;

	for (size_t i = 0; commands[i]; i++) {
		const struct command *c = commands[i];
		const char *name = c->name;
		size_t n = strcspn(name, " ");
		char group[64];

		if (c->hidden || (p->group && !in_group(c, p->group, skip)))
			continue;
		if (p->group || !name[n]) {
			complete_print(f, p, p->group ? name + skip + 1 : name,
				       c->summary);
			continue;
		}
		if (i && in_group(commands[i - 1], name, n))
			continue;
		(void)snprintf(group, sizeof(group), "%.*s", (int)n, name);
		complete_print(f, p, group, "a group of commands");
	}
	if (!p->group)
		complete_print(f, p, "help", "Show help, also of a command");
}

static void print_values(FILE *f, const struct complete_place *p)
{
	const char *s = p->values;

	while (*s) {
		size_t n = strcspn(s, "|");
		char value[32];

		(void)snprintf(value, sizeof(value), "%.*s", (int)n, s);
		complete_print(f, p, value, "");
		s += n + (s[n] == '|');
	}
}

void complete_print_known(FILE *f, const struct command *const *commands,
			  const struct complete_place *p)
{
	if (p->values) {
		print_values(f, p);
	} else if (p->options) {
		print_options(f, p, p->command ? p->command->options : NULL);
		print_options(f, p, args_global);
	} else if (!p->command && !p->kinds) {
		print_commands(f, commands, p);
	}
}
