/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * System calls for files and mounts that fail; failing.h says how. The
 * functions are those of wrapped_io in meson.build, under the names that they
 * have with 64-bit offsets. close(2) is not among them: it closes whatever it
 * says.
 */

#include "failing.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>

#define FAILING(type, failure, name, parameters, ...)                          \
	type __real_##name parameters;                                         \
	type __wrap_##name parameters;                                         \
	type __wrap_##name parameters                                          \
	{                                                                      \
		return must_fail(EIO) ? failure : __real_##name(__VA_ARGS__);  \
	}

/* Those that are variadic get all arguments there may be. */
FAILING(long, -1, syscall, (long n, long a, long b, long c, long d, long e), n,
	a, b, c, d, e)
FAILING(int, -1, fcntl64, (int fd, int command, void *p), fd, command, p)
FAILING(int, -1, ioctl, (int fd, unsigned long request, void *p), fd, request,
	p)
FAILING(int, -1, open64, (const char *path, int flags, mode_t mode), path,
	flags, mode)
FAILING(int, -1, openat64, (int dir, const char *path, int flags, mode_t mode),
	dir, path, flags, mode)

FAILING(ssize_t, -1, read, (int fd, void *p, size_t n), fd, p, n)
FAILING(ssize_t, -1, write, (int fd, const void *p, size_t n), fd, p, n)
FAILING(ssize_t, -1, pread64, (int fd, void *p, size_t n, off_t at), fd, p, n,
	at)
FAILING(ssize_t, -1, pwrite64, (int fd, const void *p, size_t n, off_t at), fd,
	p, n, at)
FAILING(ssize_t, -1, copy_file_range,
	(int in, off_t *in_at, int out, off_t *out_at, size_t n,
	 unsigned int flags),
	in, in_at, out, out_at, n, flags)
FAILING(off_t, -1, lseek64, (int fd, off_t at, int whence), fd, at, whence)
FAILING(int, -1, ftruncate64, (int fd, off_t size), fd, size)
FAILING(int, -1, fallocate64, (int fd, int mode, off_t at, off_t n), fd, mode,
	at, n)
FAILING(void *, MAP_FAILED, mmap64,
	(void *to, size_t n, int protection, int flags, int fd, off_t at), to,
	n, protection, flags, fd, at)
FAILING(int, -1, fsync, (int fd), fd)
FAILING(int, -1, syncfs, (int fd), fd)
FAILING(int, -1, sync_file_range,
	(int fd, off_t at, off_t n, unsigned int flags), fd, at, n, flags)
FAILING(int, -1, flock, (int fd, int operation), fd, operation)

FAILING(int, -1, fstat64, (int fd, struct stat *st), fd, st)
FAILING(int, -1, stat64, (const char *path, struct stat *st), path, st)
FAILING(int, -1, lstat64, (const char *path, struct stat *st), path, st)
FAILING(int, -1, fstatat64,
	(int dir, const char *path, struct stat *st, int flags), dir, path, st,
	flags)
FAILING(int, -1, statx,
	(int dir, const char *path, int flags, unsigned int mask,
	 struct statx *st),
	dir, path, flags, mask, st)
FAILING(int, -1, fstatfs64, (int fd, void *st), fd, st)
FAILING(int, -1, statfs64, (const char *path, void *st), path, st)
FAILING(DIR *, NULL, opendir, (const char *path), path)
FAILING(DIR *, NULL, fdopendir, (int fd), fd)
FAILING(struct dirent *, NULL, readdir64, (DIR * dir), dir)
FAILING(ssize_t, -1, readlinkat, (int dir, const char *path, char *p, size_t n),
	dir, path, p, n)

FAILING(int, -1, mkdir, (const char *path, mode_t mode), path, mode)
FAILING(int, -1, mkdirat, (int dir, const char *path, mode_t mode), dir, path,
	mode)
FAILING(int, -1, symlinkat, (const char *to, int dir, const char *path), to,
	dir, path)
FAILING(int, -1, linkat,
	(int from_dir, const char *from, int dir, const char *path, int flags),
	from_dir, from, dir, path, flags)
FAILING(int, -1, rename, (const char *from, const char *to), from, to)
FAILING(int, -1, renameat,
	(int from_dir, const char *from, int dir, const char *to), from_dir,
	from, dir, to)
FAILING(int, -1, renameat2,
	(int from_dir, const char *from, int dir, const char *to,
	 unsigned int flags),
	from_dir, from, dir, to, flags)
FAILING(int, -1, unlink, (const char *path), path)
FAILING(int, -1, unlinkat, (int dir, const char *path, int flags), dir, path,
	flags)

FAILING(int, -1, chmod, (const char *path, mode_t mode), path, mode)
FAILING(int, -1, fchmod, (int fd, mode_t mode), fd, mode)
FAILING(int, -1, fchown, (int fd, uid_t uid, gid_t gid), fd, uid, gid)
FAILING(int, -1, futimens, (int fd, const struct timespec *times), fd, times)
FAILING(ssize_t, -1, fgetxattr, (int fd, const char *name, void *p, size_t n),
	fd, name, p, n)
FAILING(ssize_t, -1, lgetxattr,
	(const char *path, const char *name, void *p, size_t n), path, name, p,
	n)
FAILING(ssize_t, -1, flistxattr, (int fd, char *p, size_t n), fd, p, n)
FAILING(ssize_t, -1, llistxattr, (const char *path, char *p, size_t n), path, p,
	n)
FAILING(int, -1, fsetxattr,
	(int fd, const char *name, const void *p, size_t n, int flags), fd,
	name, p, n, flags)
FAILING(int, -1, fremovexattr, (int fd, const char *name), fd, name)

FAILING(int, -1, mount,
	(const char *source, const char *target, const char *type,
	 unsigned long flags, const void *data),
	source, target, type, flags, data)
FAILING(int, -1, umount2, (const char *path, int flags), path, flags)
FAILING(int, -1, fsopen, (const char *type, unsigned int flags), type, flags)
FAILING(int, -1, fsconfig,
	(int fd, unsigned int command, const char *key, const void *value,
	 int n),
	fd, command, key, value, n)
FAILING(int, -1, fsmount, (int fd, unsigned int flags, unsigned int attributes),
	fd, flags, attributes)
FAILING(int, -1, open_tree, (int dir, const char *path, unsigned int flags),
	dir, path, flags)
FAILING(int, -1, move_mount,
	(int from_dir, const char *from, int dir, const char *to,
	 unsigned int flags),
	from_dir, from, dir, to, flags)
FAILING(int, -1, mount_setattr,
	(int dir, const char *path, unsigned int flags, void *p, size_t n), dir,
	path, flags, p, n)
