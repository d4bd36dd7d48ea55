/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of the index share: a layer with one of everything, images
 * made from entries in memory, and entries written out as text to compare.
 * To be included after cmocka.h.
 */

#include "format/erofs-reader.h"
#include "format/erofs-writer.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <sys/mman.h>
#include <sys/stat.h>

#define TAR_SIZE (3ull << 20)

struct image {
	struct digest tar;
	uint64_t tar_size;
	struct buf bytes;
};

static inline void image_release(struct image *im)
{
	buf_release(&im->bytes);
}
#define _cleanup_image_ __attribute__((cleanup(image_release)))

static inline void image_finish(struct image *im, struct erofs_writer *w,
				uint64_t tar_size)
{
	_cleanup_close_ int fd = memfd_create("index", MFD_CLOEXEC);
	struct err err = ERR_INIT;
	uint64_t size;

	assert_true(fd >= 0);
	im->tar_size = tar_size;
	assert_int_equal(digest_of("tar", 3, &im->tar), 0);
	assert_int_equal(
		erofs_writer_finish(w, &im->tar, tar_size, fd, &size, &err), 0);
	im->bytes = (struct buf){0};
	assert_int_equal(buf_reserve(&im->bytes, size + 1), 0);
	assert_int_equal(pread_full(fd, im->bytes.data, size, 0), 0);
	assert_int_equal(pread(fd, im->bytes.data + size, 1, (off_t)size), 0);
	im->bytes.size = size;
}

static inline void image_make(struct image *im, const struct entry *entries,
			      size_t n, uint64_t tar_size)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;

	assert_int_equal(erofs_writer_new(&w), 0);
	for (size_t i = 0; i < n; i++) {
		struct err err = ERR_INIT;
		int r = erofs_writer_add(w, &entries[i], &err);

		if (r < 0)
			fail_msg("%s", err.text);
	}
	image_finish(im, w, tar_size);
}

static inline int image_open(const struct image *im, struct erofs_reader **ret,
			     struct err *err)
{
	return erofs_reader_open(ret, im->bytes.data, im->bytes.size, err);
}

/* 0, or what the reader says against the image. */
static inline int image_check(const struct image *im, struct err *err)
{
	_cleanup_(erofs_reader_freep) struct erofs_reader *r = NULL;
	int k = image_open(im, &r, err);

	if (k < 0)
		return k;
	return erofs_reader_check(r, &im->tar, im->tar_size, err);
}

static inline void assert_same(const struct image *a, const struct image *b)
{
	assert_int_equal(a->bytes.size, b->bytes.size);
	assert_memory_equal(a->bytes.data, b->bytes.data, a->bytes.size);
}

static inline int dump_entry(const struct entry *e, uint64_t nid, void *ctx,
			     struct err *err)
{
	struct buf *b = ctx;
	const char *flags[] = {"-", "link", "whiteout", "?", "opaque"};

	(void)nid;
	(void)err;
	assert_true(e->flags < ARRAY_SIZE(flags));
	(void)buf_printf(b, "%s %s", e->path, flags[e->flags]);
	if (e->flags & ENTRY_HARDLINK)
		return buf_printf(b, " %s\n", e->target);
	if (e->flags & ENTRY_WHITEOUT)
		return buf_add_str(b, "\n");
	(void)buf_printf(b, " %o %u:%u %lld.%09u", e->mode, e->uid, e->gid,
			 (long long)e->mtime, e->mtime_nsec);
	if (S_ISBLK(e->mode) || S_ISCHR(e->mode))
		(void)buf_printf(b, " dev=%u:%u", e->rdev_major, e->rdev_minor);
	if (S_ISLNK(e->mode))
		(void)buf_printf(b, " -> %s", e->target);
	if (S_ISREG(e->mode))
		(void)buf_printf(b, " size=%llu at=%llu",
				 (unsigned long long)e->size,
				 (unsigned long long)e->payload);
	if (e->sparse)
		(void)buf_add_str(b, " runs=");
	for (size_t i = 0; e->sparse && i < e->n_extents; i++)
		(void)buf_printf(b, "%llu+%llu,",
				 (unsigned long long)e->extents[i].offset,
				 (unsigned long long)e->extents[i].length);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		const uint8_t *value = e->xattrs[i].value;

		(void)buf_printf(b, " %s=%zu:", e->xattrs[i].name,
				 e->xattrs[i].size);
		for (size_t k = 0; k < e->xattrs[i].size; k++)
			(void)buf_printf(b, "%02x", value[k]);
	}
	return buf_add_str(b, "\n");
}

/* What a walk below path says, as text. */
static inline char *dump_image(const struct image *im, const char *path,
			       struct buf *b)
{
	_cleanup_(erofs_reader_freep) struct erofs_reader *r = NULL;
	struct err err = ERR_INIT;

	if (image_open(im, &r, &err) < 0 ||
	    erofs_reader_walk(r, path, dump_entry, b, &err) < 0)
		fail_msg("%s", err.text);
	return buf_str(b);
}

static inline char *dump_entries(const struct entry *entries, size_t n,
				 struct buf *b)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(dump_entry(&entries[i], 0, b, NULL), 0);
	return buf_str(b);
}

#define DIRECTORY(name, ...)                                                   \
	{                                                                      \
		.path = (name), .mode = S_IFDIR | 0755, __VA_ARGS__            \
	}
#define FILE_AT(name, bytes, place, ...)                                       \
	{                                                                      \
		.path = (name), .mode = S_IFREG | 0644, .size = (bytes),       \
		.payload = (place), __VA_ARGS__                                \
	}
#define SYMLINK(name, to)                                                      \
	{                                                                      \
		.path = (name), .mode = S_IFLNK | 0777, .target = (to)         \
	}
#define HARDLINK(name, to)                                                     \
	{                                                                      \
		.path = (name), .flags = ENTRY_HARDLINK, .target = (to)        \
	}
#define WHITEOUT(name)                                                         \
	{                                                                      \
		.path = (name), .flags = ENTRY_WHITEOUT                        \
	}
#define XATTRS(list) .xattrs = (list), .n_xattrs = ARRAY_SIZE(list)
#define EXTENTS(list)                                                          \
	.sparse = true, .extents = (list), .n_extents = ARRAY_SIZE(list)

/* POSIX ACL, version 2: user::rwx user:1000:r-x group::r-x mask::r-x other::---
 */
static const uint8_t acl_value[] = {
	2,    0,    0,	  0,	0x01, 0,    7,	  0,	0xff, 0xff, 0xff,
	0xff, 0x02, 0,	  5,	0,    0xe8, 0x03, 0,	0,    0x04, 0,
	5,    0,    0xff, 0xff, 0xff, 0xff, 0x10, 0,	5,    0,    0xff,
	0xff, 0xff, 0xff, 0x20, 0,    0,    0,	  0xff, 0xff, 0xff, 0xff,
};
/* cap_net_raw+ep, revision 2 */
static const uint8_t capability_value[20] = {1, 0, 0, 2, 0, 0x20};

static const struct xattr acl_xattrs[] = {
	{"system.posix_acl_access", acl_value, sizeof(acl_value)},
	{"system.posix_acl_default", acl_value, sizeof(acl_value)},
	{"user.a", "1", 1},
};
static const struct xattr mixed_xattrs[] = {
	{"security.capability", capability_value, sizeof(capability_value)},
	{"trusted.other", "\0x", 2},
	{"trusted.overlay.opaque", "y", 1},
	{"trusted.overlay.overlay.redirect", "/q", 2},
	{"user.empty", "", 0},
};
static const struct extent some_runs[] = {
	{4096, 8192}, {65536, 4096}, {1000 * 4096, 777}};
static const struct extent fine_runs[] = {{0, 512}, {1536, 512}, {4608, 1024}};
static const struct extent first_run[] = {{0, 65536}};

#define NAME_255                                                               \
	"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
	"n"                                                                    \
	"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
	"n"                                                                    \
	"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
	"n"                                                                    \
	"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

/* One of everything, as a walk gives it. */
static const struct entry sample[] = {
	{.path = "",
	 .mode = S_IFDIR | 01775,
	 .uid = 7,
	 .gid = 4000000000u,
	 .mtime = -12345,
	 .mtime_nsec = 999999999,
	 XATTRS(acl_xattrs)},
	FILE_AT("!before-dot", 1, 512),
	{.path = ".!between",
	 .mode = S_IFREG | 06755,
	 .size = 100,
	 .payload = 1024},
	FILE_AT("..after", 511, 1536),
	FILE_AT(".hidden", 0, 0),
	DIRECTORY("a", .mtime = 1),
	FILE_AT("a/first", 513, 2048, .mtime = 1700000000, .mtime_nsec = 1),
	FILE_AT("a/second", 1048576, 4096, .uid = 1000, .gid = 1000),
	FILE_AT("a.b", 4097, 1052672, XATTRS(mixed_xattrs)),
	HARDLINK("also-first", "a/first"),
	{.path = "block",
	 .mode = S_IFBLK | 0660,
	 .rdev_major = 4095,
	 .rdev_minor = 1048575},
	{.path = "char", .mode = S_IFCHR | 0600, .rdev_minor = 3},
	DIRECTORY("covered", .flags = ENTRY_OPAQUE, .mtime = -1),
	FILE_AT("covered/in", 2, 1060864),
	WHITEOUT("covered/out"),
	{.path = "empty", .mode = S_IFDIR | 07000},
	{.path = "fifo", .mode = S_IFIFO | 0644},
	FILE_AT("fine", 5632, 1064960, EXTENTS(fine_runs)),
	FILE_AT("hollow", 1ull << 40, 0, .sparse = true),
	SYMLINK("link", "a/first"),
	FILE_AT(NAME_255, 3, 1536),
	FILE_AT("sparse", 1000 * 4096 + 777, 1069056, EXTENTS(some_runs)),
	FILE_AT("tail-hole", 100000, 1085952, EXTENTS(first_run)),
	WHITEOUT("whiteout"),
	FILE_AT("\xff\xfe not UTF-8", 20, 1536),
};
#define N_SAMPLE ARRAY_SIZE(sample)
