/* SPDX-License-Identifier: Apache-2.0 */
#include "util/cleanup.h"
#include "util/fd.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

/* What log calls write while standard error is a file. journal: JOURNAL_STREAM
 * names that file, or, with elsewhere, another one. */
enum where {
	FILE_ONLY,
	JOURNAL,
	ELSEWHERE,
	NONSENSE,
};

static void begin(enum where where, int *file, int *before)
{
	char stream[64];
	struct stat st;

	*file = memfd_create("log", MFD_CLOEXEC);
	assert_true(*file >= 0);
	assert_int_equal(fstat(*file, &st), 0);
	(void)snprintf(stream, sizeof(stream), "%llu:%llu",
		       (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino + (where == ELSEWHERE));
	unsetenv("JOURNAL_STREAM");
	if (where == NONSENSE)
		setenv("JOURNAL_STREAM", "8:", 1);
	else if (where != FILE_ONLY)
		setenv("JOURNAL_STREAM", stream, 1);
	*before = dup(STDERR_FILENO);
	assert_true(dup2(*file, STDERR_FILENO) >= 0);
}

static char *end(int file, int before)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char name[64];

	assert_true(dup2(before, STDERR_FILENO) >= 0);
	close(before);
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	assert_int_equal(read_file_at(AT_FDCWD, name, 65536, &b), 0);
	close(file);
	unsetenv("JOURNAL_STREAM");
	log_set_level(LOG_LEVEL_INFO);
	return strdup(buf_str(&b));
}

static void test_lines_to_the_journal_carry_their_level(void **state)
{
	_cleanup_free_ char *text = NULL;
	int file, before;

	begin(JOURNAL, &file, &before);
	log_set_level(LOG_LEVEL_DEBUG);
	log_error("volume %s", "v");
	log_warning("b");
	log_notice("c");
	log_info("d");
	log_debug("e");
	text = end(file, before);
	assert_string_equal(text, "<3>volume v\n<4>b\n<5>c\n<6>d\n<7>e\n");
}

static void expect_time(const char *line, const char *rest)
{
	int year, month, day, hour, minute, second, ms, n = 0;

	assert_int_equal(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ layerd: %n",
				&year, &month, &day, &hour, &minute, &second,
				&ms, &n),
			 7);
	assert_true(year > 2024 && month <= 12 && day <= 31 && hour < 24 &&
		    minute < 60 && second <= 60);
	assert_string_equal(line + n, rest);
}

static void test_lines_to_a_file_begin_with_the_time(void **state)
{
	static const enum where rows[] = {FILE_ONLY, ELSEWHERE, NONSENSE};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = NULL;
		int file, before;

		begin(rows[i], &file, &before);
		log_info("volume %s", "v");
		text = end(file, before);
		expect_time(text, "volume v\n");
	}
}

static void test_a_file_tells_errors_from_the_rest(void **state)
{
	_cleanup_free_ char *text = NULL;
	int file, before;

	begin(FILE_ONLY, &file, &before);
	log_error("x");
	text = end(file, before);
	expect_time(text, "error: x\n");
}

static void test_lines_above_the_level_are_dropped(void **state)
{
	_cleanup_free_ char *text = NULL;
	int file, before;

	begin(JOURNAL, &file, &before);
	log_debug("a");
	log_set_level(LOG_LEVEL_WARNING);
	log_notice("b");
	log_info("c");
	log_warning("d");
	log_set_level(LOG_LEVEL_ERR);
	log_warning("e");
	log_error("f");
	text = end(file, before);
	assert_string_equal(text, "<4>d\n<3>f\n");
}

static void test_a_name_cannot_forge_a_line(void **state)
{
	_cleanup_free_ char *text = NULL;
	int file, before;

	begin(JOURNAL, &file, &before);
	log_info("file %s", "a\n<0>b\x1b[1m");
	text = end(file, before);
	assert_string_equal(text, "<6>file a?<0>b?[1m\n");
}

static void test_a_long_line_is_cut(void **state)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *name = calloc(1, 5001);
	int file, before;

	memset(name, 'x', 5000);
	begin(JOURNAL, &file, &before);
	log_info("%s", name);
	text = end(file, before);
	assert_true(strlen(text) < 2300);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_levels_have_names(void **state)
{
	enum log_level level = LOG_LEVEL_ERR;

	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("notice", &level), 0);
	assert_int_equal(level, LOG_LEVEL_NOTICE);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
	assert_int_equal(log_level_parse("Info", &level), -EINVAL);
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_NOTICE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_to_the_journal_carry_their_level),
		cmocka_unit_test(test_lines_to_a_file_begin_with_the_time),
		cmocka_unit_test(test_a_file_tells_errors_from_the_rest),
		cmocka_unit_test(test_lines_above_the_level_are_dropped),
		cmocka_unit_test(test_a_name_cannot_forge_a_line),
		cmocka_unit_test(test_a_long_line_is_cut),
		cmocka_unit_test(test_levels_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
