/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: trusted.overlay.* of the overlay itself never reaches an
 * entry, and xattrs are sorted by name.
 */
#include "volume/source.h"

#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define OVERLAY_PREFIX "trusted.overlay."
#define NESTED_PREFIX "trusted.overlay.overlay."

void source_release(struct source *s)
{
	buf_release(&s->names);
	buf_release(&s->values);
	buf_release(&s->target);
	free(s->xattrs);
	free(s->extents);
	*s = (struct source){0};
}

int source_open(int dir_fd, const char *name)
{
	const int flags =
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = openat(dir_fd, name, flags | O_NOATIME);

	/* Only a file's owner and root may leave its atime alone. */
	if (fd < 0 && errno == EPERM)
		fd = openat(dir_fd, name, flags);
	return fd < 0 ? -errno : fd;
}

/* The xattr calls on a descriptor or on a name that is not followed. */
struct object {
	int fd;
	const char *path;
};

static ssize_t list(const struct object *o, char *data, size_t size)
{
	return o->fd >= 0 ? flistxattr(o->fd, data, size)
			  : llistxattr(o->path, data, size);
}

static ssize_t get(const struct object *o, const char *name, void *data,
		   size_t size)
{
	return o->fd >= 0 ? fgetxattr(o->fd, name, data, size)
			  : lgetxattr(o->path, name, data, size);
}

/* The list may grow between two calls; the largest is XATTR_LIST_MAX. */
static int read_list(struct source *s, const struct object *o)
{
	ssize_t n;

	if (buf_reserve(&s->names, 1024) < 0)
		return -ENOMEM;
	n = list(o, (char *)s->names.data, s->names.alloc);
	if (n < 0 && errno == ERANGE) {
		if (buf_reserve(&s->names, 65536) < 0)
			return -ENOMEM;
		n = list(o, (char *)s->names.data, s->names.alloc);
	}
	if (n < 0 && errno != EOPNOTSUPP)
		return -errno;
	s->names.size = (size_t)MAX(n, 0);
	return 0;
}

/* The name an entry has for an xattr; NULL for overlayfs' own. */
static const char *entry_name(struct source *s, const char *name, bool upper)
{
	if (!upper ||
	    strncmp(name, OVERLAY_PREFIX, sizeof(OVERLAY_PREFIX) - 1) != 0)
		return name;
	if (strcmp(name, OVERLAY_PREFIX "metacopy") == 0)
		s->metacopy = true;
	if (strcmp(name, OVERLAY_PREFIX "origin") == 0)
		s->origin = true;
	return NULL;
}

/* "trusted.overlay.overlay.X" is X of an overlay inside this one. The shorter
 * name is written over the end of the longer prefix. */
static char *unescape_nested(char *name, bool upper)
{
	size_t n = sizeof(NESTED_PREFIX) - 1;
	size_t keep = sizeof(OVERLAY_PREFIX) - 1;

	if (!upper || strncmp(name, NESTED_PREFIX, n) != 0)
		return NULL;
	memcpy(name + n - keep, OVERLAY_PREFIX, keep);
	return name + n - keep;
}

static int add_value(struct source *s, const struct object *o,
		     const char *real_name, const char *name)
{
	size_t offset = s->values.size;
	ssize_t n;

	if (s->n_xattrs == s->xattrs_alloc) {
		size_t alloc = s->xattrs_alloc ? s->xattrs_alloc * 2 : 16;
		struct xattr *xattrs;

		xattrs = reallocarray(s->xattrs, alloc, sizeof(*xattrs));
		if (!xattrs)
			return -ENOMEM;
		s->xattrs = xattrs;
		s->xattrs_alloc = alloc;
	}
	if (buf_reserve(&s->values, ENTRY_XATTR_SIZE_MAX) < 0)
		return -ENOMEM;
	n = get(o, real_name, s->values.data + offset, ENTRY_XATTR_SIZE_MAX);
	/* Removed meanwhile, or an attribute that cannot be read at all. */
	if (n < 0)
		return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -errno;
	s->values.size += (size_t)n;
	/* The buffer may move: the offset becomes an address at the end. */
	s->xattrs[s->n_xattrs++] = (struct xattr){
		.name = name, .value = (void *)offset, .size = (size_t)n};
	return 0;
}

static int compare_xattrs(const void *a, const void *b)
{
	return strcmp(((const struct xattr *)a)->name,
		      ((const struct xattr *)b)->name);
}

static int read_xattrs(struct source *s, const struct object *o, bool upper)
{
	char *end, *p;
	int r = read_list(s, o);

	s->n_xattrs = 0;
	s->values.size = 0;
	s->metacopy = false;
	s->origin = false;
	if (r < 0)
		return r;
	end = (char *)s->names.data + s->names.size;
	for (p = (char *)s->names.data; r == 0 && p < end;) {
		char *next = p + strlen(p) + 1;
		_cleanup_free_ char *real = strdup(p);
		const char *name;

		if (!real)
			return -ENOMEM;
		name = unescape_nested(p, upper);
		if (!name)
			name = entry_name(s, p, upper);
		if (name)
			r = add_value(s, o, real, name);
		p = next;
	}
	for (size_t i = 0; i < s->n_xattrs; i++)
		s->xattrs[i].value =
			s->values.data + (size_t)s->xattrs[i].value;
	if (s->n_xattrs > 1)
		qsort(s->xattrs, s->n_xattrs, sizeof(*s->xattrs),
		      compare_xattrs);
	return r;
}

static int read_target(struct source *s, int dir_fd, const char *name)
{
	ssize_t n;

	s->target.size = 0;
	if (buf_reserve(&s->target, ENTRY_TARGET_MAX + 1) < 0)
		return -ENOMEM;
	n = readlinkat(dir_fd, name, (char *)s->target.data, ENTRY_TARGET_MAX);
	if (n < 0)
		return -errno;
	s->target.size = (size_t)n;
	return buf_str(&s->target) ? 0 : -ENOMEM;
}

int source_read(struct source *s, int fd, int dir_fd, const char *name,
		const struct stat *st, bool upper, struct entry *e)
{
	char path[300 + 32];
	struct object object = {.fd = fd, .path = path};
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
	e->mode = st->st_mode;
	e->uid = st->st_uid;
	e->gid = st->st_gid;
	e->mtime = st->st_mtim.tv_sec;
	e->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
	e->size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		e->rdev_major = major(st->st_rdev);
		e->rdev_minor = minor(st->st_rdev);
	}
	r = read_xattrs(s, &object, upper);
	if (r == 0 && S_ISLNK(st->st_mode)) {
		r = read_target(s, dir_fd, name);
		e->target = (char *)s->target.data;
	}
	e->xattrs = s->xattrs;
	e->n_xattrs = s->n_xattrs;
	return r;
}

static int add_extent(struct source *s, off_t from, off_t to)
{
	if (s->n_extents == s->extents_alloc) {
		size_t alloc = s->extents_alloc ? s->extents_alloc * 2 : 16;
		struct extent *extents;

		extents = reallocarray(s->extents, alloc, sizeof(*extents));
		if (!extents)
			return -ENOMEM;
		s->extents = extents;
		s->extents_alloc = alloc;
	}
	s->extents[s->n_extents++] = (struct extent){
		.offset = (uint64_t)from, .length = (uint64_t)(to - from)};
	return 0;
}

int source_read_holes(struct source *s, int fd, struct entry *e)
{
	off_t size = (off_t)e->size;
	off_t data = 0, hole;
	int r = 0;

	s->n_extents = 0;
	while (r == 0 && data < size) {
		data = lseek(fd, data, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (data < 0 || hole < 0)
			return -errno;
		/* It grew meanwhile; the caller notices. */
		hole = MIN(hole, size);
		if (hole > data)
			r = add_extent(s, data, hole);
		data = MAX(hole, data + 1);
	}
	if (r < 0)
		return r;
	s->n_extents = entry_widen_extents(
		s->extents, s->n_extents,
		entry_hole_unit(e->size, s->extents, s->n_extents), e->size);
	e->sparse = s->n_extents != 1 || s->extents[0].length != e->size;
	e->extents = e->sparse ? s->extents : NULL;
	e->n_extents = e->sparse ? s->n_extents : 0;
	return 0;
}
