/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that must never reach the kernel: each is a sound image with one
 * defect, and is refused for that defect. Run with LAYERD_WRITE_CORPUS=DIR, the
 * images are also written as inputs of the fuzz target, named after the defect.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "erofs-fixture.h"
#include "format/erofs-object.h"

static const struct xattr two_xattrs[] = {{"user.a", "1", 1},
					  {"user.b", "22", 2}};
static const struct xattr nested[] = {{"trusted.overlay.redirect", "/", 1}};
static const struct extent holes[] = {{4096, 4096}, {16384, 4096}};
static char long_target[601];

#define LONG "a-name-that-is-long-enough-to-need-a-second-block-"
static const struct entry base[] = {
	FILE_AT("attributes", 0, 0, XATTRS(two_xattrs)),
	{.path = "device", .mode = S_IFCHR | 0600, .rdev_minor = 1},
	DIRECTORY("dir"),
	FILE_AT("dir/file", 1000, 512),
	FILE_AT("dir/other", 0, 0),
	DIRECTORY("dir/sub"),
	DIRECTORY("dir/two"),
	HARDLINK("dir/zwei", "dir/file"),
	{.path = "fifo", .mode = S_IFIFO | 0600},
	FILE_AT("large/" LONG "0", 0, 0),
	FILE_AT("large/" LONG "1", 0, 0),
	FILE_AT("large/" LONG "2", 0, 0),
	FILE_AT("large/" LONG "3", 0, 0),
	FILE_AT("large/" LONG "4", 0, 0),
	FILE_AT("large/" LONG "5", 0, 0),
	FILE_AT("large/" LONG "6", 0, 0),
	FILE_AT("large/" LONG "7", 0, 0),
	FILE_AT("large/" LONG "8", 0, 0),
	SYMLINK("long", long_target),
	FILE_AT("nested", 0, 0, XATTRS(nested)),
	{.path = "opaque", .mode = S_IFDIR | 0755, .flags = ENTRY_OPAQUE},
	SYMLINK("short", "target"),
	FILE_AT("sparse", 20480, 2048, EXTENTS(holes)),
	WHITEOUT("white/out"),
};

/* What an offset counts from. */
enum where {
	IMAGE,	    /* the image */
	INODE,	    /* the inode at path */
	ATTRIBUTES, /* its attributes' header */
	INLINE,	    /* its tail or chunk indexes */
	BLOCK,	    /* its first block */
	DIRENT,	    /* the directory entry of path */
	NAME,	    /* the name in it */
};

struct defect {
	const char *name;
	enum where where;
	const char *path;
	unsigned offset;
	unsigned size; /* bytes of value, little-endian */
	uint64_t value;
	const char *says; /* part of the refusal */
};

static const struct defect defects[] = {
	{"no-magic", IMAGE, "", 1024, 4, 0, "not an EROFS image"},
	{"wrong-checksum", IMAGE, "", 1028, 1, 0xee, "superblock"},
	{"unknown-feature", IMAGE, "", 1104, 4, 0x4c, "superblock"},
	{"other-block-size", IMAGE, "", 1036, 1, 12, "superblock"},
	{"other-uuid", IMAGE, "", 1072, 1, 0xee, "superblock"},
	{"two-devices", IMAGE, "", 1110, 2, 2, "superblock"},
	{"tag-not-hex", IMAGE, "", 1152, 1, 'G', "which tarball"},
	{"bytes-in-front", IMAGE, "", 0, 1, 1, "superblock"},
	{"bytes-behind-head", IMAGE, "", 1300, 1, 1, "superblock"},
	{"compact-inode", INODE, "fifo", 0, 2, 0, "unknown format"},
	{"compressed-inode", INODE, "dir/file", 0, 2, 3, "layout"},
	{"unknown-format-bit", INODE, "dir", 0, 2, 0x15, "layout"},
	{"reserved-in-inode", INODE, "dir", 6, 2, 1, "unknown format"},
	{"number-in-inode", INODE, "dir", 20, 4, 1, "unknown format"},
	{"reserved-behind-inode", INODE, "dir", 63, 1, 1, "unknown format"},
	{"no-type", INODE, "fifo", 4, 2, 0644, "impossible mode"},
	{"socket", INODE, "fifo", 4, 2, S_IFSOCK, "impossible mode"},
	{"type-not-of-dirent", INODE, "fifo", 4, 2, S_IFREG, "of the type"},
	{"nanoseconds", INODE, "dir", 40, 4, 1000000000, "impossible"},
	{"no-links", INODE, "dir/file", 44, 4, 0, "impossible"},
	{"more-links-than-names", INODE, "dir/file", 44, 4, 3, "fewer names"},
	{"more-names-than-links", INODE, "dir/file", 44, 4, 1, "two names"},
	{"wrong-directory-links", INODE, "dir", 44, 4, 3, "link count"},
	{"file-of-impossible-size", INODE, "dir/file", 8, 8, 1ull << 63,
	 "impossible size"},
	{"too-many-chunks", INODE, "sparse", 8, 8, 1ull << 40, "chunks"},
	{"empty-file-with-chunks", INODE, "dir/file", 8, 8, 0, "is empty"},
	{"empty-file-with-block", INODE, "dir/other", 16, 4, 1, "is empty"},
	{"plain-file", INODE, "dir/file", 0, 2, 1, "layout"},
	{"chunks-without-index", INODE, "dir/file", 16, 4, 1, "layout"},
	{"chunks-of-48-bits", INODE, "dir/file", 16, 4, 0x61, "layout"},
	{"chunk-too-large", INODE, "dir/file", 16, 4, 0x22, "chunk size"},
	{"chunk-advice", INLINE, "dir/file", 0, 2, 1, "another device"},
	{"chunk-in-image", INLINE, "dir/file", 2, 2, 0, "another device"},
	{"chunk-on-device-2", INLINE, "dir/file", 2, 2, 2, "another device"},
	{"chunk-beyond-tar", INLINE, "dir/file", 4, 4, TAR_SIZE / 512 - 1,
	 "beyond the tarball"},
	{"hole-on-device", INLINE, "sparse", 2, 2, 1, "another device"},
	{"runs-out-of-order", INLINE, "sparse", 4 * 8 + 4, 4, 4, "order"},
	{"hole-filled", INLINE, "sparse", 0, 8, 4ull << 32 | 1 << 16,
	 "out of order"},
	{"empty-target", INODE, "short", 8, 8, 0, "impossible size"},
	{"target-too-long", INODE, "long", 8, 8, 4096, "impossible size"},
	{"nul-in-target", INLINE, "short", 2, 1, 0, "NUL"},
	{"bytes-behind-target", BLOCK, "long", 1023, 1, 1, "behind"},
	{"target-in-block-0", INODE, "long", 16, 4, 0, "outside"},
	{"target-outside", INODE, "long", 16, 4, 1u << 31, "outside"},
	{"target-elsewhere", INODE, "long", 16, 4, 3, "behind"},
	{"inline-with-block", INODE, "short", 16, 4, 3, "stray block"},
	{"empty-directory", INODE, "dir", 8, 8, 0, "impossible size"},
	{"directory-too-large", INODE, "dir", 8, 8, 1ull << 62, "larger"},
	{"inline-across-block", INODE, "short", 8, 8, 470, "across"},
	{"directory-too-short", INODE, "dir/sub", 8, 8, 12, "short block"},
	{"directory-in-head", INODE, "large", 16, 4, 2, "broken block"},
	{"directory-outside", INODE, "large", 16, 4, ~0u, "outside"},
	{"device-with-size", INODE, "device", 8, 8, 1, "is no file"},
	{"device-0-0-is-a-whiteout", INODE, "device", 16, 4, 0, "whiteout"},
	{"fifo-with-device", INODE, "fifo", 16, 4, 1, "fifo"},
	{"whiteout-with-owner", INODE, "white/out", 24, 4, 1, "whiteout"},
	{"whiteout-is-a-device", INODE, "white/out", 16, 4, 1, "mark"},
	{"attributes-outside", INODE, "white", 2, 2, 0xffff, "attributes"},
	{"attributes-empty", INODE, "attributes", 2, 2, 1, "attributes"},
	{"attributes-cut", INODE, "attributes", 2, 2, 4, "broken"},
	{"attributes-too-long", INODE, "attributes", 2, 2, 6, "broken"},
	{"attributes-shared", ATTRIBUTES, "attributes", 4, 1, 1, "shares"},
	{"attributes-filter", ATTRIBUTES, "attributes", 0, 1, 1, "shares"},
	{"attribute-without-name", ATTRIBUTES, "attributes", 12, 1, 0,
	 "broken"},
	{"attribute-unknown", ATTRIBUTES, "attributes", 13, 1, 5, "broken"},
	{"attribute-long-prefix", ATTRIBUTES, "attributes", 13, 1, 0x81,
	 "broken"},
	{"attribute-acl-with-name", ATTRIBUTES, "attributes", 13, 1, 2,
	 "broken"},
	{"attribute-too-long", ATTRIBUTES, "attributes", 14, 2, 999, "broken"},
	{"attribute-nul-in-name", ATTRIBUTES, "attributes", 16, 1, 0, "broken"},
	{"attribute-padding", ATTRIBUTES, "attributes", 19, 1, 1, "broken"},
	{"attributes-out-of-order", ATTRIBUTES, "attributes", 16, 1, 'c',
	 "order"},
	{"attribute-twice", ATTRIBUTES, "attributes", 24, 1, 'a', "order"},
	{"attribute-redirect", ATTRIBUTES, "nested", 16 + 8, 1, 'x',
	 "overlayfs"},
	{"opaque-otherwise", ATTRIBUTES, "opaque", 30, 1, 'x', "overlayfs"},
	{"mark-unknown", ATTRIBUTES, "opaque", 29, 1, 'x', "overlayfs"},
	{"mark-of-whiteouts-missing", ATTRIBUTES, "white", 29, 1, 'x',
	 "overlayfs"},
	{"cycle", DIRENT, "dir", 0, 8, 48, "two names"},
	{"directory-twice", DIRENT, "dir/two", 0, 8, 0, "outside"},
	{"inode-in-head", DIRENT, "fifo", 0, 8, 36, "outside"},
	{"inode-outside", DIRENT, "fifo", 0, 8, 1ull << 20, "outside"},
	{"inode-wraps", DIRENT, "fifo", 0, 8, 1ull << 59 | 60, "outside"},
	{"wrong-type", DIRENT, "fifo", 10, 1, 1, "of the type"},
	{"unknown-type", DIRENT, "fifo", 10, 1, 9, "of the type"},
	{"reserved-in-dirent", DIRENT, "fifo", 11, 1, 1, "broken block"},
	{"name-at-0", DIRENT, "fifo", 8, 2, 0, "broken block"},
	{"name-outside", DIRENT, "fifo", 8, 2, 4000, "broken block"},
	{"no-names", DIRENT, "dir/.", 8, 2, 0, "broken block"},
	{"too-many-names", DIRENT, "dir/.", 8, 2, 12 * 40, "broken block"},
	{"names-overlap", DIRENT, "dir/.", 8, 2, 12, "broken block"},
	{"wrong-dot", DIRENT, "dir/.", 0, 8, 48, "wrong \".\""},
	{"wrong-dot-dot", DIRENT, "dir/sub/..", 0, 8, 48, "wrong \".\""},
	{"slash-in-name", NAME, "fifo", 1, 1, '/', "broken block"},
	{"nul-in-name", NAME, "fifo", 1, 1, 0, "broken block"},
	{"names-out-of-order", NAME, "fifo", 0, 1, 'z', "out of order"},
	{"name-twice", NAME, "dir/two", 0, 3, 'b' << 16 | 'u' << 8 | 's',
	 "out of order"},
	{"no-dot", NAME, "dir/.", 0, 1, '-', "two names"},
};

static void prepare(void)
{
	memset(long_target, 't', sizeof(long_target) - 1);
}

static struct erofs_view view_of(const struct image *im)
{
	return (struct erofs_view){
		.data = im->bytes.data,
		.size = im->bytes.size,
		.tar_blocks = TAR_SIZE / 512,
		.root_nid = EROFS_FIRST_NID,
	};
}

/* The entry of name in a directory, as an offset in the image. */
static size_t find_entry(const struct erofs_view *v, uint64_t nid,
			 const char *name, struct erofs_item *ret)
{
	struct erofs_object o;

	assert_int_equal(erofs_object_read(v, nid, &o, NULL), 0);
	for (uint64_t k = 0; k < erofs_block_count(&o); k++) {
		struct erofs_block b;

		assert_int_equal(erofs_block_read(v, &o, k, &b, NULL), 0);
		for (uint32_t i = 0; i < b.n; i++) {
			*ret = erofs_block_item(&b, i);
			if (ret->length == strlen(name) &&
			    memcmp(ret->name, name, ret->length) == 0)
				return (size_t)(b.data - v->data) + i * 12;
		}
	}
	fail_msg("no entry \"%s\"", name);
	return 0;
}

static size_t locate(const struct image *im, const struct defect *d)
{
	struct erofs_view v = view_of(im);
	struct erofs_item item = {.nid = EROFS_FIRST_NID};
	const char *path = d->path;
	struct erofs_object o;
	size_t dirent = 0;

	if (d->where == IMAGE)
		return d->offset;
	while (*path) {
		_cleanup_free_ char *name = strdup(path);

		assert_non_null(name);
		name[strcspn(name, "/")] = 0;
		dirent = find_entry(&v, item.nid, name, &item);
		path += strlen(name);
		path += *path == '/';
	}
	if (d->where == DIRENT)
		return dirent + d->offset;
	if (d->where == NAME)
		return (size_t)((const uint8_t *)item.name - v.data) +
		       d->offset;
	assert_int_equal(erofs_object_read(&v, item.nid, &o, NULL), 0);
	if (d->where == INLINE)
		return (size_t)(o.inline_data - v.data) + d->offset;
	if (d->where == BLOCK)
		return o.block * 512ul + d->offset;
	return item.nid * 32 + (d->where == ATTRIBUTES ? 64 : 0) + d->offset;
}

static void write_corpus(const char *name, const struct image *im)
{
	const char *dir = getenv("LAYERD_WRITE_CORPUS");
	char path[512];

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(write_file_at(AT_FDCWD, path, im->bytes.data,
				       im->bytes.size, 0644),
			 0);
}

static void apply(struct image *im, const struct defect *d)
{
	size_t at = locate(im, d);
	uint64_t value = htole64(d->value);

	assert_true(at + d->size <= im->bytes.size);
	assert_memory_not_equal(im->bytes.data + at, &value, d->size);
	memcpy(im->bytes.data + at, &value, d->size);
}

static bool is_refused(const struct image *im, const char *name,
		       const char *says)
{
	struct err err = ERR_INIT;
	char file[256];

	if (image_check(im, &err) != -EBADMSG) {
		print_error("%s was not refused\n", name);
		return false;
	}
	if (!strstr(err.text, says)) {
		print_error("%s: \"%s\" does not say \"%s\"\n", name, err.text,
			    says);
		return false;
	}
	snprintf(file, sizeof(file), "should-fail-%s", name);
	write_corpus(file, im);
	return true;
}

static void test_image_without_defect_is_accepted(void **state)
{
	_cleanup_image_ struct image im, everything;
	struct err err = ERR_INIT;

	image_make(&im, base, ARRAY_SIZE(base), TAR_SIZE);
	assert_int_equal(image_check(&im, &err), 0);
	write_corpus("should-pass-base", &im);
	image_make(&everything, sample, N_SAMPLE, TAR_SIZE);
	assert_int_equal(image_check(&everything, &err), 0);
	write_corpus("should-pass-sample", &everything);
}

static void test_every_defect_is_refused_for_what_it_is(void **state)
{
	bool good = true;

	for (size_t i = 0; i < ARRAY_SIZE(defects); i++) {
		_cleanup_image_ struct image im;

		image_make(&im, base, ARRAY_SIZE(base), TAR_SIZE);
		apply(&im, &defects[i]);
		good &= is_refused(&im, defects[i].name, defects[i].says);
	}
	assert_true(good);
}

/* Head values that are wrong under a checksum that is right. */
static void test_head_that_lies_is_refused(void **state)
{
	_cleanup_image_ struct image im;
	struct erofs_head good, bad;

	image_make(&im, base, ARRAY_SIZE(base), TAR_SIZE);
	good = (struct erofs_head){
		.tar = im.tar,
		.tar_blocks = TAR_SIZE / 512,
		.blocks = (uint32_t)(im.bytes.size / 512),
		.inodes = ARRAY_SIZE(base) + 2,
		.root_nid = EROFS_FIRST_NID,
	};
	erofs_head_encode(&good, im.bytes.data);
	assert_int_equal(image_check(&im, NULL), 0);
	bad = good;
	bad.inodes++;
	erofs_head_encode(&bad, im.bytes.data);
	assert_true(is_refused(&im, "inodes-miscounted", "inodes"));
	bad = good;
	bad.blocks++;
	erofs_head_encode(&bad, im.bytes.data);
	assert_true(is_refused(&im, "blocks-missing", "cut short"));
	bad = good;
	bad.root_nid = EROFS_FIRST_NID + 2;
	erofs_head_encode(&bad, im.bytes.data);
	assert_true(is_refused(&im, "root-elsewhere", ""));
	bad = good;
	bad.tar_blocks = 3;
	erofs_head_encode(&bad, im.bytes.data);
	im.tar_size = 3 * 512;
	assert_true(is_refused(&im, "tar-too-short", "beyond the tarball"));
}

static void test_image_of_another_tarball_is_refused(void **state)
{
	_cleanup_image_ struct image im;
	struct err err = ERR_INIT;

	image_make(&im, base, ARRAY_SIZE(base), TAR_SIZE);
	im.tar_size += 512;
	assert_int_equal(image_check(&im, &err), -EBADMSG);
	im.tar_size -= 512;
	im.tar.bytes[31] ^= 1;
	assert_int_equal(image_check(&im, NULL), -EBADMSG);
}

static void test_image_of_any_other_length_is_refused(void **state)
{
	_cleanup_image_ struct image im;
	size_t size;

	image_make(&im, base, ARRAY_SIZE(base), TAR_SIZE);
	size = im.bytes.size;
	for (im.bytes.size = 0; im.bytes.size < size; im.bytes.size += 511) {
		/* A copy of its own, so that a read beyond shows. */
		_cleanup_image_ struct image cut = im;

		cut.bytes.data = malloc(im.bytes.size ? im.bytes.size : 1);
		assert_non_null(cut.bytes.data);
		memcpy(cut.bytes.data, im.bytes.data, im.bytes.size);
		assert_int_equal(image_check(&cut, NULL), -EBADMSG);
	}
	im.bytes.size = size - 4096;
	assert_int_equal(image_check(&im, NULL), -EBADMSG);
	im.bytes.size = size;
	assert_int_equal(buf_add_zero(&im.bytes, 4096), 0);
	assert_int_equal(image_check(&im, NULL), -EBADMSG);
}

static int copy_entry(const struct entry *e, uint64_t nid, void *ctx,
		      struct err *err)
{
	return erofs_writer_add(ctx, e, err);
}

static int ignore_entry(const struct entry *e, uint64_t nid, void *ctx,
			struct err *err)
{
	return 0;
}

/* Whether the writer makes the same bytes from what the reader sees. */
static bool is_canonical(const struct image *im)
{
	_cleanup_(erofs_reader_freep) struct erofs_reader *r = NULL;
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	_cleanup_image_ struct image again;

	assert_int_equal(image_open(im, &r, NULL), 0);
	assert_int_equal(erofs_writer_new(&w), 0);
	if (erofs_reader_walk(r, "", copy_entry, w, NULL) < 0)
		return false;
	image_finish(&again, w, im->tar_size);
	return again.bytes.size == im->bytes.size &&
	       memcmp(again.bytes.data, im->bytes.data, im->bytes.size) == 0;
}

static void test_every_changed_byte_is_refused_or_another_sound_image(
	void **state)
{
	static const uint8_t changes[] = {0x01, 0x80, 0xff};
	_cleanup_image_ struct image im;
	size_t accepted = 0;

	image_make(&im, base, ARRAY_SIZE(base), TAR_SIZE);
	for (size_t i = 0; i < im.bytes.size * ARRAY_SIZE(changes); i++) {
		uint8_t *byte = im.bytes.data + i / ARRAY_SIZE(changes);
		uint8_t was = *byte;

		*byte ^= changes[i % ARRAY_SIZE(changes)];
		if (image_check(&im, NULL) == 0) {
			accepted++;
			if (!is_canonical(&im))
				fail_msg("byte %td may be changed",
					 byte - im.bytes.data);
		}
		*byte = was;
	}
	/* Owners, times, letters of names and targets, and the like. */
	assert_true(accepted > 100 && accepted < im.bytes.size);
}

static void test_walk_of_a_cycle_ends(void **state)
{
	const struct defect cycle = {"cycle", DIRENT, "dir", 0, 8, 48, NULL};
	_cleanup_(erofs_reader_freep) struct erofs_reader *r = NULL;
	_cleanup_image_ struct image im;
	struct err err = ERR_INIT;

	image_make(&im, base, ARRAY_SIZE(base), TAR_SIZE);
	apply(&im, &cycle);
	assert_int_equal(image_open(&im, &r, &err), 0);
	assert_int_equal(erofs_reader_walk(r, "", ignore_entry, NULL, &err),
			 -EBADMSG);
	assert_non_null(strstr(err.text, "several places at once"));
}

static void test_walk_ends_on_unchecked_images(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(defects); i++) {
		_cleanup_(erofs_reader_freep) struct erofs_reader *r = NULL;
		_cleanup_image_ struct image im;
		struct entry e;
		uint64_t nid;

		image_make(&im, base, ARRAY_SIZE(base), TAR_SIZE);
		apply(&im, &defects[i]);
		if (image_open(&im, &r, NULL) < 0)
			continue;
		(void)erofs_reader_walk(r, "", ignore_entry, NULL, NULL);
		for (size_t k = 0; k < ARRAY_SIZE(base); k++) {
			int err = erofs_reader_lookup(r, base[k].path, &e, &nid,
						      NULL);

			assert_true(err == 0 || err == -ENOENT ||
				    err == -EBADMSG);
			(void)erofs_reader_walk(r, base[k].path, ignore_entry,
						NULL, NULL);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_without_defect_is_accepted),
		cmocka_unit_test(test_every_defect_is_refused_for_what_it_is),
		cmocka_unit_test(test_head_that_lies_is_refused),
		cmocka_unit_test(test_image_of_another_tarball_is_refused),
		cmocka_unit_test(test_image_of_any_other_length_is_refused),
		cmocka_unit_test(
			test_every_changed_byte_is_refused_or_another_sound_image),
		cmocka_unit_test(test_walk_of_a_cycle_ends),
		cmocka_unit_test(test_walk_ends_on_unchecked_images),
	};

	prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
