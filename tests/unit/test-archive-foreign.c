/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what others make: archives of other tools, and what none of ours would
 * say. Entries are compared as text, a line each. */
#include "tar-fixture.h"

#include "format/posix-acl.h"

#include <errno.h>
#include <sys/sysmacros.h>

static void assert_raw_reads_as(const struct raw *raw, size_t n,
				enum archive_origin origin,
				const char *expected)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		add_raw(&tar, &raw[i]);
	assert_int_equal(tar_add_end(&tar), 0);
	assert_reads_as(&tar, origin, expected);
}

static void test_tarball_without_entries_has_none(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;

	assert_int_equal(tar_add_end(&tar), 0);
	assert_reads_as(&tar, ARCHIVE_FOREIGN, "");
}

#define PLAIN " mode=100644 owner=0:0 mtime=0.000000000 size=0\n"
#define MARK " mode=0 owner=0:0 mtime=0.000000000 size=0\n"

static void test_foreign_paths_are_made_relative(void **state)
{
	static const struct raw raw[] = {
		{.name = "/abs//x/./y", .type = '0'},
		{.name = "././z", .type = '0'},
		{.name = "old-directory/", .type = 0},
		{.name = "l", .type = '1', .target = "./abs/x/y"},
		{.name = "z", .type = '1', .target = "./z"},
	};

	assert_raw_reads_as(raw, ARRAY_SIZE(raw), ARCHIVE_FOREIGN,
			    "abs/x/y flags=0" PLAIN "z flags=0" PLAIN
			    "old-directory flags=0 mode=40644 owner=0:0 "
			    "mtime=0.000000000 size=0\n"
			    "l flags=1 mode=644 owner=0:0 mtime=0.000000000 "
			    "size=0 -> abs/x/y\n");
}

static void test_foreign_whiteouts_hide_and_nothing_else_does(void **state)
{
	static const struct raw raw[] = {
		{.name = "d/.wh.x", .type = '0'},
		{.name = "d/.wh..wh..opq", .type = '0'},
		{.name = "d/.wh..wh.esc..wh.y", .type = '0'},
		{.name = "d/.wh..wh..wh.esc..wh.y", .type = '0'},
		{.name = "d/.wh..wh.esc.y", .type = '0'},
		{.name = ".wh..wh.plnk/1.2", .type = '0'},
		{.name = "c", .type = '3'},
		{.name = "x",
		 .type = '0',
		 .pax = {"SCHILY.xattr.trusted.overlay.opaque=y",
			 "SCHILY.xattr.user.overlay.origin=",
			 "SCHILY.xattr.user.a=b"}},
	};

	assert_raw_reads_as(raw, ARRAY_SIZE(raw), ARCHIVE_FOREIGN,
			    "d/x flags=2" MARK "d flags=4" MARK
			    "d/.wh.y flags=0" PLAIN "d/.wh.y flags=2" MARK
			    "x flags=0 mode=100644 owner=0:0 "
			    "mtime=0.000000000 size=0 user.a=b\n");
}

static void test_foreign_acl_text_becomes_an_attribute(void **state)
{
	/* As GNU tar, bsdtar and Go write it; the last knows names only. */
	static const char text[] = "user::rw-\nuser:1000:r-x\ngroup::r--\n"
				   "mask::rwx\nother::r--\n";
	static const char bsd[] = "user::rw-,group::r--,other::r--,"
				  "user:bob:r-x:1000,mask::rwx";
	static const char named[] = "user::rw-,group::r--,other::r--,"
				    "user:bob:r-x,mask::rwx";
	_cleanup_buf_ struct buf a = BUF_INIT, b = BUF_INIT, back = BUF_INIT;
	_cleanup_buf_ struct buf record = BUF_INIT, tar = BUF_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;

	assert_int_equal(posix_acl_from_text(text, strlen(text), &a), 0);
	assert_int_equal(posix_acl_from_text(bsd, strlen(bsd), &b), 0);
	assert_int_equal(a.size, 4 + 5 * 8);
	assert_int_equal(a.size, b.size);
	assert_memory_equal(a.data, b.data, a.size);
	assert_int_equal(posix_acl_from_text(named, strlen(named), &b),
			 -EINVAL);
	assert_int_equal(posix_acl_to_text(a.data, a.size, &back), 0);
	assert_string_equal(buf_str(&back), "user::rw-,user:1000:r-x,"
					    "group::r--,mask::rwx,other::r--");

	assert_int_equal(buf_printf(&record, "SCHILY.acl.access=%s", text), 0);
	add_raw(&tar, &(struct raw){.name = "f",
				    .type = '0',
				    .pax = {buf_str(&record)}});
	assert_int_equal(read_tar(&tar, ARCHIVE_FOREIGN, &out, NULL), 0);
	assert_non_null(strstr(buf_str(&out), POSIX_ACL_ACCESS_XATTR));
}

static void test_last_of_equal_xattrs_counts(void **state)
{
	static const struct raw raw[] = {
		{.name = "x",
		 .type = '0',
		 .pax = {"SCHILY.xattr.user.b=1", "SCHILY.xattr.user.a=1",
			 "SCHILY.xattr.user.b=2",
			 "LIBARCHIVE.xattr.user.c%2fd=aGkK"}},
	};

	assert_raw_reads_as(raw, 1, ARCHIVE_FOREIGN,
			    "x flags=0 mode=100644 owner=0:0 "
			    "mtime=0.000000000 size=0 user.a=1 user.b=2 "
			    "user.c/d=hi\\0a\n");
}

/* What the tools below archive; kept to what every format of theirs holds. */
#define LONG                                                                   \
	"d/a-name-beyond-the-field-of-one-hundred-bytes-0123456789-"           \
	"0123456789-0123456789-0123456789-0123456789-0123456789-01"
static const struct extent foreign_runs[] = {{8192, 4096}, {65536, 8192}};
static const struct entry foreign_tree[] = {
	{.path = "d", .mode = S_IFDIR | 01750, .mtime = 1000000000},
	{.path = LONG,
	 .mode = S_IFREG | 04755,
	 .uid = 3000000,
	 .gid = 7,
	 .mtime = -5,
	 .size = 5000},
	{.path = "d/link", .mode = S_IFLNK | 0777, .target = LONG "/" LONG},
	{.path = "d/hard",
	 .flags = ENTRY_HARDLINK,
	 .mode = 04755,
	 .uid = 3000000,
	 .gid = 7,
	 .mtime = -5,
	 .target = LONG},
	{.path = "fifo", .mode = S_IFIFO | 0600, .mtime = 1},
	{.path = "null",
	 .mode = S_IFCHR | 0666,
	 .rdev_major = 1,
	 .rdev_minor = 3,
	 .mtime = 1},
	{.path = "holes",
	 .mode = S_IFREG | 0600,
	 .mtime = 1,
	 .sparse = true,
	 .size = 1 << 20,
	 .extents = foreign_runs,
	 .n_extents = 2},
};

static const struct {
	const char *name;
	const char *argv[8];
	bool holes;
} foreign_tools[] = {
	{"GNU tar, oldgnu", {"tar", "--format=oldgnu", "-Sc"}, true},
	{"GNU tar, gnu", {"tar", "--format=gnu", "-Sc"}, true},
	{"GNU tar, pax", {"tar", "--format=pax", "-c"}, false},
	{"GNU tar, sparse 0.0",
	 {"tar", "--format=pax", "--sparse-version=0.0", "-Sc"},
	 true},
	{"GNU tar, sparse 0.1",
	 {"tar", "--format=pax", "--sparse-version=0.1", "-Sc"},
	 true},
	{"GNU tar, sparse 1.0",
	 {"tar", "--format=pax", "--sparse-version=1.0", "-Sc"},
	 true},
	{"bsdtar, pax", {"bsdtar", "--format=pax", "-c"}, true},
};

static void make_foreign_object(int dirfd, const struct entry *e)
{
	const struct extent whole = {0, e->size};
	const struct extent *runs = e->sparse ? e->extents : &whole;
	size_t n = e->sparse ? e->n_extents : 1, at = 0;
	_cleanup_close_ int fd = -1;

	if (e->flags & ENTRY_HARDLINK) {
		assert_int_equal(linkat(dirfd, e->target, dirfd, e->path, 0),
				 0);
		return;
	}
	if (S_ISLNK(e->mode)) {
		assert_int_equal(symlinkat(e->target, dirfd, e->path), 0);
		return;
	}
	if (S_ISDIR(e->mode)) {
		assert_int_equal(mkdirat(dirfd, e->path, 0700), 0);
		return;
	}
	assert_int_equal(mknodat(dirfd, e->path, e->mode,
				 makedev(e->rdev_major, e->rdev_minor)),
			 0);
	if (!S_ISREG(e->mode))
		return;
	fd = openat(dirfd, e->path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)e->size), 0);
	for (size_t i = 0; i < n; i++)
		for (uint64_t k = 0; k < runs[i].length; k++)
			assert_int_equal(pwrite_full(fd, &"payload\n"[at++ % 8],
						     1, runs[i].offset + k),
					 0);
}

static void make_foreign_tree(int dirfd)
{
	for (size_t i = 0; i < ARRAY_SIZE(foreign_tree); i++)
		make_foreign_object(dirfd, &foreign_tree[i]);
	for (size_t i = 0; i < ARRAY_SIZE(foreign_tree); i++) {
		const struct entry *e = &foreign_tree[i];
		const struct timespec times[2] = {{.tv_sec = e->mtime},
						  {.tv_sec = e->mtime}};

		assert_int_equal(fchownat(dirfd, e->path, e->uid, e->gid,
					  AT_SYMLINK_NOFOLLOW),
				 0);
		if (!S_ISLNK(e->mode))
			assert_int_equal(
				fchmodat(dirfd, e->path, e->mode & 07777, 0),
				0);
		assert_int_equal(
			utimensat(dirfd, e->path, times, AT_SYMLINK_NOFOLLOW),
			0);
	}
}

struct foreign_reading {
	int fd;
	struct buf text;
};

/* The entry without its place in the tarball, but what is there is checked. */
static int on_foreign_entry(const struct entry *e, void *ctx, struct err *err)
{
	uint64_t n = entry_data_size(e);
	struct foreign_reading *f = ctx;
	struct entry copy = *e;
	char c;

	copy.payload = 0;
	dump(&copy, &f->text);
	for (uint64_t i = 0; !strstr(e->path, "holes") && i < n; i++) {
		assert_int_equal(pread_full(f->fd, &c, 1, e->payload + i), 0);
		assert_int_equal(c, "payload\n"[i % 8]);
	}
	if (e->sparse) {
		assert_int_equal(pread_full(f->fd, &c, 1, e->payload + n - 1),
				 0);
		assert_int_equal(c, '\n');
		assert_int_equal(pread_full(f->fd, &c, 1, e->payload), 0);
		assert_int_equal(c, 'p');
	}
	return 0;
}

static void check_foreign_tool(const char *directory, size_t tool)
{
	const char *argv[8 + ARRAY_SIZE(foreign_tree)];
	_cleanup_buf_ struct buf expected = BUF_INIT;
	struct foreign_reading f = {.text = BUF_INIT};
	struct err err = ERR_INIT;
	size_t argc = 0;
	struct stat st;

	while (foreign_tools[tool].argv[argc]) {
		argv[argc] = foreign_tools[tool].argv[argc];
		argc++;
	}
	argv[argc++] = "--no-recursion";
	for (size_t i = 0; i < ARRAY_SIZE(foreign_tree); i++) {
		struct entry e = foreign_tree[i];

		argv[argc++] = e.path;
		if (!foreign_tools[tool].holes && e.sparse) {
			e.sparse = false;
			e.n_extents = 0;
		}
		dump(&e, &expected);
	}
	argv[argc] = NULL;
	print_message("archive by %s\n", foreign_tools[tool].name);
	f.fd = memfd_create("tar", MFD_CLOEXEC);
	assert_true(f.fd >= 0);
	assert_int_equal(run_tool(directory, "C.UTF-8", argv, f.fd), 0);
	assert_int_equal(fstat(f.fd, &st), 0);
	if (archive_read_entries(f.fd, (uint64_t)st.st_size, ARCHIVE_FOREIGN,
				 on_foreign_entry, &f, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(buf_str(&f.text), buf_str(&expected));
	buf_release(&f.text);
	(void)close(f.fd);
}

static int setup_directory(void **state)
{
	static char directory[64];

	*state = directory;
	return make_directory(directory);
}

static int teardown_directory(void **state)
{
	return remove_tree_at(AT_FDCWD, *state);
}

static void test_archives_of_other_tools_read_alike(void **state)
{
	_cleanup_close_ int dirfd = -1;

	if (geteuid() != 0) {
		print_message("skipped: not root\n");
		skip();
	}
	dirfd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dirfd >= 0);
	make_foreign_tree(dirfd);
	for (size_t i = 0; i < ARRAY_SIZE(foreign_tools); i++) {
		if (has_tool(foreign_tools[i].argv[0]))
			check_foreign_tool(*state, i);
		else
			print_message("skipped: no %s\n",
				      foreign_tools[i].argv[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tarball_without_entries_has_none),
		cmocka_unit_test(test_foreign_paths_are_made_relative),
		cmocka_unit_test(
			test_foreign_whiteouts_hide_and_nothing_else_does),
		cmocka_unit_test(test_foreign_acl_text_becomes_an_attribute),
		cmocka_unit_test(test_last_of_equal_xattrs_counts),
		cmocka_unit_test_setup_teardown(
			test_archives_of_other_tools_read_alike,
			setup_directory, teardown_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
