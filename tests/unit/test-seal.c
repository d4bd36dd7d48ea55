/* SPDX-License-Identifier: Apache-2.0 */

/* Sealing a plain directory: the layer has what the directory has, equal trees
 * make equal layers, and what cannot be sealed leaves nothing behind. */

#include "format/erofs-reader.h"
#include "volume-fixture.h"
#include "volume/mounting.h"
#include "volume/seal.h"
#include "volume/volume.h"

#include <dirent.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

static const struct seal_options no_options;

static int open_tree(struct fixture *f)
{
	int fd = openat(f->host->state_fd, "tree",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void make_content(int dir, const char *name, uint64_t *seed)
{
	static const size_t sizes[] = {0,     1,     511,    512,    5000,
				       65535, 65536, 131072, 131073, 300000};
	_cleanup_close_ int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	size_t size = sizes[random_below(seed, ARRAY_SIZE(sizes))];
	_cleanup_free_ uint8_t *data = malloc(size + 1);

	assert_true(fd >= 0 && data);
	fill_random(seed, data, size);
	if (random_below(seed, 5) == 0) {
		assert_int_equal(ftruncate(fd, 4 << 20), 0);
		assert_int_equal(pwrite_full(fd, data, size,
					     random_below(seed, 8) << 18),
				 0);
	} else {
		assert_int_equal(write_full(fd, data, size), 0);
	}
}

static void make_object(int dir, const char *name, uint64_t *seed, int links)
{
	const struct timespec times[2] = {
		{0},
		{(time_t)random_below(seed, 5000) - 2500,
		 (long)random_below(seed, 1000000000)}};

	switch (random_below(seed, 8)) {
	case 0:
		assert_int_equal(symlinkat("some/where", dir, name), 0);
		break;
	case 1:
		assert_int_equal(mknodat(dir, name, S_IFIFO | 0600, 0), 0);
		break;
	case 2:
		if (geteuid() == 0)
			assert_int_equal(mknodat(dir, name, S_IFCHR | 0600,
						 makedev(5, 1)),
					 0);
		break;
	default:
		make_content(dir, name, seed);
		(void)fchmodat(dir, name,
			       (mode_t)random_below(seed, 01000) | 0400, 0);
		if (random_below(seed, 3) == 0)
			(void)linkat(dir, name, links, name, 0);
	}
	if (geteuid() == 0)
		(void)fchownat(dir, name, (uid_t)random_below(seed, 70000),
			       (gid_t)random_below(seed, 70000),
			       AT_SYMLINK_NOFOLLOW);
	(void)utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW);
}

/* Hard links go to the top, so that groups cross directories. */
static void fill_directory(int dir, uint64_t *seed, int depth, int links)
{
	char name[ENTRY_NAME_MAX + 1];

	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "%c-%d\xff\n.wh.%llx",
			 "az.\\"[random_below(seed, 4)], i,
			 (unsigned long long)next_random(seed));
		if (depth && random_below(seed, 3) == 0) {
			_cleanup_close_ int fd = -1;

			assert_int_equal(mkdirat(dir, name, 0755), 0);
			fd = openat(dir, name,
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			fill_directory(fd, seed, depth - 1, links);
		} else {
			make_object(dir, name, seed, links);
		}
	}
}

static void make_tree(struct fixture *f, uint64_t seed)
{
	_cleanup_close_ int fd = -1;

	assert_int_equal(remove_tree_at(f->host->state_fd, "tree"), 0);
	assert_int_equal(mkdirat(f->host->state_fd, "tree", 0755), 0);
	fd = open_tree(f);
	fill_directory(fd, &seed, 3, fd);
}

static int try_seal(struct fixture *f, const char *name,
		    const struct seal_options *options, struct seal_result *ret)
{
	_cleanup_close_ int fd = open_tree(f);

	f->err = ERR_INIT;
	return seal_directory(f->host, name, fd, options, ret, &f->err);
}

static void seal(struct fixture *f, const char *name, struct seal_result *ret)
{
	if (try_seal(f, name, &no_options, ret) < 0)
		fail_msg("%s", f->err.text);
}

struct check {
	int root, tar;
	size_t n;
};

static void check_bytes(const struct check *c, const struct entry *e)
{
	_cleanup_close_ int fd = openat(c->root, e->path, O_RDONLY | O_CLOEXEC);
	const struct extent whole = {0, e->size};
	const struct extent *extents = e->sparse ? e->extents : &whole;
	_cleanup_free_ uint8_t *want = malloc(e->size + 1);
	_cleanup_free_ uint8_t *got = calloc(1, e->size + 1);
	uint64_t from = e->payload;

	assert_true(fd >= 0 && want && got);
	assert_int_equal(pread_full(fd, want, e->size, 0), 0);
	for (size_t i = 0; i < (e->sparse ? e->n_extents : 1); i++) {
		assert_int_equal(pread_full(c->tar, got + extents[i].offset,
					    extents[i].length, from),
				 0);
		from += extents[i].length;
	}
	assert_memory_equal(want, got, e->size);
	if (e->size)
		assert_int_equal(e->sparse,
				 lseek(fd, 0, SEEK_HOLE) < (off_t)e->size);
}

static void check_stat(const struct check *c, const struct entry *e)
{
	const char *path = *e->path ? e->path : ".";
	char target[PATH_MAX];
	struct stat st, other;
	ssize_t n;

	assert_int_equal(fstatat(c->root, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	if (e->flags & ENTRY_HARDLINK) {
		assert_int_equal(fstatat(c->root, e->target, &other,
					 AT_SYMLINK_NOFOLLOW),
				 0);
		assert_int_equal(st.st_ino, other.st_ino);
		return;
	}
	assert_int_equal(e->flags, 0);
	assert_int_equal(e->mode, st.st_mode);
	assert_int_equal(e->uid, st.st_uid);
	assert_int_equal(e->gid, st.st_gid);
	assert_int_equal(e->mtime, st.st_mtim.tv_sec);
	assert_int_equal(e->mtime_nsec, st.st_mtim.tv_nsec);
	if (S_ISCHR(st.st_mode))
		assert_int_equal(makedev(e->rdev_major, e->rdev_minor),
				 st.st_rdev);
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(c->root, path, target, sizeof(target) - 1);
		assert_true(n > 0);
		target[n] = 0;
		assert_string_equal(e->target, target);
	}
	if (S_ISREG(st.st_mode)) {
		assert_int_equal(e->size, st.st_size);
		check_bytes(c, e);
	}
}

static int check_entry(const struct entry *e, uint64_t nid, void *ctx,
		       struct err *err)
{
	struct check *c = ctx;

	(void)nid;
	(void)err;
	check_stat(c, e);
	c->n++;
	return 0;
}

static size_t count_objects(int dir)
{
	DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		assert_int_equal(
			fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		n += !S_ISSOCK(st.st_mode);
		if (S_ISDIR(st.st_mode)) {
			_cleanup_close_ int fd =
				openat(dir, e->d_name,
				       O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			n += count_objects(fd);
		}
	}
	(void)closedir(d);
	return n;
}

static void assert_sealed(struct fixture *f, const struct version *v)
{
	_cleanup_cache_layer_ struct cache_layer cached = CACHE_LAYER_INIT;
	_cleanup_(erofs_reader_freep) struct erofs_reader *reader = NULL;
	_cleanup_close_ int root = open_tree(f);
	struct check c = {.root = root};

	assert_int_equal(v->n_layers, 1);
	assert_ok(f, mounting_open_layer(f->host, &v->layers[0], NULL, &cached,
					 &f->err));
	assert_ok(f, erofs_reader_open_fd(&reader, cached.index_fd, &f->err));
	assert_ok(f, erofs_reader_check(reader, &v->layers[0].tar,
					v->layers[0].tar_size, &f->err));
	c.tar = cached.tar_fd;
	assert_ok(f, erofs_reader_walk(reader, "", check_entry, &c, &f->err));
	assert_int_equal(c.n, count_objects(root) + 1);
}

static void test_sealed_layer_has_what_the_directory_has(void **state)
{
	struct fixture *f = *state;

	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct seal_result r = {0};
		char name[16];

		snprintf(name, sizeof(name), "data%d", (int)seed);
		make_tree(f, seed);
		seal(f, name, &r);
		assert_sealed(f, r.version);
		seal_result_release(&r);
	}
}

static void test_equal_trees_make_equal_layers_stored_once(void **state)
{
	struct fixture *f = *state;
	struct seal_result a = {0}, b = {0};

	make_tree(f, 5);
	seal(f, "one", &a);
	seal(f, "two", &b);
	assert_true(digest_equal(&a.version->layers[0].tar,
				 &b.version->layers[0].tar));
	assert_true(digest_equal(&a.version->layers[0].object,
				 &b.version->layers[0].object));
	assert_int_equal(b.stored, 0);
	seal_result_release(&a);
	seal_result_release(&b);
}

static void test_first_version_has_what_was_said_about_it(void **state)
{
	struct fixture *f = *state;
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct label label = {"key", "value"};
	struct seal_options options = {
		.message = "hello", .labels = &label, .n_labels = 1};
	_cleanup_(version_freep) struct version *again = NULL;
	struct seal_result r = {0};

	make_tree(f, 1);
	assert_int_equal(
		mknodat(f->host->state_fd, "tree/sock", S_IFSOCK | 0600, 0), 0);
	assert_int_equal(try_seal(f, "data", &options, &r), 0);
	assert_int_equal(r.sockets, 1);
	assert_string_equal(r.version->message, "hello");
	assert_ok(f, volume_load(f->host, "data", &v, &f->err));
	assert_int_equal(v->sequence, 1);
	assert_true(digest_equal(&v->head, &r.version->digest));
	assert_ok(f, version_load(f->host, &v->head, &again, &f->err));
	assert_string_equal(again->volume, "data");
	assert_false(again->has_parent);
	assert_int_equal(again->n_labels, 1);
	assert_int_equal(again->added, again->layers[0].tar_size);
	seal_result_release(&r);
}

static void assert_no_volume(struct fixture *f, const char *name)
{
	struct volume *v = NULL;

	assert_refused(f, volume_load(f->host, name, &v, &f->err), ENOENT,
		       "there is no volume");
}

static int stop(const char *stage, uint64_t done, uint64_t total,
		uint64_t files, void *ctx)
{
	(void)done;
	(void)total;
	(void)files;
	return strcmp(stage, ctx) == 0 ? -ECANCELED : 0;
}

static void test_what_cannot_be_sealed_makes_no_volume(void **state)
{
	struct fixture *f = *state;
	struct seal_options bad = {.message = "\xff"};
	struct progress progress = {stop, (char *)"publish"};
	struct seal_options stopped = {.progress = &progress};
	struct seal_result r = {0};

	make_tree(f, 1);
	assert_refused(f, try_seal(f, "data", &bad, &r), EINVAL, "message");
	assert_no_volume(f, "data");
	assert_refused(f, try_seal(f, "data", &stopped, &r), ECANCELED,
		       "nothing was lost");
	assert_no_volume(f, "data");
	assert_refused(f, try_seal(f, "a/b", &no_options, &r), EINVAL, "a/b");
	if (geteuid() == 0) {
		assert_int_equal(mknodat(f->host->state_fd, "tree/zero",
					 S_IFCHR | 0600, 0),
				 0);
		assert_refused(f, try_seal(f, "data", &no_options, &r), EINVAL,
			       "\"zero\" is a character device 0:0");
		assert_no_volume(f, "data");
		assert_int_equal(unlinkat(f->host->state_fd, "tree/zero", 0),
				 0);
	}
	assert_null(r.version);
	seal(f, "data", &r);
	seal_result_release(&r);
	assert_refused(f, try_seal(f, "data", &no_options, &r), EEXIST, "data");
}

/* Changes a file each time that anybody has read of it. */
static int disturb(const char *stage, uint64_t done, uint64_t total,
		   uint64_t files, void *ctx)
{
	int *tree = ctx;
	_cleanup_close_ int fd = -1;

	(void)done;
	(void)total;
	(void)files;
	if (strcmp(stage, "seal") != 0)
		return 0;
	fd = openat(*tree, "large", O_WRONLY | O_CLOEXEC);
	return pwrite_full(fd, "x", 1, 0);
}

static void test_file_that_does_not_hold_still_is_named(void **state)
{
	struct fixture *f = *state;
	int tree;
	struct progress progress = {disturb, &tree};
	struct seal_options options = {.progress = &progress};
	struct seal_result r = {0};
	_cleanup_close_ int fd = -1;

	assert_int_equal(mkdirat(f->host->state_fd, "tree", 0755), 0);
	tree = open_tree(f);
	fd = openat(tree, "large", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	/* Data and no hole: reports come with bytes. */
	{
		_cleanup_free_ uint8_t *zeros = calloc(1, 20 << 20);

		assert_non_null(zeros);
		assert_int_equal(write_full(fd, zeros, 20 << 20), 0);
	}
	assert_refused(f, try_seal(f, "data", &options, &r), EAGAIN,
		       "\"large\" changed each of the");
	assert_no_volume(f, "data");
	seal(f, "data", &r);
	assert_sealed(f, r.version);
	seal_result_release(&r);
	(void)close(tree);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_sealed_layer_has_what_the_directory_has),
		T(test_equal_trees_make_equal_layers_stored_once),
		T(test_first_version_has_what_was_said_about_it),
		T(test_what_cannot_be_sealed_makes_no_volume),
		T(test_file_that_does_not_hold_still_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
