/* SPDX-License-Identifier: Apache-2.0 */

/* Of each kind of change a scan finds exactly what a layer must get. Needs root
 * for overlayfs' marks. */

#include "scan-fixture.h"

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
	s->lower = " d/sock ";
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
	/* The layers here stay as they are: it is to be hidden again. */
	{socket_over_lower, "d:. dK:d w:d/sock ", "d:. dK:d w:d/sock "},
	{socket_over_captured, "d:. dK:d w:d/f ", ""},
	{socket_over_directory, "d:. w:d ", "d:. w:d "},
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

int main(void)
{
#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, setup_scans, teardown_scans)
	const struct CMUnitTest tests[] = {
		T(test_each_change_yields_exactly_its_items),
		T(test_changes_add_up_over_scans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
