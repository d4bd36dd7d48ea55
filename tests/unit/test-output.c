/* SPDX-License-Identifier: Apache-2.0 */
/* What layerctl prints, where it copies bytes to, and how it exits. */
#include "copy.h"
#include "exit.h"
#include "output.h"
#include "progress.h"

#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

static void assert_size(uint64_t bytes, const char *want)
{
	char text[OUTPUT_SIZE_MAX];

	assert_string_equal(output_size(bytes, text), want);
}

static void test_sizes_are_rounded_to_one_decimal(void **state)
{
	assert_size(0, "0 B");
	assert_size(1023, "1023 B");
	assert_size(1024, "1.0 KiB");
	assert_size(12897484, "12.3 MiB");
	assert_size((1 << 20) - 1, "1.0 MiB");
	assert_size(UINT64_MAX, "16.0 EiB");
}

static void test_times_are_shown_in_local_time(void **state)
{
	char text[OUTPUT_TIME_MAX];

	setenv("TZ", "EST5", 1);
	tzset();
	assert_string_equal(output_time("2026-11-21T13:02:11Z", text),
			    "2026-11-21 08:02:11");
	assert_string_equal(output_time("1969-12-31T23:59:59.999999999Z", text),
			    "1969-12-31 18:59:59");
	assert_string_equal(output_time("not a time", text), "not a time");
	assert_string_equal(output_time(NULL, text), "-");
	assert_string_equal(output_seconds(INT64_MAX, text),
			    "@9223372036854775807");
}

static void test_text_of_others_cannot_steer_a_terminal(void **state)
{
	static const char evil[] = "a\\b \033[2J\xff\xc2\x9b \xc3\xb6";
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(output_text(f, evil, strlen(evil)), 25);
	fclose(f);
	assert_string_equal(text, "a\\b \\x1b[2J\\xff\\xc2\\x9b \xc3\xb6");
	assert_int_equal(output_width(evil, strlen(evil)), 25);
}

static void test_progress_fits_its_line(void **state)
{
	char text[PROGRESS_TEXT_MAX];

	progress_text("fetch", 0, 150u << 20, 300u << 20, 42, 3000, 200, text);
	assert_string_equal(text, "fetch  [######      ]  50%  150.0 MiB of "
				  "300.0 MiB  50.0 MiB/s  0:03 left  42 files");
	progress_text("publish", 0, UINT64_MAX / 2, UINT64_MAX, UINT64_MAX,
		      1000, 79, text);
	assert_true(strlen(text) <= 79);
	progress_text("scan", 0, 0, 0, 7, 100, 79, text);
	assert_string_equal(text, "scan  0 B  7 files");
	progress_text("seal", 0, 5, 3, 0, 0, 79, text);
	assert_string_equal(text, "seal  [############] 100%  5 B of 3 B");
	progress_text("seal", 9, 5, 30, 0, 1000, 3, text);
	assert_string_equal(text, "");
}

static void test_the_bar_grows_with_what_is_done(void **state)
{
	static const char *const bars[] = {
		"x  [            ]   0%  0 B of 8 B",
		"x  [###         ]  25%  2 B of 8 B",
		"x  [############] 100%  8 B of 8 B",
	};
	static const uint64_t done[] = {0, 2, 8};
	char text[PROGRESS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(bars); i++)
		assert_string_equal(
			progress_text("x", 0, done[i], 8, 0, 0, 79, text),
			bars[i]);
}

static void test_time_left_is_from_the_rate_since_the_stage_began(void **state)
{
	char text[PROGRESS_TEXT_MAX];

	/* 100 MiB were there; 100 MiB more took 10 s, 7200 MiB are left. */
	progress_text("x", 100u << 20, 200u << 20, 7400ull << 20, 0, 10000, 99,
		      text);
	assert_non_null(strstr(text, "10.0 MiB/s  12:00 left"));
	progress_text("x", 0, 1u << 20, 7201ull << 20, 0, 1000, 99, text);
	assert_non_null(strstr(text, "1.0 MiB/s  2:00:00 left"));
	/* The first moments, and what never ends, say nothing. */
	progress_text("x", 0, 1u << 20, 9u << 20, 0, 100, 99, text);
	assert_null(strstr(text, "left"));
	progress_text("x", 0, 1, UINT64_MAX, 0, 10000, 99, text);
	assert_null(strstr(text, "left"));
}

static void test_a_bar_fits_every_width(void **state)
{
	char text[PROGRESS_TEXT_MAX];

	for (int width = 0; width < 300; width++) {
		progress_text("publish", 0, 1u << 30, 3u << 30, 123456, 9000,
			      width, text);
		assert_true(strlen(text) <= (size_t)MAX(width, 1));
	}
}

static void test_colours_are_one_of_three_words(void **state)
{
	assert_int_equal(output_color("always"), 0);
	assert_int_equal(output_color("never"), 0);
	assert_int_equal(output_color("yes"), -EINVAL);
	assert_int_equal(output_color(""), -EINVAL);
	assert_int_equal(output_color("auto"), 0);
}

static void test_exit_statuses_are_those_of_the_help(void **state)
{
	assert_int_equal(exit_status(0), 0);
	assert_int_equal(exit_status(-EIO), 1);
	assert_int_equal(exit_status(-ENOMEM), 1);
	assert_int_equal(exit_status(-EINVAL), EXIT_USAGE);
	assert_int_equal(exit_status(-ENOENT), 3);
	assert_int_equal(exit_status(-EEXIST), 4);
	assert_int_equal(exit_status(-EBUSY), 5);
	assert_int_equal(exit_status(-EACCES), 6);
	assert_int_equal(exit_status(-EDQUOT), 7);
	assert_int_equal(exit_status(-EROFS), 8);
	assert_int_equal(exit_status(-EBADMSG), 9);
	assert_int_equal(exit_status(-ESTALE), 10);
	assert_int_equal(exit_status(-EAGAIN), 10);
	assert_int_equal(exit_status(-ENOSYS), 11);
	assert_int_equal(exit_status(-ECONNREFUSED), 12);
	assert_int_equal(exit_status(-ECONNRESET), 12);
}

/* Copies out of a file of 300,000 bytes to out and checks what arrived. */
static void check_copy(int out, int arrived)
{
	_cleanup_close_ int in = memfd_create("in", MFD_CLOEXEC);
	_cleanup_free_ uint8_t *want = malloc(300000);
	_cleanup_free_ uint8_t *got = malloc(60000);
	struct err err = ERR_INIT;

	for (size_t i = 0; i < 300000; i++)
		want[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(write_full(in, want, 300000), 0);
	assert_int_equal(copy_bytes(in, 1001, 50000, out, &err), 0);
	assert_int_equal(copy_zeros(10000, out, &err), 0);
	assert_int_equal(read_full(arrived, got, 60000), 0);
	assert_memory_equal(got, want + 1001, 50000);
	memset(want, 0, 10000);
	assert_memory_equal(got + 50000, want, 10000);
}

static void test_bytes_reach_pipes_and_files(void **state)
{
	char path[] = "/tmp/test-output.XXXXXX";
	_cleanup_close_ int file = -1, append = -1;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	check_copy(ends[1], ends[0]);
	closep(&ends[0]);
	closep(&ends[1]);
	file = mkstemp(path);
	append = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(file >= 0 && append >= 0);
	assert_int_equal(unlink(path), 0);
	check_copy(append, file);
	assert_int_equal(ftruncate(file, 0), 0);
	assert_int_equal(lseek(file, 0, SEEK_SET), 0);
	assert_int_equal(fcntl(append, F_SETFL, 0), 0);
	assert_int_equal(lseek(append, 0, SEEK_SET), 0);
	check_copy(append, file);
}

static void test_a_file_that_ends_early_is_an_error(void **state)
{
	_cleanup_close_ int in = memfd_create("in", MFD_CLOEXEC);
	_cleanup_close_ int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct err err = ERR_INIT;

	assert_int_equal(write_full(in, "abc", 3), 0);
	assert_int_equal(copy_bytes(in, 0, 4, out, &err), -ENODATA);
	assert_true(*err.text);
}

static void test_a_full_disk_is_an_error(void **state)
{
	_cleanup_close_ int in = memfd_create("in", MFD_CLOEXEC);
	_cleanup_close_ int out = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct err err = ERR_INIT;

	assert_int_equal(write_full(in, "abc", 3), 0);
	assert_int_equal(copy_bytes(in, 0, 3, out, &err), -ENOSPC);
}

static void test_text_is_cut_between_characters(void **state)
{
	static const struct {
		const char *text;
		size_t columns, bytes;
	} cases[] = {
		{"abc", 0, 0},	     {"abc", 2, 2},
		{"abc", 3, 3},	     {"abc", SIZE_MAX, 3},
		{"", 0, 0},	     {"\303\244b", 1, 2},
		{"\303\244b", 2, 3}, {"a\nb", 4, 1},
		{"a\nb", 5, 2},	     {"\342\202\254x", 1, 3},
		{"\377\377", 7, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(output_fitting(cases[i].text,
						strlen(cases[i].text),
						cases[i].columns),
				 cases[i].bytes);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_are_rounded_to_one_decimal),
		cmocka_unit_test(test_times_are_shown_in_local_time),
		cmocka_unit_test(test_text_of_others_cannot_steer_a_terminal),
		cmocka_unit_test(test_progress_fits_its_line),
		cmocka_unit_test(test_the_bar_grows_with_what_is_done),
		cmocka_unit_test(
			test_time_left_is_from_the_rate_since_the_stage_began),
		cmocka_unit_test(test_a_bar_fits_every_width),
		cmocka_unit_test(test_colours_are_one_of_three_words),
		cmocka_unit_test(test_exit_statuses_are_those_of_the_help),
		cmocka_unit_test(test_bytes_reach_pipes_and_files),
		cmocka_unit_test(test_a_file_that_ends_early_is_an_error),
		cmocka_unit_test(test_a_full_disk_is_an_error),
		cmocka_unit_test(test_text_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
