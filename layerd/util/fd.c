/* SPDX-License-Identifier: Apache-2.0 */
#include "util/fd.h"

#include "util/cleanup.h"
#include "util/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int read_full(int fd, void *data, size_t size)
{
	uint8_t *p = data;

	while (size) {
		ssize_t n = read(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int pread_full(int fd, void *data, size_t size, uint64_t offset)
{
	uint8_t *p = data;

	while (size) {
		ssize_t n = pread(fd, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		p += n;
		size -= (size_t)n;
		offset += (size_t)n;
	}
	return 0;
}

int write_full(int fd, const void *data, size_t size)
{
	const uint8_t *p = data;

	while (size) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int pwrite_full(int fd, const void *data, size_t size, uint64_t offset)
{
	const uint8_t *p = data;

	while (size) {
		ssize_t n = pwrite(fd, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		size -= (size_t)n;
		offset += (size_t)n;
	}
	return 0;
}

int read_file_at(int dirfd, const char *path, size_t max, struct buf *b)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	r = buf_reserve(b, (size_t)st.st_size + 1);
	if (r < 0)
		return r;
	r = read_full(fd, b->data + b->size, (size_t)st.st_size);
	if (r < 0)
		return r;
	b->size += (size_t)st.st_size;
	return 0;
}

int fsync_parent_at(int dirfd, const char *path)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *parent = strdup(path);
	char *slash;

	if (!parent)
		return -ENOMEM;
	slash = strrchr(parent, '/');
	if (slash == parent)
		slash++;
	if (slash)
		*slash = 0;
	fd = openat(dirfd, slash ? parent : ".",
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

int file_has(int fd, const void *data, size_t size)
{
	struct stat st;
	bool same;
	void *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != size)
		return 0;
	if (!size)
		return 1;
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	same = memcmp(map, data, size) == 0;
	(void)munmap(map, size);
	return same;
}

int write_file_at(int dirfd, const char *path, const void *data, size_t size,
		  mode_t mode)
{
	static atomic_uint sequence;
	_cleanup_close_ int fd = -1;
	char tmp[PATH_MAX];
	int n, r;

	n = snprintf(tmp, sizeof(tmp), "%s.%d-%u.tmp", path, (int)getpid(),
		     atomic_fetch_add(&sequence, 1));
	if (n < 0 || n >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	r = write_full(fd, data, size);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(TAKE_FD(fd)) < 0 && r == 0)
		r = -errno;
	if (r == 0)
		r = fault_point("file.written");
	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, tmp, 0);
		return r;
	}
	r = fault_point("file.renamed");
	return r < 0 ? r : fsync_parent_at(dirfd, path);
}

int mkdir_parents_at(int dirfd, const char *path, mode_t mode)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1;; p++) {
		char c = *p;

		if (c != '/' && c)
			continue;
		*p = 0;
		if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
			return -errno;
		if (!c)
			return 0;
		*p = c;
	}
}

int is_empty_directory(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *d;
	int r = 1;

	if (!dir) {
		r = -errno;
		if (copy >= 0)
			(void)close(copy);
		return r;
	}
	while (r == 1 && (errno = 0, d = readdir(dir)))
		r = strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0;
	if (r == 1 && errno)
		r = -errno;
	(void)closedir(dir);
	return r;
}

/* A directory that is emptied: deeper ones are moved up into it one by one, so
 * that neither stack nor descriptors grow with the depth of a tree. */
struct emptying {
	int fd;
	const atomic_bool *stop; /* may be NULL */
	uint64_t moved;		 /* names given so far */
};

static int move_up(struct emptying *e, int from, const char *name)
{
	char fresh[40];

	for (;;) {
		(void)snprintf(fresh, sizeof(fresh), ".removed-%llu",
			       (unsigned long long)e->moved++);
		if (renameat2(from, name, e->fd, fresh, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
}

int remove_one_at(int dirfd, const char *name)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	/* A mount point answers EBUSY here; nothing below it was touched when
	 * it is read-only, and layerd mounts nothing inside its trees. */
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return errno == EEXIST ? -ENOTEMPTY : -errno;
}

typedef int (*name_fn)(struct emptying *e, int dirfd, const char *name);

/* Calls fn for each name in the directory name of dirfd. */
static int each_name(struct emptying *e, int dirfd, const char *name,
		     name_fn fn)
{
	struct dirent *d;
	int fd, r = 0;
	DIR *dir;

	fd = openat(dirfd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, d = readdir(dir))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		r = e->stop && *e->stop ? -ECANCELED : fn(e, fd, d->d_name);
	}
	if (r == 0 && errno)
		r = -errno;
	(void)closedir(dir);
	return r;
}

static int empty_child(struct emptying *e, int dirfd, const char *name)
{
	int r = remove_one_at(dirfd, name);

	return r == -ENOTEMPTY ? move_up(e, dirfd, name) : r;
}

static int empty_top(struct emptying *e, int dirfd, const char *name)
{
	int r = remove_one_at(dirfd, name);

	if (r != -ENOTEMPTY)
		return r;
	r = each_name(e, dirfd, name, empty_child);
	return r < 0 ? r : remove_one_at(dirfd, name);
}

int remove_tree_at(int dirfd, const char *path)
{
	return remove_tree_until(dirfd, path, NULL);
}

int remove_tree_until(int dirfd, const char *path, const atomic_bool *stop)
{
	_cleanup_close_ int fd = -1;
	int r = remove_one_at(dirfd, path);

	if (r != -ENOTEMPTY)
		return r;
	fd = openat(dirfd, path,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Each pass may find what the one before moved up. */
	do {
		struct emptying e = {.fd = fd, .stop = stop};

		r = each_name(&e, fd, ".", empty_top);
		if (r == 0)
			r = remove_one_at(dirfd, path);
	} while (r == -ENOTEMPTY);
	return r;
}

int lock_fd(int fd, bool wait)
{
	while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}
