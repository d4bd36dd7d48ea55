/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: the index is made by the code that makes one for a seal, so
 * that a comparison says what a comparison of the sealed version would say.
 */
#include "volume/draft.h"

#include "util/cleanup.h"
#include "util/fd.h"
#include "volume/links.h"
#include "volume/source.h"
#include "volume/tree-private.h"
#include "volume/unsealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/xattr.h>

struct draft {
	struct host *host;
	const struct session *session;
	const struct progress *progress;
	int upper_fd, merged_fd;
	struct tree *base; /* what the session was made on; opened late */
	/* The file that was read last. */
	char *path;
	int fd; /* -1: it is gone */
};

struct draft *draft_free(struct draft *d)
{
	if (!d)
		return NULL;
	closep(&d->upper_fd);
	closep(&d->merged_fd);
	closep(&d->fd);
	tree_free(d->base);
	free(d->path);
	free(d);
	return NULL;
}

void draft_freep(struct draft **d)
{
	*d = draft_free(*d);
}

/* The index of all changes, in memory. */
static int make_index(struct unsealed *u, struct erofs_reader **ret)
{
	_cleanup_close_ int fd = memfd_create("layerd-draft", MFD_CLOEXEC);
	_cleanup_layer_build_ struct layer_build build = {0};
	struct emit_request request = unsealed_emit(u);
	int r;

	if (fd < 0)
		return err_errno(u->err, errno, "cannot make a file in memory");
	r = layer_build_init_draft(&build, u->host, u->err);
	request.build = &build;
	if (r == 0)
		r = emit_changes(&request, u->err);
	if (r == 0)
		r = layer_build_finish_draft(&build, fd, u->err);
	return r == 0 ? erofs_reader_open_fd(ret, fd, u->err) : r;
}

/* *ret stays NULL when nothing changed. */
static int look(struct unsealed *u, struct erofs_reader **ret)
{
	int r = -EAGAIN;

	for (int i = 0; i < UNSEALED_TRIES; i++) {
		r = unsealed_scan(u, NULL);
		if (r == 0 && u->changes.needed)
			r = make_index(u, ret);
		if (r != -EAGAIN || (u->err && u->err->code))
			return r;
	}
	return err_set(u->err, EAGAIN,
		       "the tree changed its shape each of the %d times it was "
		       "looked at; pause what writes it and try again",
		       UNSEALED_TRIES);
}

int draft_open(struct draft **ret, struct host *h, struct session *s,
	       const struct progress *progress,
	       struct erofs_reader **ret_reader, struct err *err)
{
	_cleanup_unsealed_ struct unsealed u =
		UNSEALED_INIT(h, s, progress, err);
	_cleanup_(erofs_reader_freep) struct erofs_reader *reader = NULL;
	_cleanup_(draft_freep) struct draft *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_oom(err);
	*d = (struct draft){.host = h,
			    .session = s,
			    .progress = progress,
			    .upper_fd = -1,
			    .merged_fd = -1,
			    .fd = -1};
	r = unsealed_open(&u);
	if (r == 0)
		r = look(&u, &reader);
	if (r < 0 || !reader)
		return r;
	d->upper_fd = TAKE_FD(u.root_fd);
	d->merged_fd = TAKE_FD(u.merged_fd);
	*ret = TAKE_PTR(d);
	*ret_reader = TAKE_PTR(reader);
	return 0;
}

/* *ret is -1 for what is gone or no file any more. */
static int open_file(int root_fd, const char *path, int *ret, struct err *err)
{
	const char *name;
	_cleanup_close_ int dir = link_open_parent(root_fd, path, &name);
	_cleanup_close_ int fd = dir < 0 ? dir : source_open(dir, name);
	struct stat st;

	*ret = -1;
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -ENXIO)
		return 0;
	if (fd < 0)
		return err_errno(err, fd, "cannot open \"%s\"", path);
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "cannot examine \"%s\"", path);
	if (S_ISREG(st.st_mode))
		*ret = TAKE_FD(fd);
	return 0;
}

static int select_file(struct draft *d, const char *path, struct err *err)
{
	int r;

	if (d->path && strcmp(d->path, path) == 0)
		return 0;
	closep(&d->fd);
	free(d->path);
	d->path = strdup(path);
	if (!d->path)
		return err_oom(err);
	r = open_file(d->merged_fd, path, &d->fd, err);
	if (r < 0)
		freep(&d->path);
	return r;
}

ssize_t draft_read(struct draft *d, const char *path, uint64_t offset, void *to,
		   size_t size, struct err *err)
{
	size_t done = 0;
	int r = select_file(d, path, err);

	if (r < 0)
		return r;
	while (d->fd >= 0 && done < size) {
		ssize_t n = pread(d->fd, (uint8_t *)to + done, size - done,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "cannot read \"%s\"",
					 path);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static bool has_mark(int fd, const char *name)
{
	return fgetxattr(fd, name, NULL, 0) >= 0 || errno != ENODATA;
}

/*
 * Whether the upper directory has but the attributes of the file at path, over
 * the data of that very path below: no directory above it was moved, and the
 * file neither.
 */
static bool is_metacopy_in_place(const struct draft *d, const char *path)
{
	static const char redirect[] = "trusted.overlay.redirect";
	_cleanup_close_ int fd = -1;
	int at = d->upper_fd;

	while (true) {
		size_t n = strcspn(path, "/");
		_cleanup_free_ char *name = strndup(path, n);
		bool last = !path[n];
		int next;

		if (!name)
			return false;
		next = last ? source_open(at, name)
			    : openat(at, name,
				     O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
					     O_CLOEXEC);
		closep(&fd);
		fd = next;
		at = next;
		if (fd < 0 || has_mark(fd, redirect))
			return false;
		if (last)
			return fgetxattr(fd, "trusted.overlay.metacopy", NULL,
					 0) >= 0;
		path += n + 1;
	}
}

int draft_find_data(struct draft *d, const char *path, uint64_t size,
		    struct tree **ret, struct tree_node *ret_node,
		    struct entry *ret_entry, struct err *err)
{
	const struct session *s = d->session;
	int r = 0;

	if (!is_metacopy_in_place(d, path))
		return 0;
	if (!d->base)
		r = tree_open_layers(&d->base, d->host, s->layers, s->n_layers,
				     d->progress, err);
	if (r == 0)
		r = tree_find(d->base, path, ret_node, err);
	if (r == 0)
		r = tree_entry(d->base, ret_node, path, ret_entry, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (!S_ISREG(ret_entry->mode) || ret_entry->size != size)
		return 0;
	*ret = d->base;
	return 1;
}

int draft_open_file(struct host *h, struct session *s, const char *path,
		    const struct progress *progress, struct stat *ret_stat,
		    int *ret_fd, struct err *err)
{
	_cleanup_close_ int root = -1;
	_cleanup_close_ int dir = -1;
	const char *name;
	int r = session_mount(h, s, progress, &root, err);

	if (r < 0)
		return r;
	dir = link_open_parent(root, path, &name);
	if (dir == -ENOENT || dir == -ENOTDIR || dir == -ELOOP)
		return -ENOENT;
	if (dir < 0)
		return err_errno(err, dir, "cannot open \"%s\"", path);
	if (fstatat(dir, *name ? name : ".", ret_stat,
		    AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return errno == ENOENT
			       ? -ENOENT
			       : err_errno(err, errno, "cannot examine \"%s\"",
					   path);
	if (!S_ISREG(ret_stat->st_mode))
		return 0;
	r = open_file(dir, name, ret_fd, err);
	if (r < 0)
		return r;
	return *ret_fd < 0 || fstat(*ret_fd, ret_stat) < 0 ? -ENOENT : 0;
}
