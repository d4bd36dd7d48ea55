/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: while there is a temporary file, a signal that ends the
 * program removes it. Whoever makes, renames or forgets one has these signals
 * blocked, so that the handler sees it as it is.
 */
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const int deadly[] = {SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM};
static struct sigaction before[ARRAY_SIZE(deadly)];
/* What the handler removes; NULL: it is not installed. */
static const char *volatile doomed;

static void block(sigset_t *ret)
{
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		sigaddset(&signals, deadly[i]);
	(void)sigprocmask(SIG_BLOCK, &signals, ret);
}

static void unblock(const sigset_t *old)
{
	(void)sigprocmask(SIG_SETMASK, old, NULL);
}

static void on_signal(int number)
{
	if (doomed)
		(void)unlink(doomed);
	(void)raise(number);
}

/* Signals are blocked. */
static void watch(const char *path)
{
	struct sigaction action = {.sa_handler = on_signal,
				   .sa_flags = (int)SA_RESETHAND};

	doomed = path;
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		if (sigaction(deadly[i], NULL, &before[i]) == 0 &&
		    before[i].sa_handler == SIG_DFL)
			(void)sigaction(deadly[i], &action, NULL);
}

static void forget(struct outfile *o)
{
	if (doomed)
		for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
			(void)sigaction(deadly[i], &before[i], NULL);
	doomed = NULL;
	freep(&o->temporary);
}

void outfile_release(struct outfile *o)
{
	sigset_t old;

	block(&old);
	if (o->temporary)
		(void)unlink(o->temporary);
	forget(o);
	unblock(&old);
	closep(&o->fd);
	freep(&o->path);
}

static int exists(const char *path, struct err *err)
{
	return err_set(err, EEXIST, "%s exists; --force replaces it", path);
}

/* A name beside the one that it gets: a new file's or, by self, of the file
 * that has none. Signals are blocked. */
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

static int open_named(struct outfile *o)
{
	sigset_t old;
	int r;

	block(&old);
	r = make_temporary(o, NULL);
	if (r == 0)
		watch(o->temporary);
	unblock(&old);
	return r;
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
			r = open_named(ret);
		/* Not more readable than what it replaces. */
		if (r == 0 && there && fchmod(ret->fd, st.st_mode & 0777) < 0)
			r = -errno;
	}
	return r < 0 ? err_errno(err, r, "cannot write %s", path) : 0;
}

/* Network file systems know no RENAME_NOREPLACE, but most know links. */
static int rename_new(const struct outfile *o)
{
	if (renameat2(AT_FDCWD, o->temporary, AT_FDCWD, o->path,
		      RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL || link(o->temporary, o->path) < 0)
		return -1;
	(void)unlink(o->temporary);
	return 0;
}

/* Signals are blocked. */
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
	r = replace ? rename(o->temporary, o->path) : rename_new(o);
	if (r < 0)
		return -errno;
	forget(o);
	return 0;
}

int outfile_publish(struct outfile *o, bool replace, struct err *err)
{
	sigset_t old;
	int r = 0;

	if (!o->direct && fsync(o->fd) < 0)
		r = -errno;
	if (r == 0 && !o->direct) {
		block(&old);
		r = give_name(o, replace);
		/* What has no name by now gets none. */
		if (r < 0 && o->temporary)
			(void)unlink(o->temporary);
		if (r < 0)
			forget(o);
		unblock(&old);
	}
	if (r == -EEXIST)
		return exists(o->path, err);
	return r < 0 ? err_errno(err, r, "cannot write %s", o->path) : 0;
}
