/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include "util/cleanup.h"
#include "util/escape.h"

#include "suggest.h"

#include <errno.h>
#include <getopt.h>

#define OPTIONS_MAX 32

#define ARGS_GLOBAL_HELP 0

const struct args_option args_global[] = {
	[ARGS_GLOBAL_HELP] = {'h', "help", NULL, "show help and examples"},
	{'V', "version", NULL, "show the version"},
	{0, "json", NULL, "print JSON; errors, too, on standard error"},
	{'q', "quiet", NULL, "print what was asked for and errors, no more"},
	{0, "color", "auto|always|never",
	 "colours; auto: on terminals that have them"},
	{0, "no-autostart", NULL, "do not start layerd when none is running"},
	{0},
};

/* The options that are allowed at some point, as getopt_long wants them. */
struct grammar {
	const struct args_option *options[OPTIONS_MAX];
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 3];
	size_t n;
};

static void grammar_add(struct grammar *g, const struct args_option *o)
{
	for (; o && o->name && g->n < OPTIONS_MAX; o++) {
		size_t used = strlen(g->shorts);

		g->options[g->n] = o;
		g->longs[g->n] = (struct option){
			.name = o->name,
			.has_arg = o->value ? required_argument : no_argument,
		};
		g->n++;
		if (!o->letter)
			continue;
		g->shorts[used++] = o->letter;
		if (o->value)
			g->shorts[used] = ':';
	}
}

static const struct args_option *find_letter(const struct grammar *g, int c)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->options[i]->letter == c)
			return g->options[i];
	return NULL;
}

static void give(struct args *a, const struct args_option *o, const char *v)
{
	a->given[a->n_given++] = (struct args_given){o, v};
}

static int check_value(const struct args_option *o, const char *value,
		       struct err *err)
{
	if (!value || o->bytes || utf8_valid(value, strlen(value)))
		return 0;
	return err_set(err, EINVAL, "the %s of --%s is not valid UTF-8",
		       o->value, o->name);
}

static int bad_option(int c, char **argv, struct err *err)
{
	const char *word = argv[optind - 1];

	if (c == ':')
		return err_set(err, EINVAL, "option '%s' needs a value", word);
	if (optopt > 0 && optopt < 128 && strncmp(word, "--", 2) != 0)
		return err_set(err, EINVAL, "there is no option '-%c' here",
			       optopt);
	return err_set(err, EINVAL, "there is no option '%s' here", word);
}

/* Of a command line's words that are no options. */
struct words {
	int n;	    /* that many are in the words of struct args */
	bool ended; /* by a "--"; what is behind it is at optind */
};

/*
 * Takes options, up to the first word that is none or, when ret is not NULL,
 * from among all words up to a "--".
 */
static int scan(struct args *a, int argc, char **argv, struct words *ret,
		struct err *err)
{
	struct grammar g = {.shorts = ""};
	const char *value = NULL;
	int c, index = 0, n = 0, r;

	(void)snprintf(g.shorts, sizeof(g.shorts), ret ? "-:" : "+:");
	grammar_add(&g, args_global);
	if (a->command)
		grammar_add(&g, a->command->options);
	optind = 0; /* glibc: start over */
	opterr = 0;
	while ((c = getopt_long(argc, argv, g.shorts, g.longs, &index)) >= 0) {
		const struct args_option *o;

		if (c == '?' || c == ':')
			return bad_option(c, argv, err);
		/* "-" in front of the letters: a word is option 1. */
		if (c == 1) {
			a->words[n++] = optarg;
			continue;
		}
		o = c == 0 ? g.options[index] : find_letter(&g, c);
		r = check_value(o, optarg, err);
		if (r < 0)
			return r;
		value = optarg;
		give(a, o, optarg);
	}
	if (ret)
		*ret = (struct words){.n = n,
				      .ended = strcmp(argv[optind - 1], "--") ==
						       0 &&
					       argv[optind - 1] != value};
	return 0;
}

static bool is_group(const struct command *const *commands, const char *word)
{
	size_t n = strlen(word);

	for (; *commands; commands++)
		if (strncmp((*commands)->name, word, n) == 0 &&
		    (*commands)->name[n] == ' ')
			return true;
	return false;
}

static int find_command(const struct command *const *commands, const char *name,
			struct args *a, struct err *err)
{
	const char *like = suggest_command(commands, name);

	for (; *commands; commands++) {
		if (strcmp((*commands)->name, name) == 0) {
			a->command = *commands;
			return 0;
		}
	}
	if (like)
		return err_set(err, EINVAL,
			       "'%s' is not a command; did you mean '%s'?",
			       name, like);
	return err_set(err, EINVAL,
		       "'%s' is not a command; `layerctl --help` lists them",
		       name);
}

static int take_operands(struct args *a, int argc, char **argv, struct err *err)
{
	const struct args_operand *o = a->command->operands;
	int n = 0, i = 0;

	for (; n < ARGS_OPERANDS_MAX && o[n].name && i < argc; i++) {
		if (!o[n].bytes && !utf8_valid(argv[i], strlen(argv[i])))
			return err_set(err, EINVAL, "%s is not valid UTF-8",
				       o[n].name);
		if (o[n].repeat && !a->repeated) {
			a->repeated = argv + i;
			a->n_repeated = (size_t)(argc - i);
		}
		if (!a->operands[n])
			a->operands[n] = argv[i];
		n += !o[n].repeat;
	}
	if (args_has(a, "help"))
		return 0;
	if (i < argc)
		return err_set(err, EINVAL, "'%s' is one argument too many",
			       argv[i]);
	if (n < ARGS_OPERANDS_MAX && o[n].name && !o[n].optional &&
	    !a->operands[n])
		return err_set(err, EINVAL, "%s needs %s", a->command->name,
			       o[n].name);
	return 0;
}

/* The options and operands of a->command. */
static int take_arguments(struct args *a, int argc, char **argv,
			  struct err *err)
{
	struct words words;
	int r = scan(a, argc, argv, &words, err);

	if (r < 0)
		return r;
	if (words.ended && a->command->tail)
		a->tail = argv + optind;
	/* Otherwise "--" only says that no word behind it is an option. */
	for (int i = optind; !a->tail && i < argc; i++)
		a->words[words.n++] = argv[i];
	return take_operands(a, words.n, a->words, err);
}

/* What is left of argv behind the options; argv[0] is its first word. */
struct rest {
	int argc;
	char **argv;
};

/* Skips the current word and global options; "help" is one, spelt as a word. */
static int next_word(struct args *a, struct rest *rest, struct err *err)
{
	int r = scan(a, rest->argc, rest->argv, NULL, err);

	if (r < 0)
		return r;
	rest->argc -= optind;
	rest->argv += optind;
	if (rest->argc && strcmp(rest->argv[0], "help") == 0) {
		give(a, &args_global[ARGS_GLOBAL_HELP], NULL);
		return next_word(a, rest, err);
	}
	return 0;
}

/* No more options than this can be given: a word has one a letter. */
static size_t most_given(int argc, char **argv)
{
	size_t n = 1;

	for (int i = 0; i < argc; i++)
		n += strlen(argv[i]) + 1;
	return n;
}

int args_parse(const struct command *const *commands, int argc, char **argv,
	       struct args *ret, struct err *err)
{
	struct rest rest = {argc, argv};
	char name[64];
	int r;

	*ret = (struct args){0};
	ret->given = calloc(most_given(argc, argv), sizeof(*ret->given));
	ret->words = calloc((size_t)argc + 1, sizeof(*ret->words));
	if (!ret->given || !ret->words)
		return err_oom(err);
	r = next_word(ret, &rest, err);
	if (r < 0 || rest.argc == 0)
		return r;
	(void)snprintf(name, sizeof(name), "%s", rest.argv[0]);
	if (is_group(commands, rest.argv[0])) {
		ret->group = rest.argv[0];
		r = next_word(ret, &rest, err);
		if (r < 0 || rest.argc == 0)
			return r;
		(void)snprintf(name, sizeof(name), "%s %s", ret->group,
			       rest.argv[0]);
	}
	r = find_command(commands, name, ret, err);
	if (r == 0)
		r = take_arguments(ret, rest.argc, rest.argv, err);
	return r;
}

void args_release(struct args *a)
{
	free(a->given);
	free(a->words);
	*a = (struct args){0};
}

const char *args_value_at(const struct args *a, const char *name, size_t n)
{
	for (size_t i = 0; i < a->n_given; i++)
		if (strcmp(a->given[i].option->name, name) == 0 && n-- == 0)
			return a->given[i].value;
	return NULL;
}

const char *args_value(const struct args *a, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < a->n_given; i++)
		if (strcmp(a->given[i].option->name, name) == 0)
			value = a->given[i].value;
	return value;
}

bool args_has(const struct args *a, const char *name)
{
	for (size_t i = 0; i < a->n_given; i++)
		if (strcmp(a->given[i].option->name, name) == 0)
			return true;
	return false;
}

static unsigned int word_kinds(const char *word, size_t n)
{
	static const struct {
		const char *name;
		unsigned int kinds;
	} rows[] = {
		{"REF", ARGS_REFERENCE},
		{"LAYER", ARGS_REFERENCE},
		{"VOLUME", ARGS_VOLUME},
		{"NAME", ARGS_VOLUME},
		{"PATH", ARGS_FILE},
		{"FILE", ARGS_FILE},
		{"TAR", ARGS_FILE},
		{"ARCHIVE", ARGS_FILE},
		{"DIR", ARGS_DIRECTORY},
		{"DEST", ARGS_FILE},
		{"TARGET", ARGS_VOLUME | ARGS_DIRECTORY},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].name) == n &&
		    memcmp(rows[i].name, word, n) == 0)
			return rows[i].kinds;
	return 0;
}

unsigned int args_kinds(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	unsigned int kinds = 0;
	char before = 0;

	while (*name) {
		size_t n = strspn(name, letters);

		if (n && before != ':')
			kinds |= word_kinds(name, n);
		name += n;
		if (*name)
			before = *name++;
	}
	return kinds ? kinds : ARGS_NOTHING;
}
