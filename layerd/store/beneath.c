/* SPDX-License-Identifier: Apache-2.0 */
#include "store/beneath.h"

#include "store/store-backend.h"
#include "util/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

DEFINE_CLEANUP(DIR *, closedir)

int beneath_open(int dir_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC | O_NOCTTY),
		.mode = flags & O_CREAT ? 0600 : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int beneath_open_file(int dir_fd, const char *path, int *ret_fd,
		      uint64_t *ret_size)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = beneath_open(dir_fd, path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	*ret_fd = TAKE_FD(fd);
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

static int fail_list(const char *top, const char *path, int r, struct err *err)
{
	if (r == -ELOOP || r == -EXDEV || r == -ENOTDIR)
		return err_set(err, EBADMSG,
			       "the store at %s is damaged: %s is no directory "
			       "inside of it; look at what stands in its way",
			       top, path);
	return err_errno(err, r, "the store at %s: cannot list %s", top, path);
}

static int open_dir(int dir_fd, const char *path, DIR **ret)
{
	int fd = beneath_open(dir_fd, path, O_RDONLY | O_DIRECTORY);
	int r;

	if (fd < 0)
		return fd;
	*ret = fdopendir(fd);
	if (*ret)
		return 0;
	r = -errno;
	(void)close(fd);
	return r;
}

/*
 * The next name that can be part of a key, unless all is set of a plain file or
 * directory; 0 at the end, 1 with *ret_name and *ret_st.
 */
static int next(DIR *dir, bool all, const char **ret_name, struct stat *ret_st)
{
	for (;;) {
		struct dirent *e;

		errno = 0;
		e = readdir(dir);
		if (!e)
			return -errno;
		if (!store_component_valid(e->d_name))
			continue;
		if (fstatat(dirfd(dir), e->d_name, ret_st,
			    AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue;
			return -errno;
		}
		if (!all && !S_ISREG(ret_st->st_mode) &&
		    !S_ISDIR(ret_st->st_mode))
			continue;
		*ret_name = e->d_name;
		return 1;
	}
}

/* Appends "/name" to path of size bytes; false when that is no key. */
static bool append(char path[static STORE_KEY_MAX], size_t size,
		   const char *name)
{
	size_t n = strlen(name);

	if (size + 1 + n >= STORE_KEY_MAX)
		return false;
	path[size] = '/';
	memcpy(path + size + 1, name, n + 1);
	return true;
}

/* Whether what is found so deep, the top's own names being 1, may be there. */
static bool belongs(const struct beneath_walk *w, unsigned int level,
		    const struct stat *st)
{
	if (!w->levels)
		return true;
	return level < w->levels ? S_ISDIR(st->st_mode) : S_ISREG(st->st_mode);
}

static int fail_place(const struct beneath_walk *w, const char *path,
		      unsigned int level, struct err *err)
{
	return err_set(err, EBADMSG,
		       "the store at %s is damaged: %s is no %s; look at what "
		       "stands in its way",
		       w->top, path,
		       level < w->levels ? "directory" : "plain file");
}

static int fail_missing(const struct beneath_walk *w, const char *path,
			struct err *err)
{
	return err_set(err, EBADMSG,
		       "the store at %s is damaged: it has no directory %s; "
		       "restore that from a copy of the store, or make an "
		       "empty one if nothing was ever in it",
		       w->top, path);
}

/* Recursion ends where paths are too long for keys. */
static int walk(const struct beneath_walk *w, char path[static STORE_KEY_MAX],
		unsigned int level, struct err *err)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	size_t size = strlen(path);
	const char *name;
	struct stat st;
	int r;

	r = open_dir(w->fd, path, &dir);
	if (r == -ENOENT)
		return w->levels && level == 1 ? fail_missing(w, path, err) : 0;
	if (r < 0)
		return fail_list(w->top, path, r, err);
	while ((r = next(dir, w->levels, &name, &st)) > 0) {
		if (!append(path, size, name))
			continue;
		if (!belongs(w, level, &st))
			r = fail_place(w, path, level, err);
		else if (S_ISDIR(st.st_mode))
			r = walk(w, path, level + 1, err);
		else
			r = w->fn(path, (uint64_t)st.st_size, w->ctx, err);
		path[size] = 0;
		if (r < 0)
			return r;
	}
	return r < 0 ? fail_list(w->top, path, r, err) : 0;
}

int beneath_walk(const struct beneath_walk *w, const char *path,
		 struct err *err)
{
	char copy[STORE_KEY_MAX];

	if (strlen(path) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, path, strlen(path) + 1);
	return walk(w, copy, 1, err);
}

static int stop_at_first(const char *key, uint64_t size, void *ctx,
			 struct err *err)
{
	bool *found = ctx;

	*found = true;
	return -ECANCELED;
}

/* Whether a directory has a plain file somewhere below it. */
static int has_file(const struct beneath_walk *w, char *path, bool *ret,
		    struct err *err)
{
	struct beneath_walk look = {
		.fd = w->fd, .top = w->top, .fn = stop_at_first, .ctx = ret};
	int r;

	*ret = false;
	r = walk(&look, path, 1, err);
	return *ret ? 0 : r;
}

int beneath_names(const struct beneath_walk *w, const char *path,
		  struct err *err)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char below[STORE_KEY_MAX];
	const char *name;
	struct stat st;
	int r;

	if (strlen(path) >= sizeof(below))
		return -EINVAL;
	memcpy(below, path, strlen(path) + 1);
	r = open_dir(w->fd, path, &dir);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return fail_list(w->top, path, r, err);
	while ((r = next(dir, false, &name, &st)) > 0) {
		bool report = true;

		if (!append(below, strlen(path), name))
			continue;
		r = 0;
		if (S_ISDIR(st.st_mode))
			r = has_file(w, below, &report, err);
		if (r == 0 && report)
			r = w->fn(name,
				  S_ISREG(st.st_mode) ? (uint64_t)st.st_size
						      : 0,
				  w->ctx, err);
		if (r < 0)
			return r;
	}
	return r < 0 ? fail_list(w->top, path, r, err) : 0;
}
