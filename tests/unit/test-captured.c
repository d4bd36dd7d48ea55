/* SPDX-License-Identifier: Apache-2.0 */

/* The record of what a seal captured: it comes back as it was written, and
 * whatever else is in the file is refused. */

#include "util/cleanup.h"
#include "util/digest.h"
#include "util/fd.h"
#include "volume/captured.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

static const struct captured samples[] = {
	{.depth = 0, .name = "", .mode = S_IFDIR | 0755, .inode = 2},
	{.depth = 1, .name = "a", .mode = S_IFDIR | 0700, .redirect = 77},
	{.depth = 2,
	 .name = "\xff\n",
	 .mode = S_IFREG | 07777,
	 .uid = UINT32_MAX,
	 .gid = UINT32_MAX - 1,
	 .inode = UINT64_MAX,
	 .ctime_ns = INT64_MIN,
	 .size = UINT64_MAX,
	 .flags = CAPTURED_OPAQUE,
	 .redirect = UINT64_MAX},
	{.depth = 3, .name = "deep", .mode = S_IFREG},
	{.depth = 2, .name = "w", .flags = CAPTURED_WHITEOUT},
	{.depth = 1, .name = "z", .mode = S_IFLNK | 0777, .ctime_ns = -1},
};

#define N ARRAY_SIZE(samples)
#define STAMP INT64_C(-1234567890123456789)

/* Writes the samples; offsets (may be NULL) receives where they are. */
static int write_samples(uint64_t *offsets)
{
	_cleanup_(captured_writer_freep) struct captured_writer *w = NULL;
	int fd = memfd_create("captured", MFD_CLOEXEC);
	uint64_t offset;

	assert_true(fd >= 0);
	assert_int_equal(captured_writer_new(&w, fd), 0);
	for (size_t i = 0; i < N; i++) {
		struct captured c = samples[i];

		c.name_size = (uint16_t)strlen(c.name);
		assert_int_equal(captured_add(w, &c, &offset), 0);
		assert_true(offset > 0);
		if (offsets)
			offsets[i] = offset;
	}
	assert_int_equal(captured_finish(w, STAMP), 0);
	return fd;
}

static void assert_same(const struct captured *a, const struct captured *b)
{
	assert_non_null(a);
	assert_int_equal(a->depth, b->depth);
	assert_int_equal(a->name_size, strlen(b->name));
	assert_memory_equal(a->name, b->name, a->name_size);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->flags, b->flags);
	assert_true(a->inode == b->inode);
	assert_true(a->ctime_ns == b->ctime_ns);
	assert_true(a->size == b->size);
	assert_true(a->redirect == b->redirect);
}

static void test_records_come_back_in_order(void **state)
{
	_cleanup_(captured_reader_freep) struct captured_reader *r = NULL;
	_cleanup_close_ int fd = write_samples(NULL);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(captured_reader_open(&r, fd, &err), 0);
	assert_true(captured_stamp(r) == STAMP);
	for (size_t i = 0; i < N; i++) {
		assert_same(captured_peek(r), &samples[i]);
		captured_next(r);
	}
	for (int i = 0; i < 3; i++) {
		assert_null(captured_peek(r));
		captured_next(r);
	}
}

static void test_record_of_nothing_is_a_record(void **state)
{
	_cleanup_(captured_writer_freep) struct captured_writer *w = NULL;
	_cleanup_(captured_reader_freep) struct captured_reader *r = NULL;
	_cleanup_close_ int fd = memfd_create("captured", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(captured_writer_new(&w, fd), 0);
	assert_int_equal(captured_finish(w, 5), 0);
	assert_int_equal(captured_reader_open(&r, fd, NULL), 0);
	assert_null(captured_peek(r));
	assert_int_equal(captured_stamp(r), 5);
}

static void test_skip_passes_what_is_below(void **state)
{
	_cleanup_(captured_reader_freep) struct captured_reader *r = NULL;
	_cleanup_close_ int fd = write_samples(NULL);

	(void)state;
	assert_int_equal(captured_reader_open(&r, fd, NULL), 0);
	captured_next(r);
	captured_next(r);
	assert_same(captured_peek(r), &samples[2]);
	captured_skip(r);
	assert_same(captured_peek(r), &samples[4]);
	captured_skip(r);
	assert_same(captured_peek(r), &samples[5]);
	captured_skip(r);
	assert_null(captured_peek(r));
	r = captured_reader_free(r);
	assert_int_equal(captured_reader_open(&r, fd, NULL), 0);
	captured_next(r);
	captured_skip(r);
	assert_same(captured_peek(r), &samples[5]);
	r = captured_reader_free(r);
	assert_int_equal(captured_reader_open(&r, fd, NULL), 0);
	captured_skip(r);
	assert_null(captured_peek(r));
}

/* Enough records that some have left memory when they are patched. */
static void test_patch_replaces_attributes_wherever_the_record_is(void **state)
{
	enum {
		COUNT = 12000
	};
	_cleanup_(captured_writer_freep) struct captured_writer *w = NULL;
	_cleanup_(captured_reader_freep) struct captured_reader *r = NULL;
	_cleanup_close_ int fd = memfd_create("captured", MFD_CLOEXEC);
	_cleanup_free_ uint64_t *offsets = calloc(COUNT, sizeof(*offsets));
	struct captured patch = {.mode = S_IFREG | 0600,
				 .uid = 5,
				 .gid = 6,
				 .inode = 7,
				 .ctime_ns = 8,
				 .size = 9};
	char name[32];

	(void)state;
	assert_non_null(offsets);
	assert_int_equal(captured_writer_new(&w, fd), 0);
	for (int i = 0; i < COUNT; i++) {
		struct captured c = {.depth = 1, .name = name, .size = 1};

		c.name_size = (uint16_t)snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(captured_add(w, &c, &offsets[i]), 0);
		if (i == COUNT / 2)
			assert_int_equal(captured_patch(w, offsets[i], &patch),
					 0);
	}
	assert_int_equal(captured_patch(w, offsets[0], &patch), 0);
	assert_int_equal(captured_patch(w, offsets[COUNT - 1], &patch), 0);
	assert_int_equal(captured_finish(w, STAMP), 0);
	assert_int_equal(captured_reader_open(&r, fd, NULL), 0);
	for (int i = 0; i < COUNT; i++) {
		struct captured want = {.size = 1};

		if (i == 0 || i == COUNT / 2 || i == COUNT - 1)
			want = patch;
		snprintf(name, sizeof(name), "f%d", i);
		want.depth = 1;
		want.name = name;
		assert_same(captured_peek(r), &want);
		captured_next(r);
	}
	assert_null(captured_peek(r));
}

static void assert_refused(int fd)
{
	struct captured_reader *r = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(captured_reader_open(&r, fd, &err), -EBADMSG);
	assert_null(r);
	assert_non_null(strstr(err.text, "captured"));
}

static void test_every_flipped_bit_is_refused(void **state)
{
	_cleanup_close_ int fd = write_samples(NULL);
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	for (int64_t i = 0; i < st.st_size * 8; i++) {
		uint8_t byte, flipped;

		assert_int_equal(pread_full(fd, &byte, 1, (uint64_t)i / 8), 0);
		flipped = byte ^ (uint8_t)(1u << i % 8);
		assert_int_equal(pwrite_full(fd, &flipped, 1, (uint64_t)i / 8),
				 0);
		assert_refused(fd);
		assert_int_equal(pwrite_full(fd, &byte, 1, (uint64_t)i / 8), 0);
	}
}

static void test_every_truncation_is_refused(void **state)
{
	_cleanup_close_ int fd = write_samples(NULL);
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, st.st_size + 1), 0);
	assert_refused(fd);
	while (st.st_size > 0) {
		assert_int_equal(ftruncate(fd, --st.st_size), 0);
		assert_refused(fd);
	}
}

static void test_unfinished_record_is_refused(void **state)
{
	_cleanup_(captured_writer_freep) struct captured_writer *w = NULL;
	_cleanup_close_ int fd = memfd_create("captured", MFD_CLOEXEC);
	struct captured c = {.depth = 1, .name = "name", .name_size = 4};
	uint64_t offset;

	(void)state;
	assert_int_equal(captured_writer_new(&w, fd), 0);
	assert_int_equal(captured_add(w, &c, &offset), 0);
	assert_int_equal(captured_patch(w, offset, &c), 0);
	assert_refused(fd);
}

/* Overwrites bytes and makes the digest right again. */
static void forge(int fd, uint64_t at, const void *data, size_t n)
{
	uint8_t body[4096];
	struct digest d;
	struct stat st;
	size_t size;

	assert_int_equal(fstat(fd, &st), 0);
	size = (size_t)st.st_size - DIGEST_SIZE;
	assert_true(size <= sizeof(body));
	assert_int_equal(pread_full(fd, body, size, 0), 0);
	memcpy(body + at, data, n);
	assert_int_equal(digest_of(body, size, &d), 0);
	assert_int_equal(pwrite_full(fd, body, size, 0), 0);
	assert_int_equal(pwrite_full(fd, d.bytes, DIGEST_SIZE, size), 0);
}

static void test_forged_counts_and_lengths_end_the_walk(void **state)
{
	_cleanup_close_ int fd = -1;
	uint64_t offsets[N];
	const uint64_t huge = UINT64_MAX;
	const uint16_t longest = htole16(UINT16_MAX);

	(void)state;
	for (int i = 0; i < 2; i++) {
		_cleanup_(captured_reader_freep) struct captured_reader *r =
			NULL;
		size_t n = 0;

		closep(&fd);
		fd = write_samples(offsets);
		if (i == 0)
			forge(fd, 16, &huge, sizeof(huge));
		else
			forge(fd, offsets[3] + 2, &longest, sizeof(longest));
		assert_int_equal(captured_reader_open(&r, fd, NULL), 0);
		for (; captured_peek(r); n++)
			captured_next(r);
		assert_int_equal(n, i == 0 ? N : 3);
		captured_skip(r);
		assert_null(captured_peek(r));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_come_back_in_order),
		cmocka_unit_test(test_record_of_nothing_is_a_record),
		cmocka_unit_test(test_skip_passes_what_is_below),
		cmocka_unit_test(
			test_patch_replaces_attributes_wherever_the_record_is),
		cmocka_unit_test(test_every_flipped_bit_is_refused),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_unfinished_record_is_refused),
		cmocka_unit_test(test_forged_counts_and_lengths_end_the_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
