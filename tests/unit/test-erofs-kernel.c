/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel is the judge: it mounts the index, and every name, attribute, byte
 * and hole must be what the entries say. Needs root and Linux 6.12. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "erofs-fixture.h"

/* Exit status of the child that mounts. */
enum verdict {
	AGREES,
	DIFFERS,
	CANNOT_MOUNT,
};

struct fixture {
	char dir[64];
	uint8_t *tar; /* any bytes will do for the kernel */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(f);
	if (!tmp || strlen(tmp) > 32)
		tmp = "/var/tmp";
	snprintf(f->dir, sizeof(f->dir), "%s/test-erofs-XXXXXX", tmp);
	assert_non_null(mkdtemp(f->dir));
	f->tar = malloc(TAR_SIZE);
	assert_non_null(f->tar);
	for (size_t i = 0; i < TAR_SIZE; i++)
		f->tar[i] = (uint8_t)(i * 2654435761u >> 24 | 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(remove_tree_at(AT_FDCWD, f->dir), 0);
	free(f->tar);
	free(f);
	return 0;
}

static bool complain(const struct entry *e, const char *what)
{
	fprintf(stderr, "\"%.200s\": %s\n", e->path, what);
	return false;
}

static bool same_stat(const struct entry *e, uint64_t nid,
		      const struct stat *st)
{
	dev_t rdev = makedev(e->rdev_major, e->rdev_minor);

	if (e->flags & ENTRY_WHITEOUT)
		return S_ISCHR(st->st_mode) && st->st_rdev == 0
			       ? true
			       : complain(e, "is not a whiteout");
	if (st->st_mode != e->mode || st->st_uid != e->uid ||
	    st->st_gid != e->gid || st->st_ino != nid)
		return complain(e, "mode, owner or inode number");
	if (st->st_mtim.tv_sec != e->mtime ||
	    st->st_mtim.tv_nsec != e->mtime_nsec)
		return complain(e, "time");
	if (S_ISREG(e->mode) && (uint64_t)st->st_size != e->size)
		return complain(e, "size");
	if ((S_ISBLK(e->mode) || S_ISCHR(e->mode)) && st->st_rdev != rdev)
		return complain(e, "device number");
	return true;
}

static bool same_link(const struct entry *e, int dirfd, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0 || (size_t)n != strlen(e->target) ||
	    memcmp(target, e->target, (size_t)n) != 0)
		return complain(e, "target");
	return true;
}

/* An entry's attributes are in the image with overlayfs's own escaped. */
static bool same_xattrs(const struct entry *e, bool whiteouts, const char *name)
{
	static uint8_t value[65536], list[65536];
	const char *overlay = "trusted.overlay.";
	ssize_t listed = llistxattr(name, (char *)list, sizeof(list));
	size_t n = e->n_xattrs + !!(e->flags & ENTRY_OPAQUE) + whiteouts;

	for (ssize_t i = 0; i < listed; i++)
		n -= !list[i];
	if (listed < 0 || n)
		return complain(e, "number of attributes");
	for (size_t i = 0; i < e->n_xattrs; i++) {
		const struct xattr *x = &e->xattrs[i];
		char full[512];
		ssize_t size;

		if (strncmp(x->name, overlay, strlen(overlay)) == 0)
			snprintf(full, sizeof(full), "%soverlay.%s", overlay,
				 x->name + strlen(overlay));
		else
			snprintf(full, sizeof(full), "%s", x->name);
		size = lgetxattr(name, full, value, sizeof(value));
		if (size < 0 || (size_t)size != x->size ||
		    memcmp(value, x->value, x->size) != 0)
			return complain(e, x->name);
	}
	if (e->flags & ENTRY_OPAQUE &&
	    (lgetxattr(name, "trusted.overlay.opaque", value, 9) != 1 ||
	     value[0] != 'y'))
		return complain(e, "opaque mark");
	if (whiteouts &&
	    lgetxattr(name, "trusted.overlay.origin", value, 9) != 0)
		return complain(e, "mark of whiteouts");
	return true;
}

static bool same_run(const struct entry *e, int fd, const uint8_t *tar,
		     const struct extent *x)
{
	static uint8_t data[TAR_SIZE];

	if (pread_full(fd, data, x->length, x->offset) < 0 ||
	    memcmp(data, tar, x->length) != 0)
		return complain(e, "contents");
	return true;
}

/* Data where the runs say and as the tarball has it, holes elsewhere. */
static bool same_contents(const struct entry *e, const uint8_t *tar, int dirfd,
			  const char *name)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	const struct extent whole = {0, e->size};
	const struct extent *run = e->sparse ? e->extents : &whole;
	size_t n = e->sparse ? e->n_extents : 1;
	uint64_t at = e->payload;
	off_t end = 0;

	if (fd < 0)
		return complain(e, "cannot be opened");
	for (size_t i = 0; e->size && i < n; i++) {
		off_t data = lseek(fd, end, SEEK_DATA);

		end = lseek(fd, data, SEEK_HOLE);
		if (data != (off_t)run[i].offset ||
		    end != (off_t)(run[i].offset + run[i].length))
			return complain(e, "holes");
		if (!same_run(e, fd, tar + at, &run[i]))
			return false;
		at += run[i].length;
	}
	if (e->size && lseek(fd, end, SEEK_DATA) >= 0)
		return complain(e, "has more data");
	if (e->sparse) {
		uint8_t zero[512] = {0}, hole[512];
		off_t first = lseek(fd, 0, SEEK_HOLE);

		if (pread_full(fd, hole, sizeof(hole), (uint64_t)first) < 0 ||
		    memcmp(hole, zero, sizeof(hole)) != 0)
			return complain(e, "hole does not read as zeros");
	}
	return true;
}

struct judge {
	struct erofs_reader *reader;
	const uint8_t *tar;
	char path[ENTRY_PATH_MAX + 1];
	uint64_t names;
};

static bool judge_directory(struct judge *j, int dirfd, size_t length);

/* The name at j->path, in the working directory dirfd. */
static bool judge_name(struct judge *j, int dirfd, const char *name,
		       const struct dirent *d, size_t length)
{
	_cleanup_close_ int below = -1;
	struct err err = ERR_INIT;
	bool whiteouts;
	struct entry e;
	struct stat st;
	uint64_t nid;

	j->names++;
	if (erofs_reader_lookup(j->reader, j->path, &e, &nid, &err) < 0) {
		fprintf(stderr, "%s: only the kernel finds it %s\n", j->path,
			err.text);
		return false;
	}
	if (fchdir(dirfd) < 0 || lstat(name, &st) < 0)
		return complain(&e, strerror(errno));
	if (!same_stat(&e, nid, &st))
		return false;
	if (d && (d->d_ino != nid || d->d_type != IFTODT(st.st_mode)))
		return complain(&e, "directory entry");
	if (e.flags & ENTRY_WHITEOUT)
		return true;
	if (S_ISLNK(e.mode) && !same_link(&e, dirfd, name))
		return false;
	if (S_ISREG(e.mode) && !same_contents(&e, j->tar, dirfd, name))
		return false;
	whiteouts = S_ISDIR(e.mode) &&
		    lgetxattr(name, "trusted.overlay.origin", NULL, 0) == 0;
	if (!same_xattrs(&e, whiteouts, name))
		return false;
	if (!S_ISDIR(e.mode))
		return true;
	below = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return below >= 0 && judge_directory(j, below, length);
}

static bool judge_directory(struct judge *j, int dirfd, size_t length)
{
	DIR *dir = fdopendir(dup(dirfd));
	struct dirent *d;
	bool good = dir;

	while (good && (d = readdir(dir))) {
		size_t more = length;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (more)
			j->path[more++] = '/';
		memcpy(j->path + more, d->d_name, strlen(d->d_name) + 1);
		good = judge_name(j, dirfd, d->d_name, d, strlen(j->path));
	}
	if (dir)
		closedir(dir);
	j->path[length] = 0;
	return good;
}

static int count_names(const struct entry *e, uint64_t nid, void *ctx,
		       struct err *err)
{
	++*(uint64_t *)ctx;
	return 0;
}

/* In a mount namespace of its own, which ends with the process. */
static enum verdict mount_image(const struct fixture *f, const char *at)
{
	char index[80], options[96];

	snprintf(index, sizeof(index), "%s/index", f->dir);
	snprintf(options, sizeof(options), "device=%s/tar", f->dir);
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(index, at, "erofs", MS_RDONLY, options) < 0) {
		fprintf(stderr, "cannot mount an index here: %s\n",
			strerror(errno));
		return errno == EPERM || errno == ENOTBLK || errno == ENODEV
			       ? CANNOT_MOUNT
			       : DIFFERS;
	}
	return AGREES;
}

static enum verdict mount_and_judge(const struct fixture *f,
				    const struct image *im)
{
	static struct judge j;
	_cleanup_close_ int root = -1;
	struct err err = ERR_INIT;
	enum verdict verdict;
	uint64_t names = 0;
	char at[80];

	snprintf(at, sizeof(at), "%s/mnt", f->dir);
	verdict = mount_image(f, at);
	if (verdict != AGREES)
		return verdict;
	j.tar = f->tar;
	if (image_open(im, &j.reader, &err) < 0 ||
	    erofs_reader_walk(j.reader, "", count_names, &names, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return DIFFERS;
	}
	root = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || !judge_name(&j, root, ".", NULL, 0))
		return DIFFERS;
	if (j.names != names) {
		fprintf(stderr, "the kernel has %llu names, we have %llu\n",
			(unsigned long long)j.names, (unsigned long long)names);
		return DIFFERS;
	}
	erofs_reader_free(j.reader);
	return AGREES;
}

/* Names in a directory other than "." and ".."; -1 when it cannot be read. */
static int count_directory(const char *path)
{
	DIR *dir = opendir(path);
	int n = -2;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return dir ? n : -1;
}

/* The sample over a directory that has the same names and more. */
static enum verdict mount_overlay_and_judge(const struct fixture *f,
					    const struct image *im)
{
	const char *below[] = {"below", "below/covered", "below/empty"};
	const char *files[] = {"below/whiteout", "below/covered/old",
			       "below/covered/out", "below/empty/file"};
	char at[80], options[256], value[8];
	enum verdict verdict;
	struct stat st;
	int visible = 0;

	(void)im;
	for (size_t i = 1; i < N_SAMPLE; i++)
		visible += !strchr(sample[i].path, '/') &&
			   !(sample[i].flags & ENTRY_WHITEOUT);
	snprintf(at, sizeof(at), "%s/mnt", f->dir);
	verdict = mount_image(f, at);
	if (verdict != AGREES)
		return verdict;
	if (chdir(f->dir) < 0)
		return DIFFERS;
	for (size_t i = 0; i < ARRAY_SIZE(below); i++)
		if (mkdir(below[i], 0755) < 0)
			return DIFFERS;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (mknod(files[i], S_IFREG | 0644, 0) < 0)
			return DIFFERS;
	snprintf(options, sizeof(options), "lowerdir=%s:%s/below", at, f->dir);
	if (mkdir("merged", 0755) < 0 ||
	    mount("overlay", "merged", "overlay", MS_RDONLY, options) < 0 ||
	    chdir("merged") < 0) {
		perror("overlay");
		return DIFFERS;
	}
	/* The whiteouts are neither found nor listed, with what they hide. */
	if (stat("whiteout", &st) == 0 || stat("covered/out", &st) == 0 ||
	    count_directory(".") != visible ||
	    count_directory("covered") != 1 || count_directory("empty") != 1)
		return DIFFERS;
	/* A user's own overlayfs attribute is his again, and does nothing. */
	if (getxattr("a.b", "trusted.overlay.opaque", value, 8) != 1 ||
	    value[0] != 'y')
		return DIFFERS;
	return AGREES;
}

typedef enum verdict (*judge_fn)(const struct fixture *f,
				 const struct image *im);

static void assert_agrees(struct fixture *f, const struct image *im,
			  judge_fn judge)
{
	_cleanup_close_ int dir =
		open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("skipped: mounting needs root\n");
		skip();
	}
	assert_int_equal(write_file_at(dir, "index", im->bytes.data,
				       im->bytes.size, 0600),
			 0);
	assert_int_equal(write_file_at(dir, "tar", f->tar, TAR_SIZE, 0600), 0);
	assert_true(mkdirat(dir, "mnt", 0700) == 0 || errno == EEXIST);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(judge(f, im));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CANNOT_MOUNT) {
		print_message("skipped: EROFS from plain files needs Linux "
			      "6.12 and a TMPDIR that is not tmpfs\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), AGREES);
}

static void assert_kernel_agrees(struct fixture *f, const struct image *im)
{
	assert_agrees(f, im, mount_and_judge);
}

static void test_overlayfs_obeys_whiteouts_and_opaque_directories(void **state)
{
	_cleanup_image_ struct image im;

	image_make(&im, sample, N_SAMPLE, TAR_SIZE);
	assert_agrees(*state, &im, mount_overlay_and_judge);
}

static void test_kernel_sees_every_kind_of_entry(void **state)
{
	_cleanup_image_ struct image im;

	image_make(&im, sample, N_SAMPLE, TAR_SIZE);
	assert_kernel_agrees(*state, &im);
}

static void test_kernel_sees_an_empty_image(void **state)
{
	_cleanup_image_ struct image im;

	image_make(&im, NULL, 0, 0);
	/* A device without blocks is still a device. */
	assert_kernel_agrees(*state, &im);
}

/* Targets and attributes of growing size move every tail across its block. */
static void test_kernel_sees_inline_data_of_every_size(void **state)
{
	static uint8_t value[65535];
	static char names[800][8], targets[800][4097];
	static struct entry entries[800];
	struct xattr xattrs[800];
	_cleanup_image_ struct image im;

	memset(value, 0xa5, sizeof(value));
	for (size_t i = 0; i < 800; i++) {
		size_t size = i < 796 ? i * 3 / 2 : 65532 + i % 4;

		snprintf(names[i], sizeof(names[i]), "f%03zu", i);
		memset(targets[i], 'a' + (int)(i % 26),
		       i < 600 ? i + 1 : 4095 - (799 - i));
		xattrs[i] = (struct xattr){"trusted.x", value, size};
		entries[i] = (struct entry){
			.path = names[i],
			.mode = i % 3 == 1 ? S_IFDIR : S_IFLNK | 0777,
			.target = targets[i],
			.xattrs = &xattrs[i],
			.n_xattrs = i % 3 != 2,
		};
	}
	image_make(&im, entries, 800, TAR_SIZE);
	assert_kernel_agrees(*state, &im);
}

/* Directories of growing size, with names on both sides of the dots. */
static void test_kernel_finds_names_in_directories_of_every_size(void **state)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	_cleanup_image_ struct image im;
	char path[ENTRY_NAME_MAX + 8];

	assert_int_equal(erofs_writer_new(&w), 0);
	for (unsigned d = 0; d < 120; d++)
		for (unsigned i = 0; i < d; i++) {
			struct entry e = FILE_AT(path, i, 512 * i);

			snprintf(path, sizeof(path), "d%03u/%c%0*u", d,
				 "!-.0Az\xff"[i % 7], 1 + (int)i * 2, i);
			assert_int_equal(erofs_writer_add(w, &e, NULL), 0);
		}
	image_finish(&im, w, TAR_SIZE);
	assert_kernel_agrees(*state, &im);
}

static void test_kernel_sees_sparse_files_of_every_granularity(void **state)
{
	static struct extent runs[12][2];
	static char names[12][8];
	struct entry entries[12];
	_cleanup_image_ struct image im;

	for (unsigned i = 0; i < 12; i++) {
		uint64_t unit = 512ull << i;

		snprintf(names[i], sizeof(names[i]), "s%02u", i);
		runs[i][0] = (struct extent){unit, unit};
		runs[i][1] = (struct extent){3 * unit, unit - 5};
		entries[i] = (struct entry)FILE_AT(names[i], 4 * unit - 5,
						   512 * i, EXTENTS(runs[i]));
	}
	image_make(&im, entries, 12, TAR_SIZE);
	assert_kernel_agrees(*state, &im);
}

static void test_kernel_sees_100000_files_in_one_directory(void **state)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	_cleanup_image_ struct image im;
	char path[32];

	assert_int_equal(erofs_writer_new(&w), 0);
	for (unsigned i = 0; i < 100000; i++) {
		struct entry e = FILE_AT(path, i % 3 ? 0 : i % 600, 512);

		snprintf(path, sizeof(path), "d/file-%u", i);
		assert_int_equal(erofs_writer_add(w, &e, NULL), 0);
	}
	image_finish(&im, w, TAR_SIZE);
	assert_kernel_agrees(*state, &im);
}

static void test_kernel_sees_a_tree_deeper_than_path_max(void **state)
{
	static char path[20000];
	const struct entry entries[] = {
		FILE_AT(path, 5, 512),
		HARDLINK("link", path),
	};
	_cleanup_image_ struct image im;

	memset(path, 'd', sizeof(path) - 1);
	for (size_t i = 100; i < sizeof(path) - 2; i += 101)
		path[i] = '/';
	image_make(&im, entries, 2, TAR_SIZE);
	assert_kernel_agrees(*state, &im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_sees_every_kind_of_entry),
		cmocka_unit_test(test_kernel_sees_an_empty_image),
		cmocka_unit_test(test_kernel_sees_inline_data_of_every_size),
		cmocka_unit_test(
			test_kernel_finds_names_in_directories_of_every_size),
		cmocka_unit_test(
			test_kernel_sees_sparse_files_of_every_granularity),
		cmocka_unit_test(
			test_kernel_sees_100000_files_in_one_directory),
		cmocka_unit_test(test_kernel_sees_a_tree_deeper_than_path_max),
		cmocka_unit_test(
			test_overlayfs_obeys_whiteouts_and_opaque_directories),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
