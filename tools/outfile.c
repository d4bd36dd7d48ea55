/* SPDX-License-Identifier: Apache-2.0 */
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void outfile_release(struct outfile *o)
{
	if (o->temporary)
		(void)unlink(o->temporary);
	closep(&o->fd);
	freep(&o->temporary);
	freep(&o->path);
}

static int exists(const char *path, struct err *err)
{
	return err_set(err, EEXIST, "%s exists; --force replaces it", path);
}

/* A name beside the one that it gets: a new file's or, by self, of the file
 * that has none. */
static int make_temporary(struct outfile *o, const char *self)
{
	for (unsigned int i = 0;; i++) {
		int k;

		freep(&o->temporary);
		if (asprintf(&o->temporary, "%s.%d-%u.tmp", o->path,
			     (int)getpid(), i) < 0) {
			o->temporary = NULL;
			return -ENOMEM;
		}
		if (self)
			k = linkat(AT_FDCWD, self, AT_FDCWD, o->temporary,
				   AT_SYMLINK_FOLLOW);
		else
			k = o->fd = open(
				o->temporary,
				O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (k >= 0)
			return 0;
		if (errno != EEXIST) {
			freep(&o->temporary);
			return -errno;
		}
	}
}

static int open_nameless(struct outfile *o)
{
	_cleanup_free_ char *directory = strdup(o->path);
	char *slash;

	if (!directory)
		return -ENOMEM;
	slash = strrchr(directory, '/');
	if (slash)
		slash[slash == directory] = 0;
	o->fd = open(slash ? directory : ".", O_TMPFILE | O_WRONLY | O_CLOEXEC,
		     0666);
	return o->fd < 0 ? -errno : 0;
}

int outfile_open(const char *path, bool replace, struct outfile *ret,
		 struct err *err)
{
	struct stat st;
	bool there = stat(path, &st) == 0;
	int r = 0;

	if (there && S_ISREG(st.st_mode) && !replace)
		return exists(path, err);
	if (there && S_ISDIR(st.st_mode))
		return err_set(err, EISDIR, "%s is a directory", path);
	ret->direct = there && !S_ISREG(st.st_mode);
	/* Of a link it is the file behind it that is replaced. */
	ret->path = there ? realpath(path, NULL) : NULL;
	if (!ret->path)
		ret->path = strdup(path);
	if (!ret->path)
		return err_oom(err);
	if (ret->direct) {
		ret->fd = open(path, O_WRONLY | O_CLOEXEC);
		r = ret->fd < 0 ? -errno : 0;
	} else {
		r = open_nameless(ret);
		if (r == -EOPNOTSUPP || r == -EISDIR || r == -EINVAL)
			r = make_temporary(ret, NULL);
		/* Not more readable than what it replaces. */
		if (r == 0 && there && fchmod(ret->fd, st.st_mode & 0777) < 0)
			r = -errno;
	}
	return r < 0 ? err_errno(err, r, "cannot write %s", path) : 0;
}

static int give_name(struct outfile *o, bool replace)
{
	char self[40];
	int r = 0;

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", o->fd);
	if (!o->temporary && !replace)
		return linkat(AT_FDCWD, self, AT_FDCWD, o->path,
			      AT_SYMLINK_FOLLOW) < 0
			       ? -errno
			       : 0;
	if (!o->temporary)
		r = make_temporary(o, self);
	if (r < 0)
		return r;
	if (renameat2(AT_FDCWD, o->temporary, AT_FDCWD, o->path,
		      replace ? 0 : RENAME_NOREPLACE) < 0)
		return -errno;
	freep(&o->temporary);
	return 0;
}

int outfile_publish(struct outfile *o, bool replace, struct err *err)
{
	int r = 0;

	if (!o->direct && fsync(o->fd) < 0)
		r = -errno;
	if (r == 0 && !o->direct)
		r = give_name(o, replace);
	if (r == -EEXIST)
		return exists(o->path, err);
	return r < 0 ? err_errno(err, r, "cannot write %s", o->path) : 0;
}
