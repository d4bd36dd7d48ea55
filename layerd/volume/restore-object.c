/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes objects. What must hold: attributes are set through a descriptor of the
 * very object that was made, never by its name, behind which somebody may have
 * put another one; owner before attributes before mode, as a change of owner
 * takes away capabilities and setuid bits, and an ACL changes the mode.
 */
#include "volume/restore-private.h"

#include "format/posix-acl.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/transfer.h"
#include "volume/links.h"
#include "volume/tree-data.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* Up to this size data goes through memory: two calls for most files. */
#define BUFFER_SIZE ((size_t)256 << 10)
/* So much is copied before the progress is looked at. */
#define STEP_SIZE (UINT64_C(16) << 20)
#define SET_IDS (S_ISUID | S_ISGID)

/* An object that was made, and how its attributes are reached. */
struct made {
	int fd;
	char path[40]; /* for a descriptor that was opened with O_PATH, or "" */
	bool existed;
	bool acl;
	gid_t gid;
};

int writer_init(struct writer *w, struct restore *r)
{
	*w = (struct writer){.restore = r, .buffer = malloc(BUFFER_SIZE)};
	return w->buffer ? 0 : -ENOMEM;
}

void writer_release(struct writer *w)
{
	erofs_entry_buf_release(&w->entry);
	free(w->buffer);
}

static bool is_root(const struct writer *w)
{
	return caller_is_root(w->restore->q->caller);
}

/* Reads what the version has; a failure is noted. */
static int read_entry(struct writer *w, const struct tree_part *part)
{
	struct err err = ERR_INIT;
	int k = tree_read(w->restore->q->tree, part, "", &w->entry, &err);

	return k < 0 ? restore_fail_err(w->restore, k, &err) : 0;
}

static int set_owner(const struct writer *w, const struct made *m)
{
	const struct entry *e = &w->entry.entry;

	if (!is_root(w) || (!m->existed && e->uid == 0 && e->gid == m->gid))
		return 0;
	return fchownat(m->fd, "", e->uid, e->gid, AT_EMPTY_PATH) < 0 ? -errno
								      : 0;
}

static bool is_for_root(const char *name)
{
	return strncmp(name, "trusted.", 8) == 0 ||
	       strncmp(name, "security.", 9) == 0;
}

static int set_xattr(const struct made *m, const struct xattr *x)
{
	int k = *m->path ? setxattr(m->path, x->name, x->value, x->size, 0)
			 : fsetxattr(m->fd, x->name, x->value, x->size, 0);

	return k < 0 ? -errno : 0;
}

/* ACLs that it was given by the directory, or had before. */
static void remove_acls(const struct made *m)
{
	static const char *const names[] = {POSIX_ACL_ACCESS_XATTR,
					    POSIX_ACL_DEFAULT_XATTR};

	if (!m->acl && !m->existed)
		return;
	/* Most have none, and not every file system knows them. */
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)(*m->path ? removexattr(m->path, names[i])
				: fremovexattr(m->fd, names[i]));
}

/* An archive may have what Linux refuses. */
static bool is_misplaced(const struct entry *e, const char *name)
{
	return !S_ISREG(e->mode) && !S_ISDIR(e->mode) &&
	       strncmp(name, "user.", 5) == 0;
}

static int set_xattrs(const struct writer *w, const struct made *m)
{
	const struct entry *e = &w->entry.entry;
	int k = 0;

	if (!S_ISLNK(e->mode))
		remove_acls(m);
	for (size_t i = 0; k == 0 && i < e->n_xattrs; i++) {
		const struct xattr *x = &e->xattrs[i];

		k = (!is_root(w) && is_for_root(x->name)) ||
				    is_misplaced(e, x->name)
			    ? -EOPNOTSUPP
			    : set_xattr(m, x);
		if (k == -EOPNOTSUPP || k == -E2BIG) {
			atomic_fetch_add(&w->restore->attributes, 1);
			k = 0;
		}
	}
	return k;
}

static mode_t wanted_mode(const struct writer *w)
{
	mode_t mode = w->entry.entry.mode & 07777;

	return is_root(w) ? mode : mode & ~(mode_t)SET_IDS;
}

static int set_mode(const struct writer *w, const struct made *m)
{
	mode_t mode = wanted_mode(w);

	if (S_ISLNK(w->entry.entry.mode))
		return 0;
	if (mode != (w->entry.entry.mode & 07777))
		atomic_fetch_add(&w->restore->set_ids, 1);
	if (*m->path)
		return chmod(m->path, mode) < 0 ? -errno : 0;
	return fchmod(m->fd, mode) < 0 ? -errno : 0;
}

static int set_times(const struct writer *w, const struct made *m)
{
	const struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = w->entry.entry.mtime,
		 .tv_nsec = w->entry.entry.mtime_nsec}};

	return utimensat(m->fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_attributes(const struct writer *w, const struct made *m)
{
	int k = set_owner(w, m);

	if (k == 0)
		k = set_xattrs(w, m);
	if (k == 0)
		k = set_mode(w, m);
	return k < 0 ? k : set_times(w, m);
}

int object_finish_directory(struct writer *w, struct place *p)
{
	struct restore *r = w->restore;
	struct made m = {.fd = p->fd, .existed = p->existed, .gid = p->gid};
	struct stat st;
	int k = read_entry(w, &p->part);

	if (k < 0)
		return k;
	if (p->existed && !is_root(w) && fstat(p->fd, &st) == 0 &&
	    st.st_uid != r->q->caller->uid) {
		atomic_fetch_add(&r->directories, 1);
		return 0;
	}
	k = set_attributes(w, &m);
	return k < 0 ? restore_fail(r, k, p, NULL, "set the attributes of") : 0;
}

static int write_run(struct writer *w, int tar, uint64_t from, int out,
		     uint64_t to, uint64_t size)
{
	struct restore *r = w->restore;
	int k = 0;

	while (k == 0 && size) {
		uint64_t n = MIN(size, STEP_SIZE);

		if (r->stop)
			return -ECANCELED;
		if (size > BUFFER_SIZE) {
			k = transfer_bytes(tar, from, out, to, n);
		} else {
			k = pread_full(tar, w->buffer, (size_t)n, from);
			if (k == 0)
				k = pwrite_full(out, w->buffer, (size_t)n, to);
		}
		from += n;
		to += n;
		size -= n;
		atomic_fetch_add(&r->bytes, n);
	}
	return k;
}

static int write_data(struct writer *w, uint32_t layer, int out)
{
	const struct entry *e = &w->entry.entry;
	uint64_t from = e->payload;
	int k = 0, tar;

	if (!e->size)
		return 0;
	if (e->sparse && ftruncate(out, (off_t)e->size) < 0)
		return -errno;
	if (!entry_data_size(e))
		return 0;
	tar = tree_data_fd(w->restore->q->tree, layer);
	if (!e->sparse)
		return write_run(w, tar, from, out, 0, e->size);
	for (size_t i = 0; k == 0 && i < e->n_extents; i++) {
		const struct extent *x = &e->extents[i];

		k = write_run(w, tar, from, out, x->offset, x->length);
		from += x->length;
	}
	return k;
}

/* Whether a file that is created with its mode needs nothing but its time. */
static bool is_plain(const struct writer *w, const struct place *p)
{
	const struct entry *e = &w->entry.entry;

	/* 022 is the daemon's umask. */
	return !p->acl && !e->n_xattrs && !(e->mode & (07000 | 022)) &&
	       (!is_root(w) || (e->uid == 0 && e->gid == p->gid));
}

static int make_file(struct writer *w, struct place *p, uint32_t layer,
		     const char *name)
{
	bool plain = is_plain(w, p);
	struct made m = {.acl = p->acl, .gid = p->gid};
	_cleanup_close_ int fd = openat(
		p->fd, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC,
		plain ? w->entry.entry.mode & 0777 : 0600);
	int k;

	if (fd < 0)
		return -errno;
	m.fd = fd;
	k = write_data(w, layer, fd);
	if (k == 0)
		k = plain ? set_times(w, &m) : set_attributes(w, &m);
	/* Where space is given out late this is told of it. */
	if (close(TAKE_FD(fd)) < 0 && k == 0)
		k = -errno;
	return k;
}

/* A link to somebody else's file may have been put in its place. */
static int open_made(const struct entry *e, struct place *p, const char *name,
		     struct made *m)
{
	struct stat st;

	m->fd = openat(p->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (m->fd < 0)
		return -errno;
	if (fstat(m->fd, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != (e->mode & S_IFMT) || st.st_nlink != 1)
		return -ESTALE;
	(void)snprintf(m->path, sizeof(m->path), "/proc/self/fd/%d", m->fd);
	return 0;
}

static int make_special(struct writer *w, struct place *p, const char *name)
{
	const struct entry *e = &w->entry.entry;
	struct made m = {.fd = -1, .acl = p->acl, .gid = p->gid};
	int k;

	if (S_ISLNK(e->mode))
		k = symlinkat(e->target, p->fd, name);
	else
		k = mknodat(p->fd, name, (e->mode & S_IFMT) | 0600,
			    makedev(e->rdev_major, e->rdev_minor));
	if (k < 0)
		return -errno;
	k = open_made(e, p, name, &m);
	if (k == 0)
		k = set_attributes(w, &m);
	closep(&m.fd);
	return k;
}

/* What is there stays until its successor is whole. */
static int replace_file(struct writer *w, struct place *p, uint32_t layer,
			const char *name)
{
	char temporary[RESTORE_TEMPORARY_SIZE];
	int k = temporary_name(w->restore, p, temporary);

	if (k < 0)
		return k;
	k = make_file(w, p, layer, temporary);
	if (k == -EEXIST)
		return k;
	if (k == 0)
		k = fault_point("restore.replace");
	if (k == 0 && renameat(p->fd, temporary, p->fd, name) < 0)
		k = -errno;
	if (k == -EISDIR) {
		k = place_clear(w->restore, p, name);
		if (k == 0 && renameat(p->fd, temporary, p->fd, name) < 0)
			k = -errno;
	}
	if (k < 0)
		(void)unlinkat(p->fd, temporary, 0);
	return k;
}

int object_make(struct writer *w, struct place *p, const struct tree_part *part,
		const char *name)
{
	struct restore *r = w->restore;
	int k = read_entry(w, part);
	mode_t type;

	if (k < 0)
		return k;
	type = w->entry.entry.mode & S_IFMT;
	if (!is_root(w) && (type == S_IFCHR || type == S_IFBLK)) {
		atomic_fetch_add(&r->devices, 1);
		return 0;
	}
	k = fault_point("restore.object");
	if (k == 0)
		k = -EEXIST;
	if (k == -EEXIST && r->q->overwrite && type == S_IFREG &&
	    faccessat(p->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		k = replace_file(w, p, part->layer, name);
	for (int i = 0; k == -EEXIST && i < 2; i++) {
		k = type == S_IFREG ? make_file(w, p, part->layer, name)
				    : make_special(w, p, name);
		if (k == -EEXIST && i == 0) {
			k = place_clear(r, p, name);
			if (k < 0)
				return k;
			k = -EEXIST;
		}
	}
	if (k < 0)
		return restore_fail(r, k, p, name, "write");
	atomic_fetch_add(&r->entries, 1);
	return 0;
}

/* What a file system, or its rules, may have against a hard link. */
static bool no_link(int code)
{
	return code == -EPERM || code == -EACCES || code == -EMLINK ||
	       code == -EOPNOTSUPP || code == -EXDEV;
}

int object_link(struct restore *r, int root_fd, const char *path,
		struct place *p, const char *name)
{
	const char *first;
	_cleanup_close_ int dir = link_open_parent(root_fd, path, &first);
	int k = dir < 0 ? dir : -EEXIST;

	for (int i = 0; k == -EEXIST && i < 2; i++) {
		k = linkat(dir, first, p->fd, name, 0) < 0 ? -errno : 0;
		if (k == -EEXIST && i == 0) {
			k = place_clear(r, p, name);
			if (k < 0)
				return k;
			k = -EEXIST;
		}
	}
	if (no_link(k))
		return OBJECT_E_NO_LINK;
	if (k < 0)
		return restore_fail(r, k, p, name, "link");
	atomic_fetch_add(&r->entries, 1);
	return 0;
}
