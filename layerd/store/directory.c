/* SPDX-License-Identifier: Apache-2.0 */
#include "store/directory.h"

#include "store/beneath.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

DEFINE_CLEANUP(DIR *, closedir)

int directory_make(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1;; p++) {
		char c = *p;
		int r;

		if (c != '/' && c)
			continue;
		*p = 0;
		if (mkdir(copy, 0700) == 0) {
			r = fsync_parent_at(AT_FDCWD, copy);
			if (r < 0)
				return r;
		} else if (errno != EEXIST) {
			return -errno;
		}
		if (!c)
			return 0;
		*p = c;
	}
}

int directory_is_empty(int fd, bool (*ignored)(const char *name), bool *ret)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *e;
	int copy;

	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0)
		return -errno;
	dir = fdopendir(copy);
	if (!dir) {
		int r = -errno;

		(void)close(copy);
		return r;
	}
	*ret = true;
	while (errno = 0, (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 || ignored(e->d_name))
			continue;
		*ret = false;
		return 0;
	}
	return -errno;
}

static bool is_lock(const char *name)
{
	return strcmp(name, DIRECTORY_LOCK) == 0;
}

/* 1 when it is empty but for its lock, which is removed and held. */
static int empty_directory(int fd, int *ret_lock)
{
	bool empty;
	int r;

	/* Made where there is none, so that nobody else makes one meanwhile. */
	*ret_lock =
		beneath_open(fd, DIRECTORY_LOCK, O_RDWR | O_CREAT | O_NONBLOCK);
	if (*ret_lock < 0)
		return *ret_lock == -ENOENT ? 0 : *ret_lock;
	/* Somebody makes a new record. */
	if (lock_fd(*ret_lock, false) < 0)
		return 0;
	r = directory_is_empty(fd, is_lock, &empty);
	if (r < 0 || !empty)
		return r;
	return unlinkat(fd, DIRECTORY_LOCK, 0) < 0 ? -errno : 1;
}

int directory_drop(struct durable *d, const char *path)
{
	_cleanup_close_ int fd = -1, parent_fd = -1, lock = -1;
	char parent[STORE_KEY_MAX];
	const char *name = durable_split(path, parent);
	int r;

	fd = beneath_open(d->fd, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = empty_directory(fd, &lock);
	if (r <= 0)
		return r;
	parent_fd = beneath_open(d->fd, *parent ? parent : ".",
				 O_RDONLY | O_DIRECTORY);
	if (parent_fd < 0)
		return parent_fd;
	r = durable_remove_dir(d, parent_fd, name, path);
	return r == -ENOENT || r == -ENOTEMPTY ? 0 : r;
}

/* 1 when the directory was dropped meanwhile. */
static int try_lock(struct durable *d, const char *dir, int *ret_fd)
{
	_cleanup_close_ int dir_fd = -1, fd = -1;
	struct stat st;
	int r;

	dir_fd = durable_open_dir(d, dir);
	if (dir_fd < 0)
		return dir_fd;
	fd = beneath_open(dir_fd, DIRECTORY_LOCK,
			  O_RDWR | O_CREAT | O_NONBLOCK);
	if (fd < 0)
		return fd == -ENOENT ? 1 : fd;
	r = lock_fd(fd, true);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r == 0 && st.st_nlink == 0)
		r = 1;
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

int directory_lock(struct durable *d, const char *dir, int *ret_fd)
{
	int r;

	do
		r = try_lock(d, dir, ret_fd);
	while (r > 0);
	return r;
}
