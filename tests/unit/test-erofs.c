/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a layer: what was added comes back, in whatever order it was
 * added. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "erofs-fixture.h"

static void assert_sound(const struct image *im)
{
	struct err err = ERR_INIT;

	if (image_check(im, &err) < 0)
		fail_msg("%s", err.text);
}

/* Makes an image and compares what a walk says with the text. */
static void assert_becomes(const struct entry *entries, size_t n,
			   const char *text)
{
	_cleanup_buf_ struct buf dump = BUF_INIT;
	_cleanup_image_ struct image im;

	image_make(&im, entries, n, TAR_SIZE);
	assert_sound(&im);
	assert_string_equal(dump_image(&im, "", &dump), text);
}

#define ROOT " - 40755 0:0 0.000000000\n"

static void test_image_of_nothing_has_an_empty_root(void **state)
{
	assert_becomes(NULL, 0, ROOT);
}

static void test_walk_gives_back_every_kind_of_entry(void **state)
{
	_cleanup_buf_ struct buf want = BUF_INIT;

	assert_becomes(sample, N_SAMPLE, dump_entries(sample, N_SAMPLE, &want));
}

static void test_sample_is_in_path_order(void **state)
{
	for (size_t i = 1; i < N_SAMPLE; i++)
		assert_true(entry_path_compare(sample[i - 1].path,
					       sample[i].path) < 0);
}

static int add_to_writer(const struct entry *e, uint64_t nid, void *ctx,
			 struct err *err)
{
	return erofs_writer_add(ctx, e, err);
}

static void test_image_made_from_a_walk_is_the_same_image(void **state)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	_cleanup_(erofs_reader_freep) struct erofs_reader *r = NULL;
	_cleanup_image_ struct image a, b;
	struct err err = ERR_INIT;

	image_make(&a, sample, N_SAMPLE, TAR_SIZE);
	assert_int_equal(image_open(&a, &r, &err), 0);
	assert_int_equal(erofs_writer_new(&w), 0);
	assert_int_equal(erofs_reader_walk(r, "", add_to_writer, w, &err), 0);
	assert_int_equal(erofs_writer_count(w), N_SAMPLE - 1);
	image_finish(&b, w, TAR_SIZE);
	assert_same(&a, &b);
}

static void test_image_does_not_depend_on_the_order_of_entries(void **state)
{
	struct entry shuffled[N_SAMPLE];
	_cleanup_image_ struct image want;

	image_make(&want, sample, N_SAMPLE, TAR_SIZE);
	for (unsigned round = 1; round <= 20; round++) {
		_cleanup_image_ struct image got;
		size_t link = 0, target = 0;

		memcpy(shuffled, sample, sizeof(sample));
		srand(round);
		for (size_t i = N_SAMPLE - 1; i > 0; i--) {
			size_t k = (size_t)rand() % (i + 1);
			struct entry swap = shuffled[i];

			shuffled[i] = shuffled[k];
			shuffled[k] = swap;
		}
		/* Only a hard link must follow its target; which of the two
		 * names is "the file" does not matter for the image. */
		for (size_t i = 0; i < N_SAMPLE; i++) {
			if (shuffled[i].flags & ENTRY_HARDLINK)
				link = i;
			if (strcmp(shuffled[i].path, "a/first") == 0)
				target = i;
		}
		if (link < target) {
			const char *path = shuffled[target].path;

			shuffled[link] = shuffled[target];
			shuffled[link].path = "also-first";
			shuffled[target] =
				(struct entry)HARDLINK(path, "also-first");
		}
		image_make(&got, shuffled, N_SAMPLE, TAR_SIZE);
		assert_same(&got, &want);
	}
}

static void test_walk_of_a_part_stays_within_it(void **state)
{
	_cleanup_buf_ struct buf a = BUF_INIT, want = BUF_INIT, file = BUF_INIT;
	_cleanup_image_ struct image im;

	image_make(&im, sample, N_SAMPLE, TAR_SIZE);
	assert_string_equal(dump_image(&im, "a", &a),
			    dump_entries(&sample[5], 3, &want));
	want.size = 0;
	assert_string_equal(dump_image(&im, "sparse", &file),
			    dump_entries(&sample[21], 1, &want));
}

static void test_lookup_finds_every_name_and_no_other(void **state)
{
	_cleanup_(erofs_reader_freep) struct erofs_reader *r = NULL;
	const char *absent[] = {"b",	  "a/",	 "a//first", "/a",     ".",
				"..",	  "a/.", "a/../a",   "a/firs", "zzzzz",
				"link/x", "!",	 "a/first/x"};
	_cleanup_image_ struct image im;
	struct err err = ERR_INIT;
	struct entry e;
	uint64_t nid, first;

	image_make(&im, sample, N_SAMPLE, TAR_SIZE);
	assert_int_equal(image_open(&im, &r, &err), 0);
	for (size_t i = 0; i < N_SAMPLE; i++) {
		_cleanup_buf_ struct buf got = BUF_INIT, want = BUF_INIT;

		assert_int_equal(
			erofs_reader_lookup(r, sample[i].path, &e, &nid, &err),
			0);
		if (sample[i].flags & ENTRY_HARDLINK)
			continue;
		(void)dump_entry(&e, nid, &got, NULL);
		assert_string_equal(buf_str(&got),
				    dump_entries(&sample[i], 1, &want));
	}
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
		assert_int_equal(
			erofs_reader_lookup(r, absent[i], &e, &nid, &err),
			-ENOENT);
		assert_int_equal(err.code, 0);
	}
	assert_int_equal(erofs_reader_lookup(r, "a/first", &e, &first, &err),
			 0);
	/* The path of the last answer may be asked for again. */
	assert_int_equal(erofs_reader_lookup(r, e.path, &e, &nid, &err), 0);
	assert_int_equal(erofs_reader_lookup(r, "also-first", &e, &nid, &err),
			 0);
	assert_int_equal(nid, first);
}

static void test_missing_parents_are_made_and_described_later(void **state)
{
	const struct entry entries[] = {
		FILE_AT("d/e/f", 0, 0),
		{.path = "d", .mode = S_IFDIR | 0700, .mtime = 9},
		FILE_AT("d/g", 0, 0),
	};

	assert_becomes(entries, 3,
		       ROOT "d - 40700 0:0 9.000000000\n"
			    "d/e - 40755 0:0 0.000000000\n"
			    "d/e/f - 100644 0:0 0.000000000 size=0 at=0\n"
			    "d/g - 100644 0:0 0.000000000 size=0 at=0\n");
}

static void test_opaque_mark_keeps_attributes_before_and_after(void **state)
{
	const struct entry entries[] = {
		DIRECTORY("a", .mtime = 1),
		{.path = "a", .flags = ENTRY_OPAQUE},
		{.path = "b", .flags = ENTRY_OPAQUE},
		DIRECTORY("b", .mtime = 2),
		{.path = "", .flags = ENTRY_OPAQUE},
		DIRECTORY("", .mtime = 3),
		FILE_AT("f", 0, 0),
		{.path = "f", .flags = ENTRY_OPAQUE},
		{.path = "f/x", .flags = ENTRY_OPAQUE},
	};

	assert_becomes(entries, ARRAY_SIZE(entries),
		       " opaque 40755 0:0 3.000000000\n"
		       "a opaque 40755 0:0 1.000000000\n"
		       "b opaque 40755 0:0 2.000000000\n"
		       "f - 100644 0:0 0.000000000 size=0 at=0\n");
}

static void test_file_in_place_of_directory_empties_it(void **state)
{
	const struct entry entries[] = {
		FILE_AT("d/e/f", 5, 0, .mtime = 1),
		HARDLINK("kept", "d/e/f"),
		FILE_AT("d", 0, 0),
		DIRECTORY("d"),
		FILE_AT("d/new", 0, 0),
	};

	assert_becomes(entries, ARRAY_SIZE(entries),
		       ROOT "d - 40755 0:0 0.000000000\n"
			    "d/new - 100644 0:0 0.000000000 size=0 at=0\n"
			    "kept - 100644 0:0 1.000000000 size=5 at=0\n");
}

static void test_count_follows_what_is_replaced(void **state)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	struct entry entries[] = {
		FILE_AT("d/e/f", 0, 0), FILE_AT("d/e/g", 0, 0),
		HARDLINK("l", "d/e/f"), HARDLINK("l", "l"),
		DIRECTORY("d"),		FILE_AT("d/e", 0, 0),
		WHITEOUT("d"),		DIRECTORY("d"),
	};
	const unsigned want[] = {3, 4, 5, 5, 5, 3, 2, 2};
	struct err err = ERR_INIT;

	assert_int_equal(erofs_writer_new(&w), 0);
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		assert_int_equal(erofs_writer_add(w, &entries[i], &err), 0);
		assert_int_equal(erofs_writer_count(w), want[i]);
	}
}

static void test_replaced_file_leaves_its_other_names_alone(void **state)
{
	const struct entry entries[] = {
		FILE_AT("a", 5, 0),
		HARDLINK("b", "a"),
		FILE_AT("a", 6, 512),
		HARDLINK("c", "b"),
	};

	assert_becomes(entries, ARRAY_SIZE(entries),
		       ROOT "a - 100644 0:0 0.000000000 size=6 at=512\n"
			    "b - 100644 0:0 0.000000000 size=5 at=0\n"
			    "c link b\n");
}

static void test_links_name_the_first_name_in_path_order(void **state)
{
	const struct entry entries[] = {
		SYMLINK("z/z", "target"),   HARDLINK("z/y/x", "z/z"),
		HARDLINK("a/b/c", "z/y/x"), DIRECTORY("a/b/d"),
		HARDLINK("a/b/d/e", "z/z"),
	};

	assert_becomes(entries, ARRAY_SIZE(entries),
		       ROOT "a - 40755 0:0 0.000000000\n"
			    "a/b - 40755 0:0 0.000000000\n"
			    "a/b/c - 120777 0:0 0.000000000 -> target\n"
			    "a/b/d - 40755 0:0 0.000000000\n"
			    "a/b/d/e link a/b/c\n"
			    "z - 40755 0:0 0.000000000\n"
			    "z/y - 40755 0:0 0.000000000\n"
			    "z/y/x link a/b/c\n"
			    "z/z link a/b/c\n");
}

static void test_whiteouts_replace_and_are_replaced(void **state)
{
	const struct entry entries[] = {
		FILE_AT("d/f", 0, 0),	  WHITEOUT("d"),
		WHITEOUT("file/below"),	  FILE_AT("file", 0, 0),
		WHITEOUT("file/below"),	  WHITEOUT("gone"),
		FILE_AT("gone", 0, 0),	  WHITEOUT("hidden"),
		WHITEOUT("hidden/below"), WHITEOUT("new"),
		FILE_AT("new/f", 0, 0),
	};

	assert_becomes(entries, ARRAY_SIZE(entries),
		       ROOT "d whiteout\n"
			    "file - 100644 0:0 0.000000000 size=0 at=0\n"
			    "gone - 100644 0:0 0.000000000 size=0 at=0\n"
			    "hidden whiteout\n"
			    "new opaque 40755 0:0 0.000000000\n"
			    "new/f - 100644 0:0 0.000000000 size=0 at=0\n");
}

static void test_unknown_attributes_are_left_out(void **state)
{
	const struct xattr xattrs[] = {
		{"lustre.lov", "x", 1},
		{"security.", "x", 1},
		{"system.nfs4_acl", "x", 1},
		{"system.posix_acl_access.x", "x", 1},
		{"user.kept", "x", 1},
	};
	const struct entry e = FILE_AT("f", 0, 0, XATTRS(xattrs));

	assert_becomes(&e, 1,
		       ROOT "f - 100644 0:0 0.000000000 size=0 at=0 "
			    "user.kept=1:78\n");
}

static void test_sparse_file_without_holes_is_a_plain_file(void **state)
{
	const struct extent whole[] = {{0, 10000}};
	const struct entry sparse = FILE_AT("f", 10000, 512, EXTENTS(whole));
	const struct entry plain = FILE_AT("f", 10000, 512);
	_cleanup_image_ struct image a, b;

	image_make(&a, &sparse, 1, TAR_SIZE);
	image_make(&b, &plain, 1, TAR_SIZE);
	assert_same(&a, &b);
}

static void test_files_of_every_size_come_back(void **state)
{
	const uint64_t tib = 1ull << 40;
	const struct entry entries[] = {
		FILE_AT("a", 511, 0),
		FILE_AT("b", 512, 0),
		FILE_AT("c", 513, 0),
		FILE_AT("d", tib - 1, 512),
		FILE_AT("e", tib, 512),
		FILE_AT("f", tib + 1, 512),
		FILE_AT("g", 2 * tib - 1024, 512),
	};
	_cleanup_buf_ struct buf want = BUF_INIT, got = BUF_INIT;
	_cleanup_image_ struct image im;

	image_make(&im, entries, ARRAY_SIZE(entries), 2 * tib - 512);
	assert_sound(&im);
	assert_string_equal(strchr(dump_image(&im, "", &got), '\n') + 1,
			    dump_entries(entries, ARRAY_SIZE(entries), &want));
}

static void test_targets_of_every_length_come_back(void **state)
{
	static char names[300][8], targets[300][4097];
	struct entry entries[300];
	_cleanup_buf_ struct buf want = BUF_INIT, got = BUF_INIT;
	_cleanup_image_ struct image im;

	for (size_t i = 0; i < 300; i++) {
		size_t length = i < 290 ? 350 + i : 4095 - (299 - i) * 64;

		snprintf(names[i], sizeof(names[i]), "s%03zu", i);
		memset(targets[i], 'a' + (int)(i % 26), length);
		entries[i] = (struct entry)SYMLINK(names[i], targets[i]);
	}
	image_make(&im, entries, 300, TAR_SIZE);
	assert_sound(&im);
	assert_string_equal(strchr(dump_image(&im, "", &got), '\n') + 1,
			    dump_entries(entries, 300, &want));
}

static void test_attributes_of_every_size_come_back(void **state)
{
	static uint8_t value[65535];
	static char names[200][8];
	struct xattr xattrs[200];
	struct entry entries[200];
	_cleanup_buf_ struct buf want = BUF_INIT, got = BUF_INIT;
	_cleanup_image_ struct image im;

	memset(value, 0xa5, sizeof(value));
	for (size_t i = 0; i < 200; i++) {
		snprintf(names[i], sizeof(names[i]), "f%03zu", i);
		xattrs[i] = (struct xattr){"user.x", value,
					   i < 196 ? i * 3
						   : sizeof(value) - (199 - i)};
		entries[i] = (struct entry){
			.path = names[i],
			.mode = i % 2 ? S_IFDIR : S_IFLNK,
			.target = "0123456789",
			.xattrs = &xattrs[i],
			.n_xattrs = 1,
		};
	}
	image_make(&im, entries, 200, TAR_SIZE);
	assert_sound(&im);
	assert_string_equal(strchr(dump_image(&im, "", &got), '\n') + 1,
			    dump_entries(entries, 200, &want));
}

struct counter {
	uint64_t n;
	char last[ENTRY_PATH_MAX + 1];
	size_t longest;
};

static int count_entry(const struct entry *e, uint64_t nid, void *ctx,
		       struct err *err)
{
	struct counter *c = ctx;

	if (c->n++ && entry_path_compare(c->last, e->path) >= 0)
		return err_set(err, EILSEQ, "out of order");
	memcpy(c->last, e->path, strlen(e->path) + 1);
	c->longest = MAX(c->longest, strlen(e->path));
	return 0;
}

static void count_image(const struct image *im, struct counter *c)
{
	_cleanup_(erofs_reader_freep) struct erofs_reader *r = NULL;
	struct err err = ERR_INIT;

	*c = (struct counter){0};
	assert_int_equal(image_open(im, &r, &err), 0);
	if (erofs_reader_walk(r, "", count_entry, c, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_directory_of_100000_files_in_any_order(void **state)
{
	static struct counter c;
	_cleanup_image_ struct image sorted, mixed;

	for (unsigned pass = 0; pass < 2; pass++) {
		_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
		struct err err = ERR_INIT;
		char path[32];

		assert_int_equal(erofs_writer_new(&w), 0);
		for (unsigned i = 0; i < 100000; i++) {
			/* 7919 is prime to 100000: each number once. */
			unsigned k = pass ? i * 7919 % 100000 : i;
			struct entry e = FILE_AT(path, k, 512 * (k % 100));

			snprintf(path, sizeof(path), "d/%06u", k);
			assert_int_equal(erofs_writer_add(w, &e, &err), 0);
		}
		image_finish(pass ? &mixed : &sorted, w, TAR_SIZE);
	}
	assert_same(&sorted, &mixed);
	assert_sound(&sorted);
	count_image(&sorted, &c);
	assert_int_equal(c.n, 100002);
}

static void test_path_of_60000_bytes_comes_back(void **state)
{
	static char path[ENTRY_PATH_MAX + 1];
	static struct counter c;
	const struct entry entries[] = {
		FILE_AT(path, 1, 0),
		HARDLINK("z", path),
		DIRECTORY("b"),
	};
	_cleanup_image_ struct image im;

	memset(path, 'a', 60000);
	for (size_t i = 2; i < 59999; i += 3)
		path[i] = '/';
	image_make(&im, entries, ARRAY_SIZE(entries), TAR_SIZE);
	assert_sound(&im);
	count_image(&im, &c);
	assert_int_equal(c.longest, 60000);
	assert_int_equal(c.n, 20003);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_of_nothing_has_an_empty_root),
		cmocka_unit_test(test_walk_gives_back_every_kind_of_entry),
		cmocka_unit_test(test_sample_is_in_path_order),
		cmocka_unit_test(test_image_made_from_a_walk_is_the_same_image),
		cmocka_unit_test(
			test_image_does_not_depend_on_the_order_of_entries),
		cmocka_unit_test(test_walk_of_a_part_stays_within_it),
		cmocka_unit_test(test_lookup_finds_every_name_and_no_other),
		cmocka_unit_test(
			test_missing_parents_are_made_and_described_later),
		cmocka_unit_test(
			test_opaque_mark_keeps_attributes_before_and_after),
		cmocka_unit_test(test_file_in_place_of_directory_empties_it),
		cmocka_unit_test(test_count_follows_what_is_replaced),
		cmocka_unit_test(
			test_replaced_file_leaves_its_other_names_alone),
		cmocka_unit_test(test_links_name_the_first_name_in_path_order),
		cmocka_unit_test(test_whiteouts_replace_and_are_replaced),
		cmocka_unit_test(test_unknown_attributes_are_left_out),
		cmocka_unit_test(
			test_sparse_file_without_holes_is_a_plain_file),
		cmocka_unit_test(test_files_of_every_size_come_back),
		cmocka_unit_test(test_targets_of_every_length_come_back),
		cmocka_unit_test(test_attributes_of_every_size_come_back),
		cmocka_unit_test(test_directory_of_100000_files_in_any_order),
		cmocka_unit_test(test_path_of_60000_bytes_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
