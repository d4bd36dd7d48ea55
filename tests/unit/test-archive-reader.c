/* SPDX-License-Identifier: Apache-2.0 */
/* Reads back what the writer made. Entries are compared as text, a line each.
 */
#include "tar-fixture.h"

#include "format/posix-acl.h"

static void assert_round_trip(const struct entry *entries, size_t n)
{
	_cleanup_buf_ struct buf tar = BUF_INIT, expected = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		struct entry e = entries[i];

		e.payload = add_entry(&tar, &e);
		assert_int_equal(e.payload % TAR_BLOCK, 0);
		dump(&e, &expected);
	}
	assert_int_equal(tar_add_end(&tar), 0);
	assert_reads_as(&tar, ARCHIVE_SEALED, buf_str(&expected));
}

static void test_every_kind_of_object_comes_back(void **state)
{
	const struct entry entries[] = {
		{.path = "", .mode = S_IFDIR | 0755},
		{.path = "blk",
		 .mode = S_IFBLK | 0640,
		 .rdev_major = 4095,
		 .rdev_minor = 1048575},
		{.path = "chr",
		 .mode = S_IFCHR | 0666,
		 .rdev_major = 1,
		 .rdev_minor = 3},
		{.path = "dir", .mode = S_IFDIR | 03777, .uid = 1, .gid = 2},
		{.path = "dir/empty", .mode = S_IFREG | 06755},
		{.path = "dir/file",
		 .mode = S_IFREG | 0600,
		 .size = 513,
		 .uid = UINT32_MAX - 1,
		 .gid = 2097152},
		{.path = "dir/link",
		 .mode = S_IFLNK | 0777,
		 .target = "../a/./b//c"},
		{.path = "dir/same",
		 .flags = ENTRY_HARDLINK,
		 .mode = 0600,
		 .target = "dir/file",
		 .mtime = 5},
		{.path = "fifo", .mode = S_IFIFO | 0600},
		{.path = "gone", .flags = ENTRY_WHITEOUT},
	};

	assert_round_trip(entries, ARRAY_SIZE(entries));
}

static void test_times_come_back_to_the_nanosecond(void **state)
{
	static const struct {
		int64_t mtime;
		uint32_t nsec;
	} times[] = {
		{0, 0},
		{0, 1},
		{1, 500000000},
		{-1, 0},
		{-1, 999999999},
		{-2, 500000000},
		{-1, 1},
		{-3000000000, 1},
		{077777777777, 999999999},
		{0100000000000, 0},
		{INT64_MAX, 999999999},
		{INT64_MIN + 2, 1},
		{INT64_MIN, 0},
		{INT64_MIN, 1},
	};
	struct entry entries[ARRAY_SIZE(times)] = {0};

	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		entries[i] = (struct entry){.path = "f",
					    .mode = S_IFREG,
					    .mtime = times[i].mtime,
					    .mtime_nsec = times[i].nsec};
	assert_round_trip(entries, ARRAY_SIZE(entries));
}

static void test_names_come_back_byte_for_byte(void **state)
{
	char name99[100], name100[101], name101[102], name255[256];
	char deep[3001], target[4096];

	fill_name(name99, 99, 'a');
	fill_name(name100, 100, 'b');
	fill_name(name101, 101, 'c');
	fill_name(name255, 255, '\xfe');
	fill_name(target, 4095, '\xc3');
	for (size_t i = 0; i < 3000; i++)
		deep[i] = i % 100 == 99 ? '/' : 'd';
	deep[2999] = '\0';
	const struct entry entries[] = {
		/* First in the tarball: libarchive 3.6 loses such a target. */
		{.path = "\xff\xfe", .mode = S_IFLNK, .target = target},
		{.path = name99, .mode = S_IFDIR},
		{.path = name100, .mode = S_IFDIR},
		{.path = name100, .mode = S_IFREG},
		{.path = name101, .mode = S_IFREG, .size = 3},
		{.path = name255, .mode = S_IFREG},
		{.path = name255, .flags = ENTRY_HARDLINK, .target = deep},
		{.path = deep, .mode = S_IFREG, .size = 1},
		{.path = "\xc3\xa9", .mode = S_IFLNK, .target = "\xc3\xa9"},
		{.path = "a b\nc\\d", .mode = S_IFREG},
		{.path = "mixed\xff", .mode = S_IFLNK, .target = "\xc3\xa9"},
		{.path = name255, .flags = ENTRY_WHITEOUT},
	};

	assert_round_trip(entries, ARRAY_SIZE(entries));
}

static void test_xattrs_come_back_byte_for_byte(void **state)
{
	static char large[ENTRY_XATTR_SIZE_MAX];
	const struct xattr xattrs[] = {
		{"security.capability", "\1\0\0\2\0\0\0\0", 8},
		{"trusted.overlay.opaque", "y", 1},
		{"user.%3D=%", "a=b\n\0", 5},
		{"user.empty", "", 0},
		{"user.large", large, sizeof(large)},
		{"user.n\nl", "\n", 1},
		{"user.\xff", "\xff", 1},
	};
	const struct entry entries[] = {
		{.path = "d", .mode = S_IFDIR, .xattrs = xattrs, .n_xattrs = 7},
		{.path = "f",
		 .mode = S_IFREG,
		 .xattrs = xattrs + 3,
		 .n_xattrs = 1,
		 .size = 7},
		{.path = "g", .mode = S_IFREG},
	};

	memset(large, 0xa5, sizeof(large));
	assert_round_trip(entries, ARRAY_SIZE(entries));
}

static void test_mode_comes_back_beside_an_acl(void **state)
{
	/* The group's entry has r--, the mode has the mask's rwx. */
	static const char text[] = "user::rw-\nuser:7:r-x\ngroup::r--\n"
				   "mask::rwx\nother::---\n";
	_cleanup_buf_ struct buf acl = BUF_INIT;
	struct xattr xattr = {.name = POSIX_ACL_ACCESS_XATTR};
	const struct entry entries[] = {
		{.path = "d",
		 .mode = S_IFDIR | 01670,
		 .xattrs = &xattr,
		 .n_xattrs = 1},
		{.path = "f",
		 .mode = S_IFREG | 04670,
		 .xattrs = &xattr,
		 .n_xattrs = 1},
	};

	assert_int_equal(posix_acl_from_text(text, strlen(text), &acl), 0);
	xattr.value = acl.data;
	xattr.size = acl.size;
	assert_round_trip(entries, ARRAY_SIZE(entries));
}

static void test_holes_come_back(void **state)
{
	static const struct extent two[] = {{4096, 4096}, {1 << 20, 5000}};
	static const struct extent first[] = {{0, 512}};
	static const struct extent far[] = {
		{INT64_MAX / 4096 * 4096 - 4096, 9}};
	static struct extent many[3000];
	const struct entry entries[] = {
		{.path = "all-hole",
		 .mode = S_IFREG,
		 .sparse = true,
		 .size = 1 << 20},
		{.path = "far",
		 .mode = S_IFREG,
		 .sparse = true,
		 .extents = far,
		 .n_extents = 1,
		 .size = INT64_MAX},
		{.path = "hole-last",
		 .mode = S_IFREG,
		 .sparse = true,
		 .size = 1 << 20,
		 .extents = first,
		 .n_extents = 1},
		{.path = "many",
		 .mode = S_IFREG,
		 .sparse = true,
		 .size = 3000 * 1024,
		 .extents = many,
		 .n_extents = 3000},
		{.path = "two\xff",
		 .mode = S_IFREG,
		 .sparse = true,
		 .size = (1 << 20) + 5000,
		 .extents = two,
		 .n_extents = 2},
		{.path = "z", .mode = S_IFREG, .size = 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct extent){i * 1024, 512};
	assert_round_trip(entries, ARRAY_SIZE(entries));
}

static void test_names_that_look_like_marks_come_back(void **state)
{
	char name255[256];

	fill_name(name255, 255, 'x');
	memcpy(name255, ".wh.", 4);
	const struct entry entries[] = {
		{.path = ".wh.", .mode = S_IFDIR},
		{.path = ".wh./.wh.a/.wh..wh..opq", .mode = S_IFREG},
		{.path = ".wh.a", .mode = S_IFREG, .size = 1},
		{.path = ".wh..wh.esc..wh.a", .mode = S_IFREG},
		{.path = "b", .flags = ENTRY_HARDLINK, .target = ".wh.a"},
		{.path = "c", .mode = S_IFLNK, .target = ".wh.a"},
		{.path = "d/.wh..wh..opq", .flags = ENTRY_WHITEOUT},
		{.path = "d/.wh.x", .flags = ENTRY_WHITEOUT},
		{.path = name255, .mode = S_IFREG},
		{.path = name255, .flags = ENTRY_WHITEOUT},
	};

	assert_round_trip(entries, ARRAY_SIZE(entries));
}

static void test_opaque_marker_follows_its_directory(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;
	struct entry e = {
		.path = "d", .mode = S_IFDIR | 0700, .flags = ENTRY_OPAQUE};

	add_entry(&tar, &e);
	e.path = "";
	add_entry(&tar, &e);
	assert_reads_as(&tar, ARCHIVE_SEALED,
			"d flags=0 mode=40700 owner=0:0 mtime=0.000000000 "
			"size=0\n"
			"d flags=4 mode=0 owner=0:0 mtime=0.000000000 size=0\n"
			" flags=0 mode=40700 owner=0:0 mtime=0.000000000 "
			"size=0\n"
			" flags=4 mode=0 owner=0:0 mtime=0.000000000 size=0\n");
}

static void test_marker_alone_is_written_back_as_marker(void **state)
{
	const struct entry e = {.path = "d/e", .flags = ENTRY_OPAQUE};

	assert_round_trip(&e, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_of_object_comes_back),
		cmocka_unit_test(test_times_come_back_to_the_nanosecond),
		cmocka_unit_test(test_names_come_back_byte_for_byte),
		cmocka_unit_test(test_xattrs_come_back_byte_for_byte),
		cmocka_unit_test(test_mode_comes_back_beside_an_acl),
		cmocka_unit_test(test_holes_come_back),
		cmocka_unit_test(test_names_that_look_like_marks_come_back),
		cmocka_unit_test(test_opaque_marker_follows_its_directory),
		cmocka_unit_test(test_marker_alone_is_written_back_as_marker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
