/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories in the destination. What must hold: a descriptor is of the
 * directory above and a single name, which is not followed.
 */
#include "volume/restore-private.h"

#include "format/posix-acl.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* The first name in the top is part of what q->to says, when it was given. */
static int add_name(const struct restore *r, const struct place *p,
		    const char *name, struct buf *b)
{
	bool said = !p || (r->q->name && !p->above);

	return said ? 0 : buf_printf(b, "/%s", name);
}

int place_path(const struct restore *r, const struct place *p, const char *name,
	       struct buf *b)
{
	size_t n = 0;
	int k = buf_add_str(b, r->q->to);

	for (const struct place *i = p; i; i = i->above)
		n++;
	for (; k == 0 && n > 1; n--) {
		const struct place *at = p;

		for (size_t i = 2; i < n; i++)
			at = at->above;
		k = add_name(r, at->above, at->name, b);
	}
	if (k == 0 && name)
		k = add_name(r, p, name, b);
	return k < 0 || !buf_str(b) ? -ENOMEM : 0;
}

struct place *place_hold(struct place *p)
{
	atomic_fetch_add(&p->holders, 1);
	return p;
}

void place_release(struct writer *w, struct place *p)
{
	while (p && atomic_fetch_sub(&p->holders, 1) == 1) {
		struct place *above = p->above;

		if (p->in_version && !w->restore->stop)
			(void)object_finish_directory(w, p);
		(void)close(p->fd);
		free(p);
		p = above;
	}
}

/* fd is taken over, also on failure. */
static int place_new(struct restore *r, struct place *above, const char *name,
		     int fd, bool existed, struct place **ret)
{
	_cleanup_close_ int owned = fd;
	struct place *p;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	p = calloc(1, sizeof(*p) + strlen(name) + 1);
	if (!p)
		return -ENOMEM;
	memcpy(p->name, name, strlen(name) + 1);
	p->above = above ? place_hold(above) : NULL;
	p->holders = 1;
	p->ino = st.st_ino;
	p->existed = existed;
	p->gid = st.st_mode & S_ISGID		? st.st_gid
		 : caller_is_root(r->q->caller) ? getegid()
						: r->q->caller->gid;
	p->acl = existed && fgetxattr(fd, POSIX_ACL_DEFAULT_XATTR, NULL, 0) > 0;
	p->fd = TAKE_FD(owned);
	if (existed && r->q->overwrite)
		temporary_remove_leftovers(r, p);
	*ret = p;
	return 0;
}

/* Who may change a directory's mode may write in it. */
static int make_usable(const struct restore *r, int fd)
{
	const struct caller *caller = r->q->caller;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (caller_is_root(caller) || (st.st_mode & 0700) == 0700 ||
	    st.st_uid != caller->uid)
		return 0;
	return fchmod(fd, (st.st_mode & 07777) | 0700) < 0 ? -errno : 0;
}

int place_open_top(struct restore *r, bool contents, struct place **ret)
{
	int fd = openat(r->q->dir_fd, ".", OPEN_DIRECTORY);
	int k = fd < 0 ? -errno : 0;

	if (k == 0 && contents && !r->q->overwrite) {
		k = is_empty_directory(fd);
		k = k == 0 ? -ENOTEMPTY : MIN(k, 0);
	}
	if (k == 0 && contents)
		k = make_usable(r, fd);
	if (k == 0)
		k = place_new(r, NULL, "", TAKE_FD(fd), true, ret);
	closep(&fd);
	if (k == -ENOTEMPTY)
		return restore_refuse(
			r, EEXIST,
			"%s is not empty; --overwrite replaces "
			"what the version has and leaves all else "
			"alone",
			r->q->to);
	return k < 0 ? restore_fail(r, k, NULL, NULL, "open") : 0;
}

int place_clear(struct restore *r, struct place *p, const char *name)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	int k = -EEXIST;

	if (r->q->overwrite)
		k = remove_one_at(p->fd, name);
	if (k != -EEXIST && k != -ENOTEMPTY)
		return k < 0 ? restore_fail(r, k, p, name, "replace") : 0;
	if (place_path(r, p, name, &path) < 0)
		return restore_fail(r, -ENOMEM, p, name, "replace");
	if (k == -EEXIST)
		return restore_refuse(r, EEXIST,
				      "%s exists; --overwrite replaces it",
				      (char *)path.data);
	return restore_refuse(r, EEXIST,
			      "%s is a directory with something in it, where "
			      "the version has none; remove it first",
			      (char *)path.data);
}

/* Opens what is there; -ENOTDIR for what is no directory. */
static int open_existing(struct restore *r, struct place *above,
			 const char *name, int *ret)
{
	int fd = openat(above->fd, name, OPEN_DIRECTORY);
	int k;

	if (fd < 0 && errno == EACCES &&
	    fchmodat(above->fd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		fd = openat(above->fd, name, OPEN_DIRECTORY);
	if (fd < 0)
		return errno == ELOOP ? -ENOTDIR : -errno;
	k = make_usable(r, fd);
	if (k < 0)
		closep(&fd);
	else
		*ret = fd;
	return k;
}

/* A new directory is nobody else's until it is done. */
static int open_new(struct place *above, const char *name, int *ret)
{
	int fd;

	if (mkdirat(above->fd, name, 0700) < 0)
		return -errno;
	fd = openat(above->fd, name, OPEN_DIRECTORY);
	if (fd < 0)
		return -errno;
	if (above->acl) {
		(void)fremovexattr(fd, POSIX_ACL_DEFAULT_XATTR);
		(void)fremovexattr(fd, POSIX_ACL_ACCESS_XATTR);
	}
	*ret = fd;
	return 0;
}

int place_make(struct restore *r, struct place *above, const char *name,
	       const struct tree_part *part, struct place **ret)
{
	struct place *p;
	bool existed;
	int fd = -1;
	int k = open_new(above, name, &fd);

	existed = k == -EEXIST && r->q->overwrite;
	if (existed) {
		k = open_existing(r, above, name, &fd);
		existed = k != -ENOTDIR;
	}
	if (k == -ENOTDIR || k == -EEXIST) {
		k = place_clear(r, above, name);
		if (k < 0)
			return k;
		k = open_new(above, name, &fd);
	}
	if (k == 0)
		k = place_new(r, above, name, fd, existed, &p);
	if (k < 0)
		return restore_fail(r, k, above, name, "make");
	p->in_version = true;
	p->part = *part;
	atomic_fetch_add(&r->entries, 1);
	*ret = p;
	return 0;
}
