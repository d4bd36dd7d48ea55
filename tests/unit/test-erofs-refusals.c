/* SPDX-License-Identifier: Apache-2.0 */
/* What the index of a layer cannot hold is refused by name, and a refusal
 * leaves nothing behind. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "erofs-fixture.h"

static char long_name[300], long_path[ENTRY_PATH_MAX + 10];
static uint8_t value[65536];
static const struct xattr big[] = {{"user.x", value, 65536}};
static const struct xattr unsorted[] = {{"user.b", "", 0}, {"user.a", "", 0}};
static const struct xattr many[] = {{"user.a", value, 65535},
				    {"user.b", value, 65535},
				    {"user.c", value, 65535},
				    {"user.d", value, 65535}};
static const struct extent odd[] = {{100, 512}};
static const struct extent touching[] = {{0, 512}, {512, 512}};
static const struct extent beyond[] = {{512, 1024}};
static const struct extent scattered[] = {{512, 512}};
static const struct entry refused[] = {
	FILE_AT("bad/../up", 0, 0),
	FILE_AT("/bad", 0, 0),
	FILE_AT("bad/", 0, 0),
	FILE_AT("bad//x", 0, 0),
	FILE_AT("./bad", 0, 0),
	FILE_AT(long_name, 0, 0),
	FILE_AT(long_path, 0, 0),
	FILE_AT("file/below", 0, 0),
	FILE_AT("bad", 10, 100),
	FILE_AT("bad", 10, 1ull << 41),
	FILE_AT("bad", UINT64_MAX, 0),
	FILE_AT("bad", 1000, 512, EXTENTS(odd)),
	FILE_AT("bad", 4096, 512, EXTENTS(touching)),
	FILE_AT("bad", 1024, 512, EXTENTS(beyond)),
	FILE_AT("bad", 1ull << 30, 512, EXTENTS(scattered)),
	FILE_AT("bad", 0, 0, .mtime_nsec = 1000000000),
	FILE_AT("bad", 0, 0, XATTRS(big)),
	FILE_AT("bad", 0, 0, XATTRS(unsorted)),
	FILE_AT("bad", 0, 0, XATTRS(many)),
	{.path = "bad", .mode = S_IFCHR | 0600},
	{.path = "bad", .mode = S_IFBLK, .rdev_major = 4096},
	{.path = "bad", .mode = S_IFSOCK | 0600},
	{.path = "bad", .mode = 0644},
	SYMLINK("bad", ""),
	SYMLINK("bad", long_path),
	HARDLINK("bad", "nothing"),
	HARDLINK("bad", "directory"),
	HARDLINK("bad", "whiteout"),
	HARDLINK("bad", ""),
	FILE_AT("", 0, 0),
	WHITEOUT(""),
};
static const struct entry there[] = {
	FILE_AT("file", 0, 0),
	DIRECTORY("directory"),
	WHITEOUT("whiteout"),
};

static void test_what_cannot_be_stored_is_refused_by_name(void **state)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	_cleanup_image_ struct image want, got;

	memset(long_name, 'n', sizeof(long_name) - 1);
	for (size_t i = 0; i < sizeof(long_path) - 1; i++)
		long_path[i] = i % 2 ? '/' : 'p';
	assert_int_equal(erofs_writer_new(&w), 0);
	for (size_t i = 0; i < ARRAY_SIZE(there); i++)
		assert_int_equal(erofs_writer_add(w, &there[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct err err = ERR_INIT;
		const char *path = refused[i].path;

		assert_int_equal(erofs_writer_add(w, &refused[i], &err),
				 -EINVAL);
		assert_int_equal(err.code, -EINVAL);
		if (strlen(path) < 400)
			assert_non_null(
				strstr(err.text, *path ? path : "root"));
	}
	/* None of it left a trace. */
	image_finish(&got, w, TAR_SIZE);
	image_make(&want, there, ARRAY_SIZE(there), TAR_SIZE);
	assert_same(&got, &want);
}

static void test_data_beyond_the_tarball_is_refused(void **state)
{
	const struct entry e = FILE_AT("f", 513, 512);
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	struct digest tar = {0};
	struct err err = ERR_INIT;
	uint64_t size;

	assert_int_equal(erofs_writer_new(&w), 0);
	assert_int_equal(erofs_writer_add(w, &e, &err), 0);
	assert_int_equal(erofs_writer_finish(w, &tar, 1024, -1, &size, &err),
			 -EINVAL);
}

static void test_tarball_beyond_2_tib_is_refused(void **state)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	struct digest tar = {0};
	struct err err = ERR_INIT;
	uint64_t size;

	assert_int_equal(erofs_writer_new(&w), 0);
	assert_int_equal(
		erofs_writer_finish(w, &tar, 1ull << 41, -1, &size, &err),
		-EINVAL);
}

static void test_failed_write_is_reported(void **state)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	_cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct digest tar = {0};
	struct err err = ERR_INIT;
	uint64_t size;

	assert_true(fd >= 0);
	assert_int_equal(erofs_writer_new(&w), 0);
	assert_int_equal(erofs_writer_finish(w, &tar, 0, fd, &size, &err),
			 -ENOSPC);
	assert_int_equal(err.code, -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_cannot_be_stored_is_refused_by_name),
		cmocka_unit_test(test_data_beyond_the_tarball_is_refused),
		cmocka_unit_test(test_tarball_beyond_2_tib_is_refused),
		cmocka_unit_test(test_failed_write_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
