/* SPDX-License-Identifier: Apache-2.0 */

/* What is read of one object for its tar entry: attributes, a link's target,
 * and where a file has data. */

#include "volume-fixture.h"
#include "volume/source.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

struct object {
	struct fixture *f;
	struct source source;
	struct entry entry;
	struct stat st;
	int fd;
};

static void open_object(struct object *o, struct fixture *f)
{
	*o = (struct object){.f = f};
	o->fd = openat(f->host->state_fd, "file", O_RDWR | O_CREAT | O_CLOEXEC,
		       0640);
	assert_true(o->fd >= 0);
}

static void release(struct object *o)
{
	source_release(&o->source);
	closep(&o->fd);
}

static void read_file(struct object *o, bool upper)
{
	o->entry = (struct entry){.path = "file"};
	assert_int_equal(fstat(o->fd, &o->st), 0);
	assert_int_equal(source_read(&o->source, o->fd, -1, "", &o->st, upper,
				     &o->entry),
			 0);
}

static void assert_xattrs(const struct entry *e, const char *want)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (size_t i = 0; i < e->n_xattrs; i++)
		assert_int_equal(buf_printf(&b, "%s=%.*s ", e->xattrs[i].name,
					    (int)e->xattrs[i].size,
					    (const char *)e->xattrs[i].value),
				 0);
	assert_string_equal(buf_str(&b), want);
}

static void set(struct object *o, const char *name, const char *value)
{
	assert_int_equal(fsetxattr(o->fd, name, value, strlen(value), 0), 0);
}

static void test_attributes_are_those_of_stat(void **state)
{
	const struct timespec times[2] = {{0}, {-5, 999999999}};
	struct object o;

	open_object(&o, *state);
	assert_int_equal(write_full(o.fd, "hello", 5), 0);
	assert_int_equal(fchmod(o.fd, 04711), 0);
	assert_int_equal(futimens(o.fd, times), 0);
	read_file(&o, false);
	assert_int_equal(o.entry.mode, S_IFREG | 04711);
	assert_int_equal(o.entry.uid, geteuid());
	assert_int_equal(o.entry.size, 5);
	assert_int_equal(o.entry.mtime, -5);
	assert_int_equal(o.entry.mtime_nsec, 999999999);
	release(&o);
}

static void test_links_and_devices_are_read_by_name(void **state)
{
	struct fixture *f = *state;
	struct source source = {0};
	struct entry e = {0};
	struct stat st;
	int dir = f->host->state_fd;
	char target[4000];

	memset(target, 't', sizeof(target) - 1);
	target[sizeof(target) - 1] = 0;
	assert_int_equal(symlinkat(target, dir, "link"), 0);
	assert_int_equal(fstatat(dir, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(source_read(&source, -1, dir, "link", &st, true, &e),
			 0);
	assert_string_equal(e.target, target);
	assert_int_equal(e.size, 0);
	/* It went away, or became something else. */
	assert_int_equal(unlinkat(dir, "link", 0), 0);
	assert_true(source_read(&source, -1, dir, "link", &st, true, &e) < 0);
	assert_int_equal(mkdirat(dir, "link", 0700), 0);
	assert_int_equal(source_read(&source, -1, dir, "link", &st, true, &e),
			 -EINVAL);
	if (geteuid() == 0) {
		e = (struct entry){0};
		assert_int_equal(mknodat(dir, "dev", S_IFBLK | 0600,
					 makedev(259, 70000)),
				 0);
		assert_int_equal(fstatat(dir, "dev", &st, 0), 0);
		assert_int_equal(
			source_read(&source, -1, dir, "dev", &st, true, &e), 0);
		assert_int_equal(e.rdev_major, 259);
		assert_int_equal(e.rdev_minor, 70000);
	}
	source_release(&source);
}

static void test_xattrs_come_sorted_with_their_bytes(void **state)
{
	struct object o;
	char big[2000];

	open_object(&o, *state);
	memset(big, 'v', sizeof(big));
	set(&o, "user.z", "last");
	set(&o, "user.a", "");
	assert_int_equal(fsetxattr(o.fd, "user.m", big, sizeof(big), 0), 0);
	read_file(&o, false);
	assert_int_equal(o.entry.n_xattrs, 3);
	assert_string_equal(o.entry.xattrs[0].name, "user.a");
	assert_int_equal(o.entry.xattrs[0].size, 0);
	assert_string_equal(o.entry.xattrs[1].name, "user.m");
	assert_int_equal(o.entry.xattrs[1].size, sizeof(big));
	assert_memory_equal(o.entry.xattrs[1].value, big, sizeof(big));
	assert_string_equal(o.entry.xattrs[2].name, "user.z");
	/* The next object starts anew. */
	assert_int_equal(fremovexattr(o.fd, "user.m"), 0);
	assert_int_equal(fremovexattr(o.fd, "user.z"), 0);
	read_file(&o, false);
	assert_int_equal(o.entry.n_xattrs, 1);
	release(&o);
}

static void test_marks_of_the_overlay_stay_out_of_an_upper(void **state)
{
	struct object o;

	if (geteuid() != 0) {
		print_message("needs root to set trusted xattrs\n");
		skip();
	}
	open_object(&o, *state);
	set(&o, "trusted.overlay.origin", "o");
	set(&o, "trusted.overlay.metacopy", "");
	set(&o, "trusted.overlay.overlay.redirect", "nested");
	set(&o, "trusted.overlay.overlay.overlay.x", "twice");
	set(&o, "trusted.overlayer", "other");
	set(&o, "user.x", "x");
	read_file(&o, true);
	assert_xattrs(&o.entry, "trusted.overlay.overlay.x=twice "
				"trusted.overlay.redirect=nested "
				"trusted.overlayer=other user.x=x ");
	assert_true(o.source.metacopy);
	assert_true(o.source.origin);
	read_file(&o, false);
	assert_xattrs(&o.entry, "trusted.overlay.metacopy= "
				"trusted.overlay.origin=o "
				"trusted.overlay.overlay.overlay.x=twice "
				"trusted.overlay.overlay.redirect=nested "
				"trusted.overlayer=other user.x=x ");
	assert_false(o.source.metacopy);
	release(&o);
}

/* runs: pairs of block numbers of 4 KiB, from and to. */
static void make_sparse(struct object *o, const uint64_t (*runs)[2], size_t n,
			uint64_t size)
{
	uint8_t block[4096];

	memset(block, 'd', sizeof(block));
	assert_int_equal(ftruncate(o->fd, 0), 0);
	for (size_t i = 0; i < n; i++)
		for (uint64_t b = runs[i][0]; b < runs[i][1]; b++)
			assert_int_equal(pwrite_full(o->fd, block,
						     sizeof(block), b * 4096),
					 0);
	assert_int_equal(ftruncate(o->fd, (off_t)size), 0);
	assert_int_equal(fsync(o->fd), 0);
	read_file(o, false);
	assert_int_equal(source_read_holes(&o->source, o->fd, &o->entry), 0);
}

static void test_holes_of_a_file_are_found(void **state)
{
	static const uint64_t runs[][2] = {{0, 1}, {16, 18}, {31, 32}};
	static const uint64_t whole[][2] = {{0, 3}};
	struct object o;

	open_object(&o, *state);
	make_sparse(&o, runs, 3, 40 * 4096);
	if (lseek(o.fd, 0, SEEK_HOLE) == 40 * 4096) {
		print_message("no holes on this file system\n");
		release(&o);
		skip();
	}
	assert_true(o.entry.sparse);
	assert_int_equal(o.entry.n_extents, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(o.entry.extents[i].offset, runs[i][0] * 4096);
		assert_int_equal(o.entry.extents[i].length,
				 (runs[i][1] - runs[i][0]) * 4096);
	}
	/* The last run ends with the file. */
	make_sparse(&o, runs, 3, 31 * 4096 + 5);
	assert_int_equal(o.entry.extents[2].length, 5);
	make_sparse(&o, NULL, 0, 123456789);
	assert_true(o.entry.sparse);
	assert_int_equal(o.entry.n_extents, 0);
	make_sparse(&o, whole, 1, 3 * 4096 - 7);
	assert_false(o.entry.sparse);
	assert_null(o.entry.extents);
	release(&o);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_attributes_are_those_of_stat),
		T(test_links_and_devices_are_read_by_name),
		T(test_xattrs_come_sorted_with_their_bytes),
		T(test_marks_of_the_overlay_stay_out_of_an_upper),
		T(test_holes_of_a_file_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
