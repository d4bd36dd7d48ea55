/* SPDX-License-Identifier: Apache-2.0 */
/* What can stand at the end of a command line. */
#include "complete.h"

#include "util/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct args_option seal_options[] = {
	{'m', "message", "MESSAGE", "a message"},
	{0, "from", "DIR", "a directory"},
	{0, "when", "now|later", "when"},
	{'l', "lazy", NULL, "lazily"},
	{0},
};

static const struct command seal = {
	.name = "seal",
	.summary = "Seal it",
	.operands = {{"TARGET"}},
	.options = seal_options,
};

static const struct command diff = {
	.name = "diff",
	.summary = "Differ",
	.operands = {{"REF[:PATH]"}, {"REF|PATH", .repeat = true}},
};

static const struct command layer_ls = {
	.name = "layer ls",
	.summary = "List",
	.operands = {{"LAYER"}, {"PATH", .kinds = ARGS_NOTHING}},
};

static const struct command layer_cat = {
	.name = "layer cat",
	.summary = "Print",
	.operands = {{"LAYER"}},
};

static const struct command secret = {
	.name = "secret",
	.summary = "Hidden",
	.hidden = true,
};

static const struct command *const commands[] = {
	&seal, &diff, &layer_ls, &layer_cat, &secret, NULL,
};

#define WORDS_MAX 8

/* The candidates for words, ended by NULL, one a line; free() them. */
static char *known(struct complete_place *p, const char *const *words)
{
	char *text = NULL;
	size_t n = 0, size;
	FILE *f = open_memstream(&text, &size);

	while (words[n])
		n++;
	complete_find(commands, words, n, p);
	complete_print_known(f, commands, p);
	fclose(f);
	return text;
}

static void assert_known(const char *const *words, const char *want)
{
	struct complete_place p;
	_cleanup_free_ char *text = known(&p, words);

	assert_string_equal(text, want);
}

static void assert_kinds(const char *const *words, unsigned int kinds)
{
	struct complete_place p;
	_cleanup_free_ char *text = known(&p, words);

	assert_int_equal(p.kinds, kinds);
	assert_string_equal(text, "");
}

#define WORDS(...) ((const char *const[WORDS_MAX]){__VA_ARGS__})

static void test_commands_are_offered_by_their_beginning(void **state)
{
	assert_known(WORDS("se"), "seal\tSeal it\n");
	assert_known(WORDS(""), "seal\tSeal it\ndiff\tDiffer\n"
				"layer\ta group of commands\n"
				"help\tShow help, also of a command\n");
	assert_known(WORDS("layer", ""), "ls\tList\ncat\tPrint\n");
	assert_known(WORDS("layer", "l"), "ls\tList\n");
	assert_known(WORDS("help", "di"), "diff\tDiffer\n");
	assert_known(WORDS("--json", "di"), "diff\tDiffer\n");
	assert_known(WORDS("sec"), "");
}

static void test_options_are_those_of_the_command(void **state)
{
	assert_known(WORDS("seal", "--m"), "--message\ta message\n");
	assert_known(WORDS("diff", "--m"), "");
	assert_known(WORDS("--j"),
		     "--json\tprint JSON; errors, too, on standard error\n");
	assert_known(WORDS("seal", "--", "--m"), "");
}

static void test_values_are_completed_as_what_they_are(void **state)
{
	assert_known(WORDS("seal", "--when", ""), "now\t\nlater\t\n");
	assert_known(WORDS("seal", "--when=l"), "--when=later\t\n");
	assert_kinds(WORDS("seal", "--from", "x"), ARGS_DIRECTORY);
	assert_kinds(WORDS("seal", "--from=x"), ARGS_DIRECTORY);
	assert_kinds(WORDS("seal", "-m", ""), ARGS_NOTHING);
	assert_kinds(WORDS("seal", "-lm", ""), ARGS_NOTHING);
	assert_kinds(WORDS("seal", "-mx", ""), ARGS_VOLUME | ARGS_DIRECTORY);
	assert_kinds(WORDS("seal", "--bad=x"), ARGS_NOTHING);
}

static void test_operands_are_completed_as_what_they_are(void **state)
{
	assert_kinds(WORDS("seal", ""), ARGS_VOLUME | ARGS_DIRECTORY);
	assert_kinds(WORDS("seal", "--from", "x", "-m", "y", ""),
		     ARGS_VOLUME | ARGS_DIRECTORY);
	assert_kinds(WORDS("seal", "x", ""), 0);
	assert_kinds(WORDS("diff", ""), ARGS_REFERENCE);
	assert_kinds(WORDS("diff", "a", "b", "c", ""),
		     ARGS_REFERENCE | ARGS_FILE);
	assert_kinds(WORDS("layer", "ls", ""), ARGS_REFERENCE);
	assert_kinds(WORDS("layer", "ls", "x", ""), ARGS_NOTHING);
	assert_kinds(WORDS("seal", "--", "-x"), ARGS_VOLUME | ARGS_DIRECTORY);
	assert_kinds(WORDS("nonsense", "x", ""), ARGS_NOTHING);
}

static void test_a_candidate_is_one_clean_line(void **state)
{
	struct complete_place p = {.word = "a"};
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	complete_print(f, &p, "ab", "x\n\ty\033");
	complete_print(f, &p, "ba", "not this");
	fclose(f);
	assert_string_equal(text, "ab\tx\\x0a\\x09y\\x1b\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_are_offered_by_their_beginning),
		cmocka_unit_test(test_options_are_those_of_the_command),
		cmocka_unit_test(test_values_are_completed_as_what_they_are),
		cmocka_unit_test(test_operands_are_completed_as_what_they_are),
		cmocka_unit_test(test_a_candidate_is_one_clean_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
