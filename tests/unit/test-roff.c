/* SPDX-License-Identifier: Apache-2.0 */
/* Plain text as roff, and manual pages from tables and comments. */
#include "man.h"
#include "roff.h"

#include "util/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_roff(void (*fn)(FILE *, const char *), const char *text,
			const char *want)
{
	_cleanup_free_ char *got = NULL;
	size_t size;
	FILE *f = open_memstream(&got, &size);

	fn(f, text);
	fclose(f);
	assert_string_equal(got, want);
}

static void line(FILE *f, const char *text)
{
	roff_text(f, text, strlen(text), true);
}

static void test_text_comes_out_as_it_is(void **state)
{
	assert_roff(line, "--ro", "\\-\\-ro");
	assert_roff(line, ".TH", "\\&.TH");
	assert_roff(line, "'s", "\\&\\(aqs");
	assert_roff(line, "\\xNN", "\\exNN");
	assert_roff(line, "\"a\" ~ ^ `", "\\(dqa\\(dq \\(ti \\(ha \\(ga");
	assert_roff(line, "a \xe2\x80\xa6 \xc3\xb6", "a \\[u2026] \\[u00F6]");
	assert_roff(line, "bell\a", "bell");
	assert_roff(roff_string, ".x", ".x");
}

static void test_bytes_that_are_cut_do_not_run_over(void **state)
{
	assert_roff(line, "\xe2", "");
	assert_roff(line, "x\xf0\x9f", "x");
}

static void test_prose_has_paragraphs_and_literal_lines(void **state)
{
	assert_roff(
		roff_prose, "One\ntwo.\n\nThree:\n\n  .a  b\n\n  c\nFour.\n",
		"One\ntwo.\n.PP\nThree:\n.PP\n.RS 4\n.nf\n\\&.a  b\n\\&\nc\n"
		".fi\n.RE\n.PP\nFour.\n");
	assert_roff(roff_prose, "  only this\n",
		    ".RS 4\n.nf\nonly this\n.fi\n.RE\n");
	assert_roff(roff_prose, "", "");
}

static void test_backquotes_are_bold_and_pair_in_their_paragraph(void **state)
{
	assert_roff(roff_prose, "run `ls -l` and `tar\ntv`.\n",
		    "run \\fBls \\-l\\fR and \\fBtar\ntv\\fR.\n");
	assert_roff(roff_prose, "a ` alone\n\n`b`\n",
		    "a \\(ga alone\n.PP\n\\fBb\\fR\n");
}

static void test_help_becomes_sections_and_lists(void **state)
{
	assert_roff(roff_help,
		    "Usage: prog [OPTIONS]\n\nDoes it.\n\n"
		    "  --one   first\n          and more\n  --two   second\n\n"
		    "Environment:\n  VAR  a variable\n",
		    ".SH SYNOPSIS\nprog [OPTIONS]\n.SH DESCRIPTION\nDoes it.\n"
		    ".SH OPTIONS\n.TP\n\\fB\\-\\-one\\fR\nfirst\nand more\n"
		    ".TP\n\\fB\\-\\-two\\fR\nsecond\n"
		    ".SH ENVIRONMENT\n.TP\n\\fBVAR\\fR\na variable\n");
}

static void test_the_first_long_comment_is_the_specification(void **state)
{
	_cleanup_free_ char *text = man_comment("/* SPDX */\n#pragma once\n\n"
						"/*\n * Title.\n *\n *   4  x\n"
						" */\nint x;\n/*\n * No.\n */");

	assert_string_equal(text, "Title.\n\n  4  x\n");
	assert_null(man_comment("/* SPDX */\nint x;\n"));
	assert_null(man_comment("/* SPDX */\n/*\n * never closed\n"));
	assert_null(man_comment(""));
}

static const struct args_option options[] = {
	{'f', "force", NULL, "do it"},
	{0, "to", "DIR", "where", .repeat = true},
	{0},
};

static const char *const examples[] = {".x 'y'", "layerctl other z", NULL};

static const struct command some = {
	.name = "some thing",
	.summary = "Do something",
	.details = "As `layerctl third` does.\n",
	.operands = {{"REF"}, {"PATH", .optional = true}},
	.options = options,
	.examples = examples,
};
static const struct command other = {.name = "other", .summary = "O"};
static const struct command third = {.name = "third", .summary = "T"};
static const struct command fourth = {.name = "fourth", .summary = "F"};
static const struct command hidden = {.name = "x", .hidden = true};

static void test_a_page_is_made_from_a_table(void **state)
{
	static const struct command *const all[] = {&some,   &other,  &third,
						    &fourth, &hidden, NULL};
	_cleanup_free_ char *got = NULL;
	size_t size;
	struct man m = {open_memstream(&got, &size), "2026-01-02", all};

	man_command(&m, &some);
	fclose(m.f);
	assert_non_null(
		strstr(got, ".TH LAYERCTL\\-SOME\\-THING 1 2026-01-02"));
	assert_non_null(
		strstr(got, "layerctl\\-some\\-thing \\- Do something"));
	assert_non_null(strstr(got, "\\fBlayerctl some thing\\fR \\fIREF\\fR "
				    "[\\fIPATH\\fR] [\\fIOPTION\\fR]..."));
	assert_non_null(
		strstr(got, "\\fB\\-f\\fR, \\fB\\-\\-force\\fR\nDo it."));
	assert_non_null(
		strstr(got, "\\fB\\-\\-to\\fR \\fIDIR\\fR\nWhere; may"));
	assert_non_null(strstr(got, "\n\\&.x \\(aqy\\(aq\n"));
	/* Pages that its help speaks of, and no others. */
	assert_non_null(strstr(got, ".BR layerctl\\-other (1),"));
	assert_non_null(strstr(got, ".BR layerctl\\-third (1),"));
	assert_null(strstr(got, "fourth"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_comes_out_as_it_is),
		cmocka_unit_test(test_bytes_that_are_cut_do_not_run_over),
		cmocka_unit_test(test_prose_has_paragraphs_and_literal_lines),
		cmocka_unit_test(
			test_backquotes_are_bold_and_pair_in_their_paragraph),
		cmocka_unit_test(test_help_becomes_sections_and_lists),
		cmocka_unit_test(
			test_the_first_long_comment_is_the_specification),
		cmocka_unit_test(test_a_page_is_made_from_a_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
