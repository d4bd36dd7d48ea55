/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: what is understood, what is refused and how it is said. */
#include "args.h"
#include "help.h"
#include "suggest.h"
#include "target.h"

#include "util/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

static const struct args_option seal_options[] = {
	{'m', "message", "MESSAGE", "a message"},
	{0, "label", "K=V", "a label", .repeat = true},
	{0, "lazy", NULL, "lazily"},
	{0},
};

static const char *const examples[] = {"layerctl seal x", NULL};

static const struct command seal = {
	.name = "seal",
	.summary = "Seal",
	.operands = {{"TARGET", .bytes = true}},
	.options = seal_options,
	.examples = examples,
};

static const struct command mount = {
	.name = "mount",
	.summary = "Mount",
	.operands = {{"REF"}, {"PATH", .optional = true, .bytes = true}},
	.examples = examples,
};

static const struct command layer_ls = {
	.name = "layer ls",
	.summary = "List",
	.operands = {{"LAYER"}},
	.examples = examples,
};

static const struct command label = {
	.name = "label",
	.summary = "Label",
	.operands = {{"REF"}, {"LABEL", .optional = true, .repeat = true}},
	.examples = examples,
};

static const struct command words = {
	.name = "words",
	.summary = "Take words",
	.examples = examples,
	.hidden = true,
};

static const struct command run = {
	.name = "run",
	.summary = "Run",
	.operands = {{"REF"}, {"PATH", .optional = true, .bytes = true}},
	.tail = "COMMAND...",
	.options = seal_options,
	.examples = examples,
};

static const struct command *const commands[] = {
	&words, &label, &seal, &mount, &run, &layer_ls, NULL,
};

#define WORDS_MAX 16

struct line {
	char *argv[WORDS_MAX + 2];
	struct args args;
	struct err err;
};

/* Parses "layerctl" and the words, ended by NULL, which are copied. */
static int parse(struct line *l, const char *word, ...)
{
	int argc = 1;
	va_list ap;

	*l = (struct line){.argv = {strdup("layerctl")}};
	va_start(ap, word);
	for (; word; word = va_arg(ap, const char *))
		l->argv[argc++] = strdup(word);
	va_end(ap);
	return args_parse(commands, argc, l->argv, &l->args, &l->err);
}

static void line_release(struct line *l)
{
	args_release(&l->args);
	for (char **word = l->argv; *word; word++)
		free(*word);
}

#define _cleanup_line_ __attribute__((cleanup(line_release)))

static void test_options_and_operands_stand_in_any_order(void **state)
{
	_cleanup_line_ struct line l;

	assert_int_equal(parse(&l, "--json", "seal", "-m", "a b", "vol",
			       "--label", "a=1", "-q", "--label=b=2", NULL),
			 0);
	assert_ptr_equal(l.args.command, &seal);
	assert_string_equal(l.args.operands[0], "vol");
	assert_string_equal(args_value(&l.args, "message"), "a b");
	assert_string_equal(args_value_at(&l.args, "label", 0), "a=1");
	assert_string_equal(args_value_at(&l.args, "label", 1), "b=2");
	assert_null(args_value_at(&l.args, "label", 2));
	assert_true(args_has(&l.args, "json"));
	assert_true(args_has(&l.args, "quiet"));
	assert_false(args_has(&l.args, "lazy"));
}

static void test_the_last_of_a_repeated_option_counts(void **state)
{
	_cleanup_line_ struct line l;

	assert_int_equal(parse(&l, "seal", "v", "-ma", "-m", "b", NULL), 0);
	assert_string_equal(args_value(&l.args, "message"), "b");
}

static void test_two_dashes_end_the_options(void **state)
{
	_cleanup_line_ struct line l;

	assert_int_equal(parse(&l, "mount", "--", "x", "--json", NULL), 0);
	assert_false(args_has(&l.args, "json"));
	assert_string_equal(l.args.operands[1], "--json");
}

static void test_a_tail_is_taken_as_it_is(void **state)
{
	_cleanup_line_ struct line l;

	assert_int_equal(parse(&l, "run", "-m", "--", "v", "--lazy", "--", "x",
			       "--json", "--", "-m", NULL),
			 0);
	assert_string_equal(args_value(&l.args, "message"), "--");
	assert_string_equal(l.args.operands[0], "v");
	assert_null(l.args.operands[1]);
	assert_true(args_has(&l.args, "lazy"));
	assert_false(args_has(&l.args, "json"));
	assert_string_equal(l.args.tail[0], "x");
	assert_string_equal(l.args.tail[1], "--json");
	assert_string_equal(l.args.tail[2], "--");
	assert_string_equal(l.args.tail[3], "-m");
	assert_null(l.args.tail[4]);
}

static void test_a_tail_may_be_empty_or_missing(void **state)
{
	_cleanup_line_ struct line a;
	_cleanup_line_ struct line b;
	_cleanup_line_ struct line c;

	assert_int_equal(parse(&a, "run", "v", "p", "--", NULL), 0);
	assert_non_null(a.args.tail);
	assert_null(a.args.tail[0]);
	assert_int_equal(parse(&b, "run", "v", "p", NULL), 0);
	assert_null(b.args.tail);
	/* A value, nothing that ends the options. */
	assert_int_equal(parse(&c, "run", "v", "-m", "--", NULL), 0);
	assert_null(c.args.tail);
	assert_string_equal(args_value(&c.args, "message"), "--");
}

static void test_commands_of_two_words_are_found(void **state)
{
	_cleanup_line_ struct line l;

	assert_int_equal(parse(&l, "layer", "--json", "ls", "x", NULL), 0);
	assert_ptr_equal(l.args.command, &layer_ls);
	assert_string_equal(l.args.operands[0], "x");
}

static void test_operand_that_repeats_takes_what_is_left(void **state)
{
	_cleanup_line_ struct line l, one;

	(void)state;
	assert_int_equal(
		parse(&l, "label", "v", "-q", "a=1", "b=2", "c=3", NULL), 0);
	assert_string_equal(l.args.operands[0], "v");
	assert_string_equal(l.args.operands[1], "a=1");
	assert_int_equal(l.args.n_repeated, 3);
	assert_string_equal(l.args.repeated[2], "c=3");
	assert_int_equal(parse(&one, "label", "v", NULL), 0);
	assert_int_equal(one.args.n_repeated, 0);
	assert_null(one.args.operands[1]);
}

static void test_help_needs_no_operands(void **state)
{
	_cleanup_line_ struct line a, b, c;

	assert_int_equal(parse(&a, "mount", "--help", NULL), 0);
	assert_true(args_has(&a.args, "help"));
	assert_ptr_equal(a.args.command, &mount);
	assert_int_equal(parse(&b, "help", "layer", "ls", NULL), 0);
	assert_true(args_has(&b.args, "help"));
	assert_ptr_equal(b.args.command, &layer_ls);
	assert_int_equal(parse(&c, "layer", "-h", NULL), 0);
	assert_null(c.args.command);
	assert_string_equal(c.args.group, "layer");
}

static void assert_refused(struct line *l, int r, const char *sentence)
{
	assert_int_equal(r, -EINVAL);
	assert_string_equal(l->err.text, sentence);
	line_release(l);
}

static void test_wrong_lines_are_refused_with_a_sentence(void **state)
{
	struct line l;

	assert_refused(&l, parse(&l, "mount", NULL), "mount needs REF");
	assert_refused(&l, parse(&l, "mount", "a", "b", "c", NULL),
		       "'c' is one argument too many");
	assert_refused(&l, parse(&l, "mount", "a", "--lazy", NULL),
		       "there is no option '--lazy' here");
	assert_refused(&l, parse(&l, "mount", "-qx", "a", NULL),
		       "there is no option '-x' here");
	assert_refused(&l, parse(&l, "seal", "a", "--lazy=1", NULL),
		       "there is no option '--lazy=1' here");
	assert_refused(&l, parse(&l, "seal", "a", "-m", NULL),
		       "option '-m' needs a value");
	assert_refused(&l, parse(&l, "seal", "a", "-m", "\xff", NULL),
		       "the MESSAGE of --message is not valid UTF-8");
	assert_refused(&l, parse(&l, "mount", "\xff", NULL),
		       "REF is not valid UTF-8");
	assert_refused(&l, parse(&l, "moutn", "x", NULL),
		       "'moutn' is not a command; did you mean 'mount'?");
	assert_refused(&l, parse(&l, "layer", "sl", NULL),
		       "'layer sl' is not a command; did you mean 'layer ls'?");
	assert_refused(
		&l, parse(&l, "zebra", NULL),
		"'zebra' is not a command; `layerctl --help` lists them");
}

static void test_paths_may_be_any_bytes(void **state)
{
	_cleanup_line_ struct line l;

	assert_int_equal(parse(&l, "mount", "x", "/\xff", NULL), 0);
	assert_string_equal(l.args.operands[1], "/\xff");
}

static void test_only_near_names_are_suggested(void **state)
{
	char longest[200];

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_string_equal(suggest_command(commands, "seel"), "seal");
	assert_string_equal(suggest_command(commands, "lyer"), "layer ls");
	assert_null(suggest_command(commands, "commit"));
	assert_null(suggest_command(commands, longest));
	assert_null(suggest_command(commands, ""));
}

static void test_names_say_what_operands_are(void **state)
{
	assert_int_equal(args_kinds("REF"), ARGS_REFERENCE);
	assert_int_equal(args_kinds("REF[:PATH]"), ARGS_REFERENCE);
	assert_int_equal(args_kinds("PATH|VOLUME"), ARGS_FILE | ARGS_VOLUME);
	assert_int_equal(args_kinds("TARGET"), ARGS_VOLUME | ARGS_DIRECTORY);
	assert_int_equal(args_kinds("DIR|TAR|-"), ARGS_DIRECTORY | ARGS_FILE);
	assert_int_equal(args_kinds("K=V"), ARGS_NOTHING);
	assert_int_equal(args_kinds("REFS"), ARGS_NOTHING);
	assert_int_equal(args_kinds(""), ARGS_NOTHING);
}

static void test_hidden_commands_are_not_listed(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	help_commands(f, commands, NULL);
	fclose(f);
	assert_non_null(strstr(text, "seal"));
	assert_null(strstr(text, "words"));
	assert_null(suggest_command(commands, "wirds"));
}

static void test_usage_is_made_from_the_tables(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	help_usage(f, &seal);
	help_usage(f, &mount);
	fclose(f);
	assert_string_equal(text, "usage: layerctl seal TARGET [-m MESSAGE] "
				  "[--label K=V]... [--lazy]\n"
				  "usage: layerctl mount REF [PATH]\n");
}

/* Targets */

static void test_what_has_a_slash_is_a_path(void **state)
{
	assert_true(target_is_path("a/b"));
	assert_true(target_is_path("/"));
	assert_true(target_is_path("."));
	assert_true(target_is_path(".."));
	assert_false(target_is_path("a"));
	assert_false(target_is_path(".hidden"));
	assert_false(target_is_path("my-data@3"));
	assert_true(target_is_place("./a:b/c"));
	assert_true(target_is_place("a/b:c"));
	assert_true(target_is_place(".."));
	assert_false(target_is_place("my-data@3:etc/hosts"));
	assert_false(target_is_place("my-data:/etc"));
	assert_false(target_is_place("my-data"));
}

static void test_a_path_goes_with_its_device(void **state)
{
	_cleanup_(json_decrefp) json_t *target = NULL;
	struct err err = ERR_INIT;
	struct stat st;

	assert_int_equal(stat("/usr", &st), 0);
	assert_int_equal(target_make("/usr/../usr/.", &target, &err), 0);
	assert_string_equal(json_string_value(json_object_get(target, "path")),
			    "/usr");
	assert_int_equal(json_integer_value(json_object_get(target, "device")),
			 st.st_dev);
	assert_int_equal(target_make("/nonexistent", &target, &err), -ENOENT);
}

static void test_a_word_is_a_volume(void **state)
{
	_cleanup_(json_decrefp) json_t *target = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(target_make("data", &target, &err), 0);
	assert_string_equal(
		json_string_value(json_object_get(target, "volume")), "data");
}

static void assert_layer_path(const char *word, const char *want)
{
	_cleanup_(json_decrefp) json_t *path = target_layer_path(word);

	assert_string_equal(json_string_value(path), want);
}

static void test_layer_paths_are_taken_raw_or_as_they_are_listed(void **state)
{
	assert_layer_path("a/b", "a/b");
	assert_layer_path("/a/b/", "a/b");
	assert_layer_path("./a", "a");
	assert_layer_path(".", "");
	assert_layer_path("/", "");
	assert_layer_path("a\\x5cb", "a\\x5cb");
	assert_layer_path("a\\b", "a\\x5cb");
	assert_layer_path("\xff", "\\xff");
	assert_layer_path("\\xff", "\\xff");
	assert_layer_path(".hidden", ".hidden");
}

static void test_labels_become_an_object(void **state)
{
	_cleanup_line_ struct line l, bad, twice, none;
	_cleanup_(json_decrefp) json_t *labels = NULL;
	struct err err = ERR_INIT;

	parse(&l, "seal", "v", "--label", "a=1=2", "--label", "b=", NULL);
	assert_int_equal(target_labels(&l.args, &labels, &err), 0);
	assert_string_equal(json_string_value(json_object_get(labels, "a")),
			    "1=2");
	assert_string_equal(json_string_value(json_object_get(labels, "b")),
			    "");
	json_decrefp(&labels);
	parse(&bad, "seal", "v", "--label", "=x", NULL);
	assert_int_equal(target_labels(&bad.args, &labels, &err), -EINVAL);
	err = ERR_INIT;
	parse(&twice, "seal", "v", "--label", "a=1", "--label", "a=1", NULL);
	assert_int_equal(target_labels(&twice.args, &labels, &err), -EINVAL);
	parse(&none, "seal", "v", NULL);
	assert_int_equal(target_labels(&none.args, &labels, &err), 0);
	assert_null(labels);
}

static void test_options_that_repeat_in_one_word_are_counted(void **state)
{
	_cleanup_line_ struct line l;

	assert_int_equal(parse(&l, "-qqqqqqqqqqqq", "seal", "v", NULL), 0);
	assert_true(args_has(&l.args, "quiet"));
	assert_string_equal(l.args.operands[0], "v");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_and_operands_stand_in_any_order),
		cmocka_unit_test(test_the_last_of_a_repeated_option_counts),
		cmocka_unit_test(test_two_dashes_end_the_options),
		cmocka_unit_test(test_a_tail_is_taken_as_it_is),
		cmocka_unit_test(test_a_tail_may_be_empty_or_missing),
		cmocka_unit_test(test_commands_of_two_words_are_found),
		cmocka_unit_test(test_operand_that_repeats_takes_what_is_left),
		cmocka_unit_test(test_help_needs_no_operands),
		cmocka_unit_test(test_wrong_lines_are_refused_with_a_sentence),
		cmocka_unit_test(test_paths_may_be_any_bytes),
		cmocka_unit_test(test_only_near_names_are_suggested),
		cmocka_unit_test(test_names_say_what_operands_are),
		cmocka_unit_test(test_hidden_commands_are_not_listed),
		cmocka_unit_test(test_usage_is_made_from_the_tables),
		cmocka_unit_test(test_what_has_a_slash_is_a_path),
		cmocka_unit_test(test_a_path_goes_with_its_device),
		cmocka_unit_test(test_a_word_is_a_volume),
		cmocka_unit_test(
			test_layer_paths_are_taken_raw_or_as_they_are_listed),
		cmocka_unit_test(test_labels_become_an_object),
		cmocka_unit_test(
			test_options_that_repeat_in_one_word_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
