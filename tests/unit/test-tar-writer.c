/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer makes is judged by GNU tar and bsdtar, who extract it, and
 * byte for byte where a format leaves no choice. */
#include "tar-fixture.h"

#include "format/posix-acl.h"
#include "format/tar-writer.h"

#include <errno.h>
#include <locale.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define ACL_TEXT "user::rw-,user:1000:r-x,group::r--,mask::rwx,other::r--"

static bool contains(const struct buf *b, const char *text)
{
	return memmem(b->data, b->size, text, strlen(text));
}

static void make_headers(struct buf *b, const struct entry *e)
{
	b->size = 0;
	assert_int_equal(tar_add_header(b, e, NULL), 0);
	assert_int_equal(b->size % TAR_BLOCK, 0);
}

static void test_header_is_exactly_ustar(void **state)
{
	static const struct {
		size_t offset;
		const char *text;
	} fields[] = {
		{0, "d/f"},	  {100, "0004755"},	{108, "0001750"},
		{116, "7777777"}, {124, "00000000003"}, {136, "77777777777"},
		{156, "0"},	  {257, "ustar"},	{263, "00"},
		{329, "0000000"},
	};
	_cleanup_buf_ struct buf b = BUF_INIT;
	const struct entry e = {.path = "d/f",
				.mode = S_IFREG | 04755,
				.uid = 1000,
				.gid = 07777777,
				.mtime = 077777777777,
				.size = 3};
	unsigned int sum = 0;

	make_headers(&b, &e);
	assert_int_equal(b.size, TAR_BLOCK);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		assert_string_equal((char *)b.data + fields[i].offset,
				    fields[i].text);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : b.data[i];
	assert_int_equal(strtoul((char *)b.data + 148, NULL, 8), sum);
	assert_int_equal(b.data[154], 0);
	assert_int_equal(b.data[155], ' ');
}

static void test_records_appear_only_for_what_fields_cannot_say(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct entry e = {.path = "f", .mode = S_IFREG};

	e.size = 077777777777;
	make_headers(&b, &e);
	assert_int_equal(b.size, TAR_BLOCK);
	e.size++;
	make_headers(&b, &e);
	assert_true(contains(&b, "19 size=8589934592\n"));
	e = (struct entry){.path = "f",
			   .mode = S_IFREG,
			   .uid = 2097152,
			   .gid = UINT32_MAX};
	make_headers(&b, &e);
	assert_true(contains(&b, "15 uid=2097152\n18 gid=4294967295\n"));
	e = (struct entry){.path = "\xc3\xa9", .mode = S_IFREG};
	make_headers(&b, &e);
	assert_true(contains(&b, "11 path=\xc3\xa9\n"));
	assert_false(contains(&b, "hdrcharset"));
	e.path = "\xe9";
	make_headers(&b, &e);
	assert_true(contains(&b, "21 hdrcharset=BINARY\n9 path=\xe9\n"));
}

static void test_cut_off_name_of_a_file_does_not_end_in_a_slash(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char path[102];
	const struct entry e = {.path = path, .mode = S_IFREG};
	const char *field;

	memset(path, 'd', sizeof(path));
	memcpy(path + 99, "/f", 3);
	make_headers(&b, &e);
	field = (char *)b.data + b.size - TAR_BLOCK;
	assert_int_equal(strnlen(field, 100), 99);
}

static void test_times_before_1970_are_negated_decimals(void **state)
{
	static const struct {
		int64_t mtime;
		uint32_t nsec;
		const char *record;
	} times[] = {
		{-2, 500000000, "14 mtime=-1.5\n"},
		{-1, 1, "22 mtime=-0.999999999\n"},
		{-1, 999999999, "22 mtime=-0.000000001\n"},
		{-1, 0, "12 mtime=-1\n"},
		{1, 10, "20 mtime=1.00000001\n"},
		{077777777777 + INT64_C(1), 0, "20 mtime=8589934592\n"},
	};
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		const struct entry e = {.path = "f",
					.mode = S_IFREG,
					.mtime = times[i].mtime,
					.mtime_nsec = times[i].nsec};

		make_headers(&b, &e);
		if (!contains(&b, times[i].record))
			fail_msg("no record %s", times[i].record);
	}
}

static void test_length_of_a_record_counts_its_own_digits(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char value[1200];

	memset(value, 'v', sizeof(value));
	for (size_t n = 0; n < sizeof(value); n++) {
		const struct xattr x = {"user.a", value, n};
		const struct entry e = {.path = "f",
					.mode = S_IFREG,
					.xattrs = &x,
					.n_xattrs = 1};
		unsigned long length;

		make_headers(&b, &e);
		length = strtoul((char *)b.data + TAR_BLOCK, NULL, 10);
		assert_int_equal(strtoul((char *)b.data + 124, NULL, 8),
				 length);
		assert_int_equal(b.data[TAR_BLOCK + length - 1], '\n');
	}
}

static void test_acls_are_stored_raw_and_as_text(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT, acl = BUF_INIT;
	struct xattr x[2] = {{.name = POSIX_ACL_ACCESS_XATTR},
			     {.name = POSIX_ACL_DEFAULT_XATTR}};
	const struct entry e = {
		.path = "d", .mode = S_IFDIR, .xattrs = x, .n_xattrs = 2};

	assert_int_equal(posix_acl_from_text(ACL_TEXT, strlen(ACL_TEXT), &acl),
			 0);
	x[0].value = x[1].value = acl.data;
	x[0].size = x[1].size = acl.size;
	make_headers(&b, &e);
	assert_true(contains(&b, " SCHILY.acl.access=" ACL_TEXT "\n"));
	assert_true(contains(&b, " SCHILY.acl.default=" ACL_TEXT "\n"));
	assert_true(contains(&b, " SCHILY.xattr.system.posix_acl_access="));
	assert_true(contains(&b, " SCHILY.xattr.system.posix_acl_default="));
	x[0].value = "junk";
	x[0].size = 4;
	make_headers(&b, &e);
	assert_false(contains(&b, "SCHILY.acl.access="));
	assert_true(
		contains(&b, " SCHILY.xattr.system.posix_acl_access=junk\n"));
}

static void test_what_a_tarball_cannot_hold_is_refused_by_name(void **state)
{
	static char value[ENTRY_XATTR_SIZE_MAX];
	static const struct extent backwards[] = {{4096, 4096}, {0, 4096}};
	static const struct extent beyond[] = {{0, 9000}};
	struct xattr many[20];
	const struct {
		struct entry e;
		int error;
	} cases[] = {
		{{.path = "bad", .mode = S_IFSOCK | 0600}, -EINVAL},
		{{.path = "bad"}, -EINVAL},
		{{.path = "bad", .mode = S_IFLNK}, -EINVAL},
		{{.path = "bad", .flags = ENTRY_HARDLINK}, -EINVAL},
		{{.path = "bad", .mode = S_IFREG, .mtime_nsec = 1000000000},
		 -EINVAL},
		{{.path = "bad", .mode = S_IFREG, .size = UINT64_MAX}, -EINVAL},
		{{.path = "bad",
		  .mode = S_IFREG,
		  .size = 8192,
		  .sparse = true,
		  .extents = backwards,
		  .n_extents = 2},
		 -EINVAL},
		{{.path = "bad",
		  .mode = S_IFREG,
		  .size = 8192,
		  .sparse = true,
		  .extents = beyond,
		  .n_extents = 1},
		 -EINVAL},
		{{.path = "bad",
		  .mode = S_IFREG,
		  .xattrs = many,
		  .n_xattrs = 20},
		 -E2BIG},
	};
	_cleanup_buf_ struct buf b = BUF_INIT;

	memset(value, 'x', sizeof(value));
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct xattr){"user.x", value, sizeof(value)};
	assert_int_equal(buf_add_str(&b, "before"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(tar_add_header(&b, &cases[i].e, &err),
				 cases[i].error);
		assert_non_null(strstr(err.text, "\"bad\""));
		assert_int_equal(b.size, strlen("before"));
	}
}

/* A tree for the judges. Where NEGATIVE is in a name, the time is before 1970
 * and not whole; where PERCENT is, an xattr's name has '%' and '='. bsdtar 3.6
 * gets both wrong, GNU tar neither. */
#define NEGATIVE "negative"
#define PERCENT "percent"

#define LONG50 "long-name-of-fifty-bytes-0123456789-0123456789-012"
#define LONG100 LONG50 "/" LONG50
static const char long_target[] = LONG100 "/" LONG100 "/\xff\xfe";

static const struct extent some_runs[] = {{8192, 4096}, {65536, 8192}};
static const struct xattr plain_xattrs[] = {
	{"trusted.t", "t", 1},
	{"user.binary", "a=b\n\0c", 6},
	{"user.empty", "", 0},
};
static const struct xattr percent_xattrs[] = {{"user.%3D=%", "v", 1}};
static const struct xattr capability[] = {
	{"security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
	 20}};
static struct xattr acls[2] = {{.name = POSIX_ACL_ACCESS_XATTR},
			       {.name = POSIX_ACL_DEFAULT_XATTR}};

static const struct entry tree[] = {
	{.path = "", .mode = S_IFDIR | 0751, .mtime = 1, .mtime_nsec = 2},
	{.path = "\xff-first",
	 .mode = S_IFLNK | 0777,
	 .target = long_target,
	 .uid = 5,
	 .mtime = 7,
	 .mtime_nsec = 123456789},
	{.path = "acl", .mode = S_IFREG | 0674, .xattrs = acls, .n_xattrs = 1},
	{.path = "acl-d",
	 .mode = S_IFDIR | 0674,
	 .xattrs = acls,
	 .n_xattrs = 2},
	{.path = "block",
	 .mode = S_IFBLK | 0600,
	 .rdev_major = 4095,
	 .rdev_minor = 1048575},
	{.path = "char",
	 .mode = S_IFCHR | 0666,
	 .rdev_major = 1,
	 .rdev_minor = 3},
	{.path = "fifo", .mode = S_IFIFO | 0640, .mtime = 1},
	{.path = "hole",
	 .mode = S_IFREG | 0644,
	 .size = 1 << 20,
	 .sparse = true},
	{.path = "holes\xff",
	 .mode = S_IFREG | 0644,
	 .size = 1 << 20,
	 .sparse = true,
	 .extents = some_runs,
	 .n_extents = 2},
	{.path = LONG50, .mode = S_IFDIR | 02755, .gid = 3000000},
	{.path = LONG100, .mode = S_IFDIR | 01777},
	{.path = LONG100 "/file",
	 .mode = S_IFREG | 04711,
	 .size = 5000,
	 .uid = 4000000000,
	 .gid = 4000000001,
	 .mtime = 1700000000,
	 .mtime_nsec = 1},
	{.path = LONG100 "/hard",
	 .flags = ENTRY_HARDLINK,
	 .mode = 04711,
	 .target = LONG100 "/file"},
	{.path = LONG100 "/holes",
	 .mode = S_IFREG | 0600,
	 .size = 73728,
	 .sparse = true,
	 .extents = some_runs,
	 .n_extents = 2},
	{.path = NEGATIVE,
	 .mode = S_IFREG | 0600,
	 .mtime = -2,
	 .mtime_nsec = 500000000},
	{.path = "old", .mode = S_IFREG | 0600, .mtime = -86400, .size = 512},
	{.path = "\xc3\xa9t\xc3\xa9", .mode = S_IFREG | 0600, .size = 1},
	{.path = "xattr",
	 .mode = S_IFREG | 0600,
	 .xattrs = plain_xattrs,
	 .n_xattrs = 3,
	 .size = 3},
	{.path = "xattr-c",
	 .mode = S_IFREG | 0755,
	 .xattrs = capability,
	 .n_xattrs = 1,
	 .uid = 3},
	{.path = "xattr-" PERCENT,
	 .mode = S_IFREG | 0600,
	 .xattrs = percent_xattrs,
	 .n_xattrs = 1},
};

struct judge {
	const char *name;
	const char *locale;
	bool is_gnu;
	bool acls_only;
	const char *argv[12];
};

static const struct judge judges[] = {
	{"GNU tar --acls --xattrs",
	 "C.UTF-8",
	 true,
	 false,
	 {"tar", "--acls", "--xattrs", "--xattrs-include=*", "-xpf", "../tar"}},
	{"GNU tar --xattrs",
	 "C",
	 true,
	 false,
	 {"tar", "--xattrs", "--xattrs-include=*", "-xpf", "../tar"}},
	{"GNU tar --acls",
	 "C",
	 true,
	 true,
	 {"tar", "--acls", "-xpf", "../tar"}},
	{"bsdtar",
	 "C.UTF-8",
	 false,
	 false,
	 {"bsdtar", "--acls", "--xattrs", "-xpf", "../tar"}},
};

static void check_xattrs(const char *path, const struct entry *e,
			 const struct judge *j)
{
	char names[4096], value[256];
	ssize_t n = llistxattr(path, names, sizeof(names));
	size_t found = 0;

	assert_true(n >= 0);
	for (const char *p = names; p < names + n; p += strlen(p) + 1)
		found++;
	if (j->acls_only && e->n_xattrs && e->xattrs != acls)
		return;
	assert_int_equal(found, e->n_xattrs);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		n = lgetxattr(path, e->xattrs[i].name, value, sizeof(value));
		assert_int_equal(n, e->xattrs[i].size);
		assert_memory_equal(value, e->xattrs[i].value, n);
	}
}

static void check_contents(const char *path, const struct entry *e)
{
	const struct extent whole = {0, e->size};
	const struct extent *runs = e->sparse ? e->extents : &whole;
	size_t n_runs = e->sparse ? e->n_extents : 1, at = 0;
	_cleanup_buf_ struct buf expected = BUF_INIT, got = BUF_INIT;

	assert_int_equal(buf_add_zero(&expected, e->size), 0);
	for (size_t i = 0; i < n_runs; i++)
		for (uint64_t k = 0; k < runs[i].length; k++)
			expected.data[runs[i].offset + k] =
				(uint8_t) "payload\n"[at++ % 8];
	assert_int_equal(read_file_at(AT_FDCWD, path, 2 << 20, &got), 0);
	assert_int_equal(got.size, expected.size);
	if (got.size)
		assert_memory_equal(got.data, expected.data, got.size);
}

static void check_object(const char *path, const struct entry *e,
			 const struct judge *j)
{
	char target[4096];
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode, e->mode);
	assert_int_equal(st.st_uid, e->uid);
	assert_int_equal(st.st_gid, e->gid);
	/* bsdtar leaves the time of the directory that it stands in. */
	if (j->is_gnu || (*e->path && !strstr(e->path, NEGATIVE))) {
		assert_int_equal(st.st_mtim.tv_sec, e->mtime);
		assert_int_equal(st.st_mtim.tv_nsec, e->mtime_nsec);
	}
	if (j->is_gnu || !strstr(e->path, PERCENT))
		check_xattrs(path, e, j);
	if (S_ISCHR(e->mode) || S_ISBLK(e->mode))
		assert_int_equal(st.st_rdev,
				 makedev(e->rdev_major, e->rdev_minor));
	if (S_ISLNK(e->mode)) {
		ssize_t n = readlink(path, target, sizeof(target) - 1);

		assert_true(n > 0);
		target[n] = 0;
		assert_string_equal(target, e->target);
	}
	if (!S_ISREG(e->mode))
		return;
	check_contents(path, e);
	if (e->sparse)
		assert_true((uint64_t)st.st_blocks * 512 < e->size / 2);
}

static void check_hard_link(const char *path, const char *target)
{
	struct stat a, b;

	assert_int_equal(lstat(path, &a), 0);
	assert_int_equal(lstat(target, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
}

static void check_tree(const char *root, const struct judge *j)
{
	char path[8192], target[8192];

	for (size_t i = 0; i < ARRAY_SIZE(tree); i++) {
		const struct entry *e = &tree[i];

		(void)snprintf(path, sizeof(path), "%s/%s", root, e->path);
		if (e->flags & ENTRY_HARDLINK) {
			(void)snprintf(target, sizeof(target), "%s/%s", root,
				       e->target);
			check_hard_link(path, target);
		} else {
			check_object(path, e, j);
		}
	}
}

static void make_tree_tar(struct buf *tar, struct buf *acl)
{
	acl->size = tar->size = 0;
	assert_int_equal(posix_acl_from_text(ACL_TEXT, strlen(ACL_TEXT), acl),
			 0);
	acls[0].value = acls[1].value = acl->data;
	acls[0].size = acls[1].size = acl->size;
	for (size_t i = 0; i < ARRAY_SIZE(tree); i++)
		add_entry(tar, &tree[i]);
	assert_int_equal(tar_add_end(tar), 0);
}

/* NULL, or why the judges cannot work in directory. */
static const char *why_not(const char *directory)
{
	if (geteuid() != 0)
		return "not root";
	if (lsetxattr(directory, "user.x", "", 0, 0) < 0 ||
	    lsetxattr(directory, "trusted.x", "", 0, 0) < 0)
		return "/var/tmp has no extended attributes";
	return NULL;
}

static void judge_tree(const char *directory, const struct judge *j)
{
	char root[128];

	(void)snprintf(root, sizeof(root), "%s/root", directory);
	assert_int_equal(mkdir(root, 0700), 0);
	print_message("judge: %s\n", j->name);
	assert_int_equal(run_tool(root, j->locale, j->argv, -1), 0);
	check_tree(root, j);
	assert_int_equal(remove_tree_at(AT_FDCWD, root), 0);
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

static void test_gnu_tar_and_bsdtar_extract_the_same_tree(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT, acl = BUF_INIT;
	const char *directory = *state, *why = why_not(directory);
	unsigned int judged = 0;
	char path[128];

	make_tree_tar(&tar, &acl);
	(void)snprintf(path, sizeof(path), "%s/tar", directory);
	assert_int_equal(
		write_file_at(AT_FDCWD, path, tar.data, tar.size, 0600), 0);
	for (size_t i = 0; !why && i < ARRAY_SIZE(judges); i++) {
		if (!has_tool(judges[i].argv[0])) {
			print_message("%s is not installed\n",
				      judges[i].argv[0]);
			continue;
		}
		judge_tree(directory, &judges[i]);
		judged++;
	}
	if (!judged) {
		print_message("skipped: %s\n", why ? why : "no judge");
		skip();
	}
}

static void test_locale_does_not_change_a_byte(void **state)
{
	_cleanup_buf_ struct buf a = BUF_INIT, b = BUF_INIT, acl = BUF_INIT;

	assert_non_null(setlocale(LC_ALL, "C"));
	make_tree_tar(&a, &acl);
	if (!setlocale(LC_ALL, "C.UTF-8")) {
		print_message("skipped: no locale C.UTF-8\n");
		skip();
	}
	make_tree_tar(&b, &acl);
	assert_non_null(setlocale(LC_ALL, "C"));
	assert_int_equal(a.size, b.size);
	assert_memory_equal(a.data, b.data, a.size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_is_exactly_ustar),
		cmocka_unit_test(
			test_records_appear_only_for_what_fields_cannot_say),
		cmocka_unit_test(
			test_cut_off_name_of_a_file_does_not_end_in_a_slash),
		cmocka_unit_test(test_times_before_1970_are_negated_decimals),
		cmocka_unit_test(test_length_of_a_record_counts_its_own_digits),
		cmocka_unit_test(test_acls_are_stored_raw_and_as_text),
		cmocka_unit_test(
			test_what_a_tarball_cannot_hold_is_refused_by_name),
		cmocka_unit_test_setup_teardown(
			test_gnu_tar_and_bsdtar_extract_the_same_tree,
			setup_directory, teardown_directory),
		cmocka_unit_test(test_locale_does_not_change_a_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
