/* SPDX-License-Identifier: Apache-2.0 */

/* What a scan finds: everything at first, nothing in an unchanged tree, and
 * what it makes of times, stops, forged captures and long paths. */

#include "scan-fixture.h"

#include <limits.h>

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

/* Records that no scan has written, behind a digest that is right. */
static void forge_capture(struct scans *s, uint64_t *seed)
{
	static const char *const names[] = {"",	 ".", "..", "d", "d/f",	 "f",
					    "e", "z", "/",  "g", "\xff", "a/b"};
	_cleanup_(captured_writer_freep) struct captured_writer *w = NULL;
	size_t n = (size_t)random_below(seed, 30);
	char longest[300];
	uint64_t offset;

	memset(longest, 'n', sizeof(longest));
	closep(&s->capture);
	s->capture = memfd_create("captured", MFD_CLOEXEC);
	assert_int_equal(captured_writer_new(&w, s->capture), 0);
	for (size_t i = 0; i < n; i++) {
		const char *name = names[random_below(seed, ARRAY_SIZE(names))];
		struct captured c = {.depth = (uint16_t)random_below(seed, 5),
				     .name = name,
				     .name_size = (uint16_t)strlen(name),
				     .mode = random_below(seed, 2) ? S_IFDIR
								   : S_IFREG,
				     .flags = (uint32_t)random_below(seed, 4),
				     .inode = next_random(seed),
				     .redirect = random_below(seed, 2)};

		if (random_below(seed, 20) == 0) {
			c.name = longest;
			c.name_size = sizeof(longest);
		}
		if (random_below(seed, 20) == 0)
			c.depth = UINT16_MAX;
		assert_int_equal(captured_add(w, &c, &offset), 0);
	}
	assert_int_equal(captured_finish(w, STAMP_LATE), 0);
}

static bool names_item(const struct changes *c, const char *path)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (uint32_t i = 0; i < c->n; i++) {
		assert_int_equal(change_path(c, i, &b), 0);
		if (c->items[i].kind != CHANGE_WHITEOUT &&
		    strcmp((char *)b.data, path) == 0)
			return c->items[i].flags & CHANGE_NEEDED;
	}
	return false;
}

static void test_forged_captures_hide_nothing_that_is_there(void **state)
{
	struct scans *s = *state;
	uint64_t seed = 1;

	make_dir(s->upper, "d");
	make_file(s->upper, "d/f", "");
	make_file(s->upper, "g", "");
	for (int i = 0; i < 300; i++) {
		forge_capture(s, &seed);
		scan(s);
		assert_true(names_item(&s->changes, "d/f"));
		assert_true(names_item(&s->changes, "g"));
	}
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
		T(test_lost_capture_takes_everything_again),
		T(test_plain_directory_has_no_marks),
		T(test_sockets_are_counted),
		T(test_times_at_the_stamp_count_as_changed),
		T(test_times_within_two_ticks_count_as_changed),
		T(test_items_name_their_record_in_the_capture),
		T(test_scan_reports_and_can_be_stopped),
		T(test_forged_captures_hide_nothing_that_is_there),
		T(test_paths_beyond_path_max_are_scanned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
