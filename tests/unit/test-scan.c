/* SPDX-License-Identifier: Apache-2.0 */

/* What a scan finds: nothing in an unchanged tree, and of each kind of change
 * exactly what a layer must get. Needs root for overlayfs' marks. */

#include "scan-fixture.h"

#include <limits.h>

static int setup_scans(void **state)
{
	struct scans *s = calloc(1, sizeof(*s));
	void *f;

	assert_non_null(s);
	assert_int_equal(setup(&f), 0);
	scans_init(s, f);
	*state = s;
	return 0;
}

static int teardown_scans(void **state)
{
	struct scans *s = *state;
	void *f = s->fixture;

	scans_release(s);
	free(s);
	return teardown(&f);
}

static void need_marks(struct scans *s)
{
	if (!can_mark(s->fixture))
		skip();
}

/* Something of everything: w is a whiteout, o opaque, r redirected, m merged.
 */
static void make_tree(struct scans *s)
{
	int u = s->upper;

	make_dir(u, "d");
	make_file(u, "d/f", "f");
	make_file(u, "d/g", "g");
	make_dir(u, "d/sub");
	make_file(u, "d/sub/h", "h");
	make_dir(u, "e");
	make_file(u, "e/x", "x");
	make_file(u, "l1", "linked");
	assert_int_equal(linkat(u, "l1", u, "l2", 0), 0);
	make_dir(u, "m");
	mark(u, "m", "origin", "handle");
	make_file(u, "m/f", "f");
	make_dir(u, "o");
	mark(u, "o", "opaque", "y");
	make_file(u, "o/f", "f");
	assert_int_equal(mknodat(u, "p", S_IFIFO | 0600, 0), 0);
	make_dir(u, "r");
	mark(u, "r", "origin", "handle");
	mark(u, "r", "redirect", "/elsewhere");
	make_file(u, "r/own", "own");
	make_dir(s->merged, "r");
	make_file(s->merged, "r/below", "below");
	make_file(s->merged, "r/own", "own");
	assert_int_equal(symlinkat("d/f", u, "s"), 0);
	make_whiteout(u, "w");
}

static void test_first_scan_takes_everything_in_layer_order(void **state)
{
	struct scans *s = *state;

	need_marks(s);
	make_tree(s);
	make_file(s->upper, "d-a", "");
	make_file(s->upper, "d.", "");
	assert_scan(s, "d:. d:d o:d/f o:d/g d:d/sub o:d/sub/h o:d-a o:d. d:e "
		       "o:e/x oL:l1 oL:l2 d:m o:m/f dO:o o:o/f o:p dO:r "
		       "oM:r/below oM:r/own o:s w:w ");
	assert_true(s->changes.has_links);
	assert_int_equal(s->changes.needed, 22);
	assert_int_equal(s->changes.changed, 15);
	assert_int_equal(s->changes.sockets, 0);
}

static void test_unchanged_tree_yields_nothing(void **state)
{
	struct scans *s = *state;

	need_marks(s);
	make_tree(s);
	scan(s);
	for (int i = 0; i < 3; i++) {
		assert_scan(s, "");
		assert_int_equal(s->changes.needed, 0);
		assert_int_equal(s->changes.changed, 0);
		assert_int_equal(s->changes.bytes, 0);
		assert_false(s->changes.has_links);
		assert_int_equal(s->changes.scanned, 18);
	}
}

static void test_empty_tree_yields_its_root_once(void **state)
{
	struct scans *s = *state;

	assert_scan(s, "d:. ");
	assert_int_equal(s->changes.changed, 0);
	assert_scan(s, "");
}

static void write_file(struct scans *s)
{
	make_file(s->upper, "d/f", "other");
}

static void write_same_size(struct scans *s)
{
	_cleanup_close_ int fd = openat(s->upper, "d/f", O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite_full(fd, "F", 1, 0), 0);
}

static void chmod_file(struct scans *s)
{
	assert_int_equal(fchmodat(s->upper, "d/f", 0600, 0), 0);
}

static void chown_file(struct scans *s)
{
	assert_int_equal(fchownat(s->upper, "d/f", 5, 6, 0), 0);
}

static void touch_file(struct scans *s)
{
	const struct timespec times[2] = {{0}, {0}};

	assert_int_equal(utimensat(s->upper, "d/f", times, 0), 0);
}

static void set_xattr(struct scans *s)
{
	_cleanup_close_ int fd = openat(s->upper, "d/f", O_WRONLY | O_CLOEXEC);

	assert_int_equal(fsetxattr(fd, "user.x", "y", 1, 0), 0);
}

static void chmod_directory(struct scans *s)
{
	assert_int_equal(fchmodat(s->upper, "d", 0700, 0), 0);
}

static void chmod_root(struct scans *s)
{
	assert_int_equal(fchmod(s->upper, 0700), 0);
}

static void add_file(struct scans *s)
{
	make_file(s->upper, "d/new", "");
}

static void add_directory(struct scans *s)
{
	make_dir(s->upper, "d/new");
	make_file(s->upper, "d/new/f", "");
}

static void remove_file(struct scans *s)
{
	remove_at(s->upper, "d/f");
}

static void remove_last_name(struct scans *s)
{
	remove_at(s->upper, "w");
	remove_at(s->upper, "s");
}

static void remove_directory(struct scans *s)
{
	remove_at(s->upper, "d");
}

static void whiten_file(struct scans *s)
{
	remove_at(s->upper, "d/f");
	make_whiteout(s->upper, "d/f");
}

static void whiten_directory(struct scans *s)
{
	remove_at(s->upper, "d");
	make_whiteout(s->upper, "d");
}

static void whiten_unknown(struct scans *s)
{
	make_whiteout(s->upper, "d/unknown");
}

static void whiten_again(struct scans *s)
{
	remove_at(s->upper, "w");
	make_whiteout(s->upper, "w");
}

static void replace_whiteout(struct scans *s)
{
	remove_at(s->upper, "w");
	make_file(s->upper, "w", "back");
}

static void replace_whiteout_by_directory(struct scans *s)
{
	remove_at(s->upper, "w");
	make_dir(s->upper, "w");
	mark(s->upper, "w", "opaque", "y");
	make_file(s->upper, "w/f", "");
}

static void remove_whiteout(struct scans *s)
{
	remove_at(s->upper, "w");
}

static void rename_file(struct scans *s)
{
	assert_int_equal(renameat(s->upper, "d/f", s->upper, "e/f"), 0);
}

static void rename_directory(struct scans *s)
{
	assert_int_equal(renameat(s->upper, "d/sub", s->upper, "a"), 0);
}

static void swap_directories(struct scans *s)
{
	assert_int_equal(
		renameat2(s->upper, "d", s->upper, "e", RENAME_EXCHANGE), 0);
}

static void file_to_directory(struct scans *s)
{
	remove_at(s->upper, "d/f");
	make_dir(s->upper, "d/f");
	make_file(s->upper, "d/f/in", "");
}

static void directory_to_file(struct scans *s)
{
	remove_at(s->upper, "d");
	make_file(s->upper, "d", "");
}

static void file_to_link(struct scans *s)
{
	remove_at(s->upper, "d/f");
	assert_int_equal(symlinkat("x", s->upper, "d/f"), 0);
}

static void retarget_link(struct scans *s)
{
	remove_at(s->upper, "s");
	assert_int_equal(symlinkat("d/g", s->upper, "s"), 0);
}

static void file_to_device(struct scans *s)
{
	remove_at(s->upper, "d/f");
	assert_int_equal(
		mknodat(s->upper, "d/f", S_IFCHR | 0600, makedev(0, 1)), 0);
}

/* Another directory in its place; the old one is kept, as its inode number
 * could be given out again. */
static void recreate_directory(struct scans *s)
{
	assert_int_equal(
		renameat(s->upper, "e", s->fixture->host->state_fd, "kept"), 0);
	make_dir(s->upper, "e");
	make_file(s->upper, "e/y", "");
}

static void recreate_opaque_directory(struct scans *s)
{
	recreate_directory(s);
	mark(s->upper, "e", "opaque", "y");
}

static void recreate_merged_directory(struct scans *s)
{
	assert_int_equal(
		renameat(s->upper, "m", s->fixture->host->state_fd, "kept"), 0);
	make_dir(s->upper, "m");
	mark(s->upper, "m", "origin", "handle");
	make_file(s->upper, "m/y", "");
}

static void same_directory_becomes_opaque(struct scans *s)
{
	mark(s->upper, "e", "opaque", "y");
}

static void opaque_of_other_value(struct scans *s)
{
	mark(s->upper, "e", "opaque", "x");
}

static void add_to_opaque(struct scans *s)
{
	make_file(s->upper, "o/new", "");
}

static void add_to_redirected(struct scans *s)
{
	make_file(s->upper, "r/new", "");
	remove_at(s->upper, "r/own");
	make_whiteout(s->upper, "r/own");
}

static void redirect_elsewhere(struct scans *s)
{
	mark(s->upper, "r", "redirect", "/other");
	remove_at(s->merged, "r/below");
	make_file(s->merged, "r/other", "");
}

/* What overlayfs leaves when "dir", all of it below, is renamed to "moved". */
static void move_lower_directory(struct scans *s)
{
	make_whiteout(s->upper, "dir");
	make_dir(s->upper, "moved");
	mark(s->upper, "moved", "redirect", "dir");
	mark(s->upper, "moved", "origin", "handle");
	make_dir(s->merged, "moved");
	make_dir(s->merged, "moved/sub");
	make_file(s->merged, "moved/sub/f", "");
	make_file(s->merged, "moved/z", "");
}

static void move_redirected(struct scans *s)
{
	assert_int_equal(renameat(s->upper, "r", s->upper, "q"), 0);
	assert_int_equal(renameat(s->merged, "r", s->merged, "q"), 0);
}

static void add_link(struct scans *s)
{
	assert_int_equal(linkat(s->upper, "d/f", s->upper, "d/f2", 0), 0);
}

static void remove_link(struct scans *s)
{
	remove_at(s->upper, "l2");
}

static void add_socket(struct scans *s)
{
	make_socket(s->upper, "sock");
}

static void socket_over_lower(struct scans *s)
{
	s->lower = "d/sock";
	make_socket(s->upper, "d/sock");
}

static void socket_over_captured(struct scans *s)
{
	remove_at(s->upper, "d/f");
	make_socket(s->upper, "d/f");
}

static void socket_over_directory(struct scans *s)
{
	remove_at(s->upper, "d");
	make_socket(s->upper, "d");
}

static void change_many(struct scans *s)
{
	remove_at(s->upper, "d/f");
	make_file(s->upper, "d/sub/h", "hh");
	remove_at(s->upper, "e/x");
	make_file(s->upper, "z", "");
	make_file(s->upper, "a", "");
}

static const struct change_case {
	void (*change)(struct scans *s);
	const char *want;
	/* What a further scan finds though nothing changed meanwhile. */
	const char *again;
} cases[] = {
	{write_file, "d:. dK:d oK:d/f ", ""},
	{write_same_size, "d:. dK:d oK:d/f ", ""},
	{chmod_file, "d:. dK:d oK:d/f ", ""},
	{chown_file, "d:. dK:d oK:d/f ", ""},
	{touch_file, "d:. dK:d oK:d/f ", ""},
	{set_xattr, "d:. dK:d oK:d/f ", ""},
	{chmod_directory, "d:. dK:d ", ""},
	{chmod_root, "d:. ", ""},
	{add_file, "d:. dK:d o:d/new ", ""},
	{add_directory, "d:. dK:d d:d/new o:d/new/f ", ""},
	{remove_file, "d:. dK:d w:d/f ", ""},
	{remove_last_name, "d:. w:s ", ""},
	{remove_directory, "d:. w:d ", ""},
	{whiten_file, "d:. dK:d wK:d/f ", ""},
	{whiten_directory, "d:. wK:d ", ""},
	{whiten_unknown, "d:. dK:d w:d/unknown ", ""},
	{whiten_again, "d:. ", ""},
	{replace_whiteout, "d:. o:w ", ""},
	{replace_whiteout_by_directory, "d:. dO:w o:w/f ", ""},
	{remove_whiteout, "d:. ", ""},
	{rename_file, "d:. dK:d w:d/f dK:e o:e/f ", ""},
	{rename_directory, "d:. d:a o:a/h dK:d w:d/sub ", ""},
	{swap_directories,
	 "d:. dOK:d o:d/x dOK:e o:e/f o:e/g d:e/sub o:e/sub/h ", ""},
	{file_to_directory, "d:. dK:d dK:d/f o:d/f/in ", ""},
	{directory_to_file, "d:. oK:d ", ""},
	{file_to_link, "d:. dK:d oK:d/f ", ""},
	{retarget_link, "d:. oK:s ", ""},
	{file_to_device, "d:. dK:d oK:d/f ", ""},
	{recreate_directory, "d:. dOK:e o:e/y ", ""},
	{recreate_opaque_directory, "d:. dOK:e o:e/y ", ""},
	{recreate_merged_directory, "d:. dK:m w:m/f o:m/y ", ""},
	{same_directory_becomes_opaque, "d:. dOK:e o:e/x ", ""},
	{opaque_of_other_value, "d:. dK:e ", ""},
	{add_to_opaque, "d:. dK:o o:o/new ", ""},
	{add_to_redirected, "d:. dK:r o:r/new wK:r/own ", ""},
	{redirect_elsewhere, "d:. dOK:r oM:r/other oM:r/own ", ""},
	{move_lower_directory,
	 "d:. w:dir dO:moved dM:moved/sub oM:moved/sub/f oM:moved/z ", ""},
	{move_redirected, "d:. dO:q oM:q/below oM:q/own w:r ", ""},
	{add_link, "d:. dK:d oKL:d/f oL:d/f2 ", ""},
	{remove_link, "d:. oK:l1 w:l2 ", ""},
	{add_socket, "d:. ", ""},
	/* The caller's lower has what was sealed last: then no more. */
	{socket_over_lower, "d:. dK:d w:d/sock ", "d:. dK:d w:d/sock "},
	{socket_over_captured, "d:. dK:d w:d/f ", ""},
	{socket_over_directory, "d:. w:d ", ""},
	{change_many, "d:. o:a dK:d w:d/f dK:d/sub oK:d/sub/h dK:e w:e/x o:z ",
	 ""},
};

static void test_each_change_yields_exactly_its_items(void **state)
{
	struct scans *s = *state;

	need_marks(s);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture *f = s->fixture;

		make_tree(s);
		scan(s);
		assert_scan(s, "");
		cases[i].change(s);
		assert_scan(s, cases[i].want);
		assert_scan(s, cases[i].again);
		scans_release(s);
		remove_at(f->host->state_fd, "upper");
		remove_at(f->host->state_fd, "merged");
		remove_at(f->host->state_fd, "kept");
		scans_init(s, f);
	}
}

static void test_changes_add_up_over_scans(void **state)
{
	struct scans *s = *state;

	need_marks(s);
	make_tree(s);
	scan(s);
	write_file(s);
	assert_scan(s, "d:. dK:d oK:d/f ");
	whiten_file(s);
	assert_scan(s, "d:. dK:d wK:d/f ");
	remove_at(s->upper, "d/f");
	assert_scan(s, "d:. dK:d ");
	make_file(s->upper, "d/f", "again");
	assert_scan(s, "d:. dK:d o:d/f ");
	remove_directory(s);
	assert_scan(s, "d:. w:d ");
	assert_scan(s, "");
	make_dir(s->upper, "d");
	assert_scan(s, "d:. d:d ");
}

static void test_lost_capture_takes_everything_again(void **state)
{
	struct scans *s = *state;

	need_marks(s);
	make_dir(s->upper, "d");
	make_file(s->upper, "d/f", "");
	assert_scan(s, "d:. d:d o:d/f ");
	closep(&s->capture);
	assert_scan(s, "d:. d:d o:d/f ");
}

static void test_plain_directory_has_no_marks(void **state)
{
	struct scans *s = *state;

	need_marks(s);
	make_tree(s);
	closep(&s->merged);
	assert_scan(s, "d:. d:d o:d/f o:d/g d:d/sub o:d/sub/h d:e o:e/x oL:l1 "
		       "oL:l2 d:m o:m/f d:o o:o/f o:p d:r o:r/own o:s o:w ");
}

static void test_sockets_are_counted(void **state)
{
	struct scans *s = *state;

	make_socket(s->upper, "a");
	make_dir(s->upper, "d");
	make_socket(s->upper, "d/b");
	assert_scan(s, "d:. d:d ");
	assert_int_equal(s->changes.sockets, 2);
	assert_scan(s, "");
	assert_int_equal(s->changes.sockets, 2);
}

/* The ctime of the newest object, which is the file. */
static int64_t file_time(struct scans *s)
{
	struct stat st;

	assert_int_equal(fstatat(s->upper, "f", &st, 0), 0);
	return (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
}

static bool file_is_found(struct scans *s)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	scan(s);
	dump_changes(&s->changes, &b);
	return strstr(buf_str(&b), "oK:f ");
}

static void test_times_at_the_stamp_count_as_changed(void **state)
{
	struct scans *s = *state;

	make_file(s->upper, "f", "x");
	s->stamp = file_time(s);
	scan(s);
	assert_true(file_is_found(s));
	s->stamp = file_time(s) + 1;
	assert_true(file_is_found(s));
	assert_false(file_is_found(s));
}

static void test_times_within_two_ticks_count_as_changed(void **state)
{
	struct scans *s = *state;

	s->coarse = true;
	make_file(s->upper, "f", "x");
	s->stamp = file_time(s) + SCAN_RACY_NS;
	scan(s);
	assert_true(file_is_found(s));
	s->stamp = file_time(s) + SCAN_RACY_NS + 1;
	assert_true(file_is_found(s));
	assert_false(file_is_found(s));
}

static void test_items_name_their_record_in_the_capture(void **state)
{
	_cleanup_(captured_writer_freep) struct captured_writer *after = NULL;
	struct scans *s = *state;
	const struct captured other = {.mode = S_IFREG, .inode = 1};
	struct scan_request request = {.host = s->fixture->host,
				       .root_fd = s->upper,
				       .merged_fd = s->merged,
				       .fine_times = true};

	make_dir(s->upper, "d");
	make_file(s->upper, "d/a", "");
	make_file(s->upper, "d/b", "");
	make_file(s->upper, "e", "");
	s->capture = memfd_create("captured", MFD_CLOEXEC);
	assert_int_equal(captured_writer_new(&after, s->capture), 0);
	request.after = after;
	assert_ok(s->fixture,
		  scan_upper(&request, &s->changes, &s->fixture->err));
	for (uint32_t i = 0; i < s->changes.n; i++)
		if (strcmp(change_name(&s->changes, i), "b") == 0)
			assert_int_equal(
				captured_patch(after,
					       s->changes.items[i].captured,
					       &other),
				0);
	assert_int_equal(captured_finish(after, STAMP_LATE), 0);
	assert_scan(s, "d:. dK:d oK:d/b ");
}

static int count_reports(const char *stage, uint64_t done, uint64_t total,
			 uint64_t files, void *ctx)
{
	int *reports = ctx;

	(void)done;
	(void)total;
	assert_string_equal(stage, "scan");
	assert_true(files > 0);
	return ++*reports ? -ECANCELED : 0;
}

static void test_scan_reports_and_can_be_stopped(void **state)
{
	struct scans *s = *state;
	int reports = 0;
	char name[16];

	for (int i = 0; i < 4200; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(mknodat(s->upper, name, S_IFREG | 0600, 0), 0);
	}
	s->progress = (struct progress){count_reports, &reports};
	assert_int_equal(try_scan(s), -ECANCELED);
	assert_int_equal(reports, 1);
	s->progress.report = NULL;
	s->fixture->host->stopping = true;
	closep(&s->capture);
	assert_int_equal(try_scan(s), -ECANCELED);
	s->fixture->host->stopping = false;
	closep(&s->capture);
	scan(s);
	assert_int_equal(s->changes.changed, 4200);
}

/* Makes depth directories of 200 bytes, one in the other, with a file in the
 * innermost, and returns a descriptor of that. */
static int make_deep(int dir, int depth)
{
	char name[201];

	dir = dup(dir);
	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (int i = 0; i < depth; i++) {
		int next;

		make_dir(dir, name);
		next = open_at(dir, name);
		(void)close(dir);
		dir = next;
	}
	make_file(dir, "file", "");
	return dir;
}

static void test_paths_beyond_path_max_are_scanned(void **state)
{
	enum {
		DEPTH = 30
	};
	struct scans *s = *state;
	_cleanup_buf_ struct buf path = BUF_INIT;
	_cleanup_close_ int upper = make_deep(s->upper, DEPTH);
	_cleanup_close_ int merged = make_deep(s->merged, DEPTH);

	need_marks(s);
	scan(s);
	assert_int_equal(s->changes.needed, DEPTH + 2);
	make_dir(upper, "redirected");
	mark(upper, "redirected", "redirect", "/x");
	make_dir(merged, "redirected");
	make_file(merged, "redirected/below", "");
	scan(s);
	assert_int_equal(s->changes.needed, DEPTH + 3);
	assert_int_equal(
		change_path(&s->changes, (uint32_t)s->changes.n - 1, &path), 0);
	assert_true(path.size > PATH_MAX);
	assert_string_equal(path.data + path.size - 17, "/redirected/below");
	assert_scan(s, "");
}

int main(void)
{
#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, setup_scans, teardown_scans)
	const struct CMUnitTest tests[] = {
		T(test_first_scan_takes_everything_in_layer_order),
		T(test_unchanged_tree_yields_nothing),
		T(test_empty_tree_yields_its_root_once),
		T(test_each_change_yields_exactly_its_items),
		T(test_changes_add_up_over_scans),
		T(test_lost_capture_takes_everything_again),
		T(test_plain_directory_has_no_marks),
		T(test_sockets_are_counted),
		T(test_times_at_the_stamp_count_as_changed),
		T(test_times_within_two_ticks_count_as_changed),
		T(test_items_name_their_record_in_the_capture),
		T(test_scan_reports_and_can_be_stopped),
		T(test_paths_beyond_path_max_are_scanned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
