/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold:
 *  1. A file's entry and bytes belong together: its ctime, mtime and size were
 *     the same before and after it was read.
 *  2. Of a file with several names the first in layer order has the data and
 *     the others are hard links to it, wherever their names are.
 *  3. What vanished since the scan is left out when no version has it, and
 *     becomes a whiteout when one has.
 */
#include "volume/emit.h"

#include "format/chunker.h"
#include "util/cleanup.h"
#include "util/fd.h"
#include "volume/extra-names.h"
#include "volume/links.h"
#include "volume/scan.h"
#include "volume/source.h"
#include "volume/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Up to this size a file is read whole before its header is written. */
#define SMALL_SIZE (128u << 10)
#define REPORT_BYTES (8u << 20)
#define REPORT_FILES 1024

struct emit {
	const struct emit_request *q;
	struct walker upper, merged;
	struct source source;
	struct inode_set inodes; /* of files whose first name is written */
	struct buf first;	 /* their paths, NUL-terminated */
	size_t *first_offsets;
	size_t n_first;
	struct link_names extra; /* names that are not in the upper */
	struct buf path;
	uint8_t *small;
	uint64_t files, reported_files;
	uint64_t reported_bytes;
	struct err *err;
};

/* A name to write: where it is and how to read it. */
struct object {
	const char *path;
	const char *name;
	int dir_fd;
	bool merged;   /* dir_fd is in the merged mount */
	uint32_t item; /* CHANGE_NONE for an extra name */
	uint8_t flags; /* of the item */
	uint64_t captured;
};

static int fail(struct emit *e, int code, const char *what, const char *path)
{
	/* Not the object's fault; the seal has a sentence for it. */
	if (code == -ECANCELED)
		return code;
	if (code == -ENOMEM)
		return err_oom(e->err);
	return err_errno(e->err, code, "cannot %s \"%s\"", what,
			 *path ? path : "/");
}

static bool is_overlay(const struct emit *e)
{
	return e->q->merged_fd >= 0;
}

static int report(struct emit *e)
{
	const struct layer_build *b = e->q->build;
	uint64_t bytes = b->pipeline ? pipeline_offset(b->pipeline) : 0;

	if (e->files - e->reported_files < REPORT_FILES &&
	    bytes - e->reported_bytes < REPORT_BYTES)
		return 0;
	e->reported_files = e->files;
	e->reported_bytes = bytes;
	return progress_report(
		b->host, e->q->progress, b->pipeline ? "seal" : "scan", bytes,
		b->pipeline ? e->q->changes->bytes : 0, e->files);
}

/* The object's descriptor of the directory it is in, in the merged mount. */
static int merged_directory(struct emit *e, const struct object *o)
{
	if (o->merged)
		return o->dir_fd;
	return walker_open(&e->merged, e->q->changes->items[o->item].parent);
}

static int emit_whiteout(struct emit *e, const char *path)
{
	struct entry entry = {.path = path, .flags = ENTRY_WHITEOUT};

	return layer_build_add(e->q->build, &entry, e->err);
}

/* Below an opaque or gone directory nothing of the layers below shows. */
static bool hides_a_version(const struct emit *e, const struct object *o)
{
	if (o->flags & CHANGE_KNOWN)
		return true;
	return !o->merged && e->q->lower_has &&
	       e->q->lower_has(o->path, e->q->lower_ctx);
}

static int emit_vanished(struct emit *e, const struct object *o)
{
	return hides_a_version(e, o) ? emit_whiteout(e, o->path) : 0;
}

static bool is_gone(int code)
{
	return code == -ENOENT || code == -ENOTDIR || code == -ELOOP;
}

/* Whether a directory above was written as gone, and all in it with it. */
static bool is_below_gone(const struct emit *e, uint32_t item)
{
	const struct changes *c = e->q->changes;

	for (uint32_t i = c->items[item].parent; i != CHANGE_NONE;
	     i = c->items[i].parent)
		if (c->items[i].flags & CHANGE_GONE)
			return true;
	return false;
}

/*
 * Finds the first name of a linked file. *ret is NULL when this is it, and it
 * is remembered. The merged inode is the same for all names.
 */
static int first_name(struct emit *e, const struct object *o,
		      const struct stat *st, const char **ret)
{
	uint32_t index;
	struct stat seen;
	size_t *offsets;

	*ret = NULL;
	if (is_overlay(e) && !o->merged) {
		int dir = merged_directory(e, o);

		if (dir < 0 ||
		    fstatat(dir, o->name, &seen, AT_SYMLINK_NOFOLLOW) < 0)
			return -EAGAIN;
		st = &seen;
	}
	if (inode_set_add(&e->inodes, st, &index) < 0)
		return err_oom(e->err);
	if (index < e->n_first) {
		*ret = (char *)e->first.data + e->first_offsets[index];
		return 0;
	}
	offsets = reallocarray(e->first_offsets, e->n_first + 1,
			       sizeof(*offsets));
	if (!offsets)
		return err_oom(e->err);
	e->first_offsets = offsets;
	offsets[e->n_first++] = e->first.size;
	return buf_add(&e->first, o->path, strlen(o->path) + 1) < 0
		       ? err_oom(e->err)
		       : 0;
}

/* Copies length bytes at offset into the stream. -ENODATA if there are less. */
static int stream_run(struct emit *e, int fd, uint64_t offset, uint64_t length)
{
	struct pipeline *p = e->q->build->pipeline;

	while (length) {
		size_t room;
		void *to = pipeline_space(p, &room, e->err);
		ssize_t n;
		int r;

		if (!to)
			return -ENOMEM;
		n = pread(fd, to, (size_t)MIN((uint64_t)room, length),
			  (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		offset += (uint64_t)n;
		length -= (uint64_t)n;
		r = pipeline_advance(p, (size_t)n, e->err);
		if (r == 0)
			r = report(e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int stream_data(struct emit *e, int fd, const struct entry *entry)
{
	int r = 0;

	if (!entry->sparse)
		return stream_run(e, fd, 0, entry->size);
	for (size_t i = 0; r == 0 && i < entry->n_extents; i++)
		r = stream_run(e, fd, entry->extents[i].offset,
			       entry->extents[i].length);
	return r;
}

static bool held_still(int fd, const struct stat *before)
{
	struct stat after;

	return fstat(fd, &after) == 0 && after.st_size == before->st_size &&
	       after.st_ctim.tv_sec == before->st_ctim.tv_sec &&
	       after.st_ctim.tv_nsec == before->st_ctim.tv_nsec &&
	       after.st_mtim.tv_sec == before->st_mtim.tv_sec &&
	       after.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

/* Positive: the file did not hold still; nothing was written. */
#define CHANGED_MEANWHILE 1

static int emit_small(struct emit *e, int fd, int data_fd,
		      const struct stat *st, struct entry *entry)
{
	struct layer_build *b = e->q->build;
	int r = pread_full(data_fd, e->small, entry->size, 0);

	if (r == -ENODATA || (r == 0 && !held_still(fd, st)))
		return CHANGED_MEANWHILE;
	if (r < 0)
		return fail(e, r, "read", entry->path);
	r = layer_build_header(b, entry, e->err);
	if (r == 0)
		r = pipeline_write(b->pipeline, e->small, entry->size, e->err);
	if (r == 0)
		r = layer_build_end_data(b, entry, e->err);
	return r;
}

static int emit_large(struct emit *e, int fd, int data_fd,
		      const struct stat *st, struct entry *entry)
{
	struct layer_build *b = e->q->build;
	int r = pipeline_mark(b->pipeline, e->err);

	if (r == 0)
		r = layer_build_header(b, entry, e->err);
	if (r < 0)
		return r;
	r = stream_data(e, data_fd, entry);
	if (r == -ENODATA || (r == 0 && !held_still(fd, st))) {
		r = pipeline_rewind(b->pipeline, e->err);
		return r < 0 ? r : CHANGED_MEANWHILE;
	}
	if (r < 0)
		return fail(e, r, "read", entry->path);
	return layer_build_end_data(b, entry, e->err);
}

/* Records what was read, if it may not be what the scan saw. */
static int update_capture(struct emit *e, const struct object *o,
			  const struct stat *st)
{
	struct captured c = {
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.inode = st->st_ino,
		.ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 +
			    st->st_ctim.tv_nsec,
		.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
	};
	int r;

	if (!e->q->after || !o->captured || o->merged ||
	    c.ctime_ns < e->q->stamp_ns - SCAN_RACY_NS)
		return 0;
	r = captured_patch(e->q->after, o->captured, &c);
	return r < 0 ? fail(e, r, "record the state of", o->path) : 0;
}

/* One attempt at a regular file. */
static int try_file(struct emit *e, const struct object *o, struct stat *st)
{
	struct entry entry = {.path = o->path};
	_cleanup_close_ int fd = source_open(o->dir_fd, o->name);
	_cleanup_close_ int other = -1;
	int data_fd = fd;
	int r;

	if (fd == -ENOENT || fd == -ELOOP || fd == -ENXIO)
		return -EAGAIN;
	if (fd < 0)
		return fail(e, fd, "open", o->path);
	if (fstat(fd, st) < 0)
		return fail(e, -errno, "examine", o->path);
	if (!S_ISREG(st->st_mode))
		return -EAGAIN;
	r = source_read(&e->source, fd, -1, "", st, is_overlay(e) && !o->merged,
			&entry);
	if (r < 0)
		return fail(e, r, "read the attributes of", o->path);
	if (e->source.metacopy) {
		int dir = merged_directory(e, o);

		other = dir < 0 ? dir : source_open(dir, o->name);
		if (is_gone(other))
			return -EAGAIN;
		if (other < 0)
			return fail(e, other, "open the data of", o->path);
		data_fd = other;
	}
	if (entry.size) {
		r = source_read_holes(&e->source, data_fd, &entry);
		if (r < 0)
			return fail(e, r, "find the holes of", o->path);
	}
	if (!e->q->build->pipeline)
		return layer_build_add(e->q->build, &entry, e->err);
	r = entry.size <= SMALL_SIZE && !entry.sparse
		    ? emit_small(e, fd, data_fd, st, &entry)
		    : emit_large(e, fd, data_fd, st, &entry);
	return r ? r : layer_build_index(e->q->build, &entry, e->err);
}

static int emit_file(struct emit *e, const struct object *o)
{
	struct stat st;
	int r = CHANGED_MEANWHILE;

	for (int i = 0; r == CHANGED_MEANWHILE && i < EMIT_TRIES; i++)
		r = try_file(e, o, &st);
	if (r == CHANGED_MEANWHILE)
		return err_set(e->err, EAGAIN,
			       "\"%s\" changed each of the %d times it was "
			       "read; nothing was sealed and nothing was lost, "
			       "pause what writes it and commit again",
			       o->path, EMIT_TRIES);
	return r < 0 ? r : update_capture(e, o, &st);
}

static int emit_special(struct emit *e, const struct object *o,
			const struct stat *st)
{
	struct entry entry = {.path = o->path};
	int r = source_read(&e->source, -1, o->dir_fd, o->name, st,
			    is_overlay(e) && !o->merged, &entry);

	if (r == -ENOENT || r == -EINVAL)
		return -EAGAIN;
	if (r < 0)
		return fail(e, r, "read the attributes of", o->path);
	r = layer_build_add(e->q->build, &entry, e->err);
	return r < 0 ? r : update_capture(e, o, st);
}

static int emit_object(struct emit *e, const struct object *o)
{
	const char *first;
	struct stat st;
	int r;

	if (fstatat(o->dir_fd, o->name, &st,
		    AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return errno == ENOENT ? emit_vanished(e, o)
				       : fail(e, -errno, "examine", o->path);
	if (S_ISDIR(st.st_mode))
		return -EAGAIN;
	if (S_ISSOCK(st.st_mode))
		return emit_vanished(e, o);
	if (S_ISCHR(st.st_mode) && st.st_rdev == 0) {
		if (is_overlay(e) && !o->merged)
			return emit_whiteout(e, o->path);
		return err_set(e->err, EINVAL,
			       "\"%s\" is a character device 0:0, which means "
			       "\"deleted\" to overlayfs and cannot be kept; "
			       "remove it first",
			       o->path);
	}
	if (st.st_nlink > 1) {
		r = first_name(e, o, &st, &first);
		if (r == 0 && first) {
			struct entry entry = {.path = o->path,
					      .flags = ENTRY_HARDLINK,
					      .mode = st.st_mode,
					      .target = first};

			return layer_build_add(e->q->build, &entry, e->err);
		}
		if (r < 0)
			return r;
	}
	return S_ISREG(st.st_mode) ? emit_file(e, o) : emit_special(e, o, &st);
}

static int emit_directory(struct emit *e, int fd, const char *path, bool upper,
			  bool opaque)
{
	struct entry entry = {.path = path, .flags = opaque ? ENTRY_OPAQUE : 0};
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return fail(e, -errno, "examine", path);
	r = source_read(&e->source, fd, -1, "", &st, upper, &entry);
	if (r < 0)
		return fail(e, r, "read the attributes of", path);
	return layer_build_add(e->q->build, &entry, e->err);
}

/* A directory that is gone now: see invariant 3. */
static int emit_gone_directory(struct emit *e, uint32_t item)
{
	struct change *change = &e->q->changes->items[item];
	struct object o = {.path = (char *)e->path.data,
			   .name = change_name(e->q->changes, item),
			   .item = item,
			   .merged = change->flags & CHANGE_MERGED,
			   .flags = change->flags};
	struct stat st;

	if (change->parent == CHANGE_NONE)
		return -EAGAIN;
	change->flags |= CHANGE_GONE;
	o.dir_fd =
		walker_open(o.merged ? &e->merged : &e->upper, change->parent);
	if (o.dir_fd < 0)
		return is_gone(o.dir_fd)
			       ? emit_vanished(e, &o)
			       : fail(e, o.dir_fd, "open the directory of",
				      o.path);
	if (fstatat(o.dir_fd, o.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISDIR(st.st_mode) ? -EAGAIN : emit_object(e, &o);
	return emit_vanished(e, &o);
}

static int emit_item(struct emit *e, uint32_t item)
{
	const struct change *change = &e->q->changes->items[item];
	bool merged = change->flags & CHANGE_MERGED;
	struct walker *w = merged ? &e->merged : &e->upper;
	struct object o = {.path = (char *)e->path.data,
			   .name = change_name(e->q->changes, item),
			   .merged = merged,
			   .item = item,
			   .flags = change->flags,
			   .captured = change->captured};

	if (is_below_gone(e, item))
		return 0;
	if (change->kind == CHANGE_WHITEOUT)
		return emit_whiteout(e, o.path);
	if (change->kind == CHANGE_DIRECTORY) {
		int fd = walker_open(w, item);

		if (is_gone(fd))
			return emit_gone_directory(e, item);
		if (fd < 0)
			return fail(e, fd, "open the directory", o.path);
		return emit_directory(e, fd, o.path, is_overlay(e) && !merged,
				      change->flags & CHANGE_OPAQUE);
	}
	e->files++;
	o.dir_fd = walker_open(w, change->parent);
	/* The directory was written already, without this name now. */
	if (is_gone(o.dir_fd))
		return emit_vanished(e, &o);
	if (o.dir_fd < 0)
		return fail(e, o.dir_fd, "open the directory of", o.path);
	return emit_object(e, &o);
}

/* A name that only the merged mount has. */
static int emit_extra(struct emit *e, const struct link_name *extra)
{
	struct object o = {
		.path = extra->path, .merged = true, .item = CHANGE_NONE};
	_cleanup_close_ int fd =
		extra->directory
			? link_open_directory(e->q->merged_fd, extra->path)
			: link_open_parent(e->q->merged_fd, extra->path,
					   &o.name);

	/* What is gone since it was found shows in the next scan. */
	if (is_gone(fd))
		return 0;
	if (fd < 0)
		return fail(e, fd, "open", extra->path);
	if (extra->directory)
		return emit_directory(e, fd, extra->path, false, false);
	o.dir_fd = fd;
	return emit_object(e, &o);
}

static int emit_all(struct emit *e)
{
	struct changes *c = e->q->changes;
	size_t next = 0;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < c->n; i++) {
		if (!(c->items[i].flags & CHANGE_NEEDED))
			continue;
		if (change_path(c, i, &e->path) < 0)
			return err_oom(e->err);
		while (r == 0 && next < e->extra.n &&
		       entry_path_compare(e->extra.items[next].path,
					  (char *)e->path.data) < 0)
			r = emit_extra(e, &e->extra.items[next++]);
		if (r == 0)
			r = emit_item(e, i);
		if (r == 0)
			r = report(e);
	}
	while (r == 0 && next < e->extra.n)
		r = emit_extra(e, &e->extra.items[next++]);
	return r;
}

int emit_changes(const struct emit_request *request, struct err *err)
{
	struct emit e = {
		.q = request,
		.upper = {.changes = request->changes,
			  .root_fd = request->root_fd},
		.merged = {.changes = request->changes,
			   .root_fd = request->merged_fd},
		.err = err,
	};
	int r = 0;

	e.small = malloc(SMALL_SIZE);
	if (!e.small)
		return err_oom(err);
	if (is_overlay(&e) && (request->changes->has_links ||
			       request->links_since_ns != INT64_MAX))
		r = extra_names_find(request, &e.merged, &e.extra, err);
	if (r == 0)
		r = emit_all(&e);
	walker_release(&e.upper);
	walker_release(&e.merged);
	source_release(&e.source);
	inode_set_release(&e.inodes);
	link_names_release(&e.extra);
	buf_release(&e.first);
	buf_release(&e.path);
	free(e.first_offsets);
	free(e.small);
	return r;
}
