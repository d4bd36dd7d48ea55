/* SPDX-License-Identifier: Apache-2.0 */
#include "store/staged.h"

#include "util/cleanup.h"
#include "util/fault.h"
#include "util/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

DEFINE_CLEANUP(DIR *, closedir)

static int random_name(char name[static STAGED_NAME_SIZE])
{
	uint64_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		return -EIO;
	snprintf(name, STAGED_NAME_SIZE, STAGED_PREFIX "%016" PRIx64, v);
	return 0;
}

static int open_named(struct staged *st)
{
	int r;

	do {
		r = random_name(st->name);
		if (r < 0)
			break;
		st->fd = openat(st->top_fd, st->name,
				O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		r = st->fd < 0 ? -errno : 0;
	} while (r == -EEXIST);
	if (r < 0)
		st->name[0] = 0;
	return r;
}

int staged_open(struct staged *st, int top_fd)
{
	*st = STAGED_INIT;
	st->top_fd = top_fd;
	st->fd = openat(top_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	/* EISDIR and ENOENT: file systems that do not know the flag. */
	if (st->fd < 0 && errno != EOPNOTSUPP && errno != EISDIR &&
	    errno != ENOENT && errno != EINVAL)
		return -errno;
	if (st->fd < 0) {
		int r = open_named(st);

		if (r < 0)
			return r;
	}
	/* Tells staged_collect() that it has an owner. Where there are no locks
	 * its age does. */
	(void)lock_fd(st->fd, false);
	return 0;
}

int staged_sync(struct staged *st)
{
	int r = fault_point("store-sync");

	if (r < 0)
		return r;
	return fsync(st->fd) < 0 ? -errno : 0;
}

/* A first name for a file that has none. */
static int link_fd(const struct staged *st, int dir_fd, const char *name)
{
	char path[40];

	if (linkat(st->fd, "", dir_fd, name, AT_EMPTY_PATH) == 0)
		return 0;
	/* Without CAP_DAC_READ_SEARCH that is ENOENT before Linux 6.10. */
	if (errno != ENOENT && errno != EPERM)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", st->fd);
	if (linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return 0;
}

int staged_link(struct staged *st, int dir_fd, const char *name)
{
	int r = fault_point("store-link");

	if (r < 0)
		return r;
	if (!st->name[0])
		return link_fd(st, dir_fd, name);
	if (linkat(st->top_fd, st->name, dir_fd, name, 0) == 0)
		return 0;
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	/* File systems without hard links, such as vfat. */
	if (renameat2(st->top_fd, st->name, dir_fd, name, RENAME_NOREPLACE) < 0)
		return -errno;
	st->name[0] = 0;
	return 0;
}

int staged_rename(struct staged *st, int dir_fd, const char *name)
{
	int r = fault_point("store-rename");

	if (r < 0)
		return r;
	if (!st->name[0]) {
		char tmp[STAGED_NAME_SIZE];

		r = random_name(tmp);
		if (r == 0)
			r = link_fd(st, st->top_fd, tmp);
		if (r < 0)
			return r;
		memcpy(st->name, tmp, sizeof(tmp));
	}
	if (renameat(st->top_fd, st->name, dir_fd, name) < 0)
		return -errno;
	st->name[0] = 0;
	return 0;
}

void staged_release(struct staged *st)
{
	/* Best effort: what stays is removed by staged_collect(). */
	if (st->name[0])
		(void)unlinkat(st->top_fd, st->name, 0);
	closep(&st->fd);
	st->name[0] = 0;
}

/* Opened for reading, which is all that a lock needs. */
static bool has_owner(int top_fd, const char *name)
{
	_cleanup_close_ int fd = -1;

	fd = openat(top_fd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 || lock_fd(fd, false) == -EWOULDBLOCK;
}

static bool stale(int top_fd, const char *name, int64_t before,
		  uint64_t *ret_bytes)
{
	struct stat st;

	if (strncmp(name, STAGED_PREFIX, strlen(STAGED_PREFIX)) != 0 ||
	    fstatat(top_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode) || st.st_mtime >= before)
		return false;
	*ret_bytes = (uint64_t)st.st_size;
	return !has_owner(top_fd, name);
}

void staged_collect(int top_fd, int64_t seconds, uint64_t *files,
		    uint64_t *bytes)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	int64_t before = time(NULL) - seconds;
	struct dirent *e;
	uint64_t size;
	int fd;

	fd = openat(top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return;
	}
	while ((e = readdir(dir))) {
		if (!stale(top_fd, e->d_name, before, &size) ||
		    unlinkat(top_fd, e->d_name, 0) < 0)
			continue;
		if (files)
			++*files;
		if (bytes)
			*bytes += size;
	}
}
