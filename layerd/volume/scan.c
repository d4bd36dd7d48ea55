/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk. What must hold:
 *  1. Items come in layer order, each directory right before what is in it.
 *  2. A captured name that is gone, in a directory that still is the one that
 *     was captured, becomes a whiteout.
 *  3. A directory that another one replaced is written opaque and whole.
 *  4. A redirected directory, new since the last seal, is written opaque and
 *     whole as the merged mount shows it, while the capture records what its
 *     upper has, which is what the next scan will see.
 *  5. What changes its kind under the walk is -EAGAIN: the walk starts again.
 * Depth is bounded by memory only: the stack is on the heap.
 */
#include "volume/scan.h"

#include "util/cleanup.h"
#include "util/table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#define REPORT_EVERY 4096

/* A directory being walked. */
struct frame {
	int fd;
	uint32_t item;
	uint16_t depth;
	bool merged; /* fd is in the merged mount */
	bool fresh;  /* nothing captured before counts here */
	bool emit;   /* adds items */
	bool record; /* writes to the new capture */
	char **names;
	size_t n, next;
};

struct scan {
	const struct scan_request *request;
	struct changes *changes;
	struct frame *frames;
	size_t depth, alloc;
	struct err *err;
};

bool scan_has_fine_times(int fd)
{
	unsigned int high = 0, low = 0;
	struct utsname name;
	struct statfs fs;

	if (uname(&name) < 0 || fstatfs(fd, &fs) < 0 ||
	    sscanf(name.release, "%u.%u", &high, &low) != 2)
		return false;
	if (high < 6 || (high == 6 && low < 13))
		return false;
	return fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
	       fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == TMPFS_MAGIC;
}

static void frame_release(struct frame *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);
	for (size_t i = 0; i < f->n; i++)
		free(f->names[i]);
	free(f->names);
}

static int fail(struct scan *s, int code, const char *what, uint32_t dir,
		const char *name)
{
	_cleanup_buf_ struct buf path = BUF_INIT;

	/* A directory that was there a moment ago: see invariant 5. */
	if (code == -ENOENT || code == -ENOTDIR)
		return -EAGAIN;
	if (code == -ENOMEM || change_path(s->changes, dir, &path) < 0)
		return err_oom(s->err);
	return err_errno(s->err, code, "cannot %s \"%s%s%s\"", what,
			 (const char *)path.data, path.size && *name ? "/" : "",
			 name);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(struct frame *f)
{
	size_t alloc = 0;
	struct dirent *d;
	int r = 0;
	int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		r = -errno;
		closep(&fd);
		return r;
	}
	while (r == 0 && (errno = 0, d = readdir(dir))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (f->n == alloc) {
			char **names;

			alloc = alloc ? alloc * 2 : 16;
			names = reallocarray(f->names, alloc, sizeof(*names));
			if (!names) {
				r = -ENOMEM;
				break;
			}
			f->names = names;
		}
		f->names[f->n] = strdup(d->d_name);
		if (!f->names[f->n])
			r = -ENOMEM;
		else
			f->n++;
	}
	if (r == 0 && errno)
		r = -errno;
	(void)closedir(dir);
	if (r == 0 && f->n)
		qsort(f->names, f->n, sizeof(*f->names), compare_names);
	return r;
}

/* Takes over frame.fd, also on failure. */
static int push(struct scan *s, struct frame frame)
{
	int r;

	if (s->depth == s->alloc) {
		size_t n = s->alloc ? s->alloc * 2 : 32;
		struct frame *frames;

		frames = reallocarray(s->frames, n, sizeof(*frames));
		if (!frames) {
			closep(&frame.fd);
			return err_oom(s->err);
		}
		s->frames = frames;
		s->alloc = n;
	}
	r = read_names(&frame);
	if (r < 0) {
		frame_release(&frame);
		return fail(s, r, "read the directory", frame.item, "");
	}
	s->frames[s->depth++] = frame;
	return 0;
}

static int64_t time_ns(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/* The marks of overlayfs on an upper directory. */
struct marks {
	bool opaque;
	bool origin;
	uint64_t redirect;
};

static void read_marks(int fd, struct marks *ret)
{
	char value[4096];
	ssize_t n;

	*ret = (struct marks){0};
	n = fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value));
	ret->opaque = n == 1 && value[0] == 'y';
	n = fgetxattr(fd, "trusted.overlay.redirect", value, sizeof(value));
	if (n > 0)
		ret->redirect = table_hash(value, (size_t)n);
	n = fgetxattr(fd, "trusted.overlay.origin", NULL, 0);
	ret->origin = n >= 0;
}

static int record(struct scan *s, const struct frame *f, const char *name,
		  const struct stat *st, const struct marks *marks,
		  uint64_t *ret_offset)
{
	struct captured c = {
		.depth = (uint16_t)(*name ? f->depth + 1 : 0),
		.name = name,
		.name_size = (uint16_t)strlen(name),
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.inode = st->st_ino,
		.ctime_ns = time_ns(&st->st_ctim),
		.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
	};

	*ret_offset = 0;
	if (!f->record || !s->request->after)
		return 0;
	if (f->depth == UINT16_MAX)
		return -ENAMETOOLONG;
	if (S_ISCHR(st->st_mode) && st->st_rdev == 0)
		c.flags |= CAPTURED_WHITEOUT;
	if (marks && marks->opaque)
		c.flags |= CAPTURED_OPAQUE;
	if (marks)
		c.redirect = marks->redirect;
	return captured_add(s->request->after, &c, ret_offset);
}

/* Whether the attributes say that nothing changed. What was changed after the
 * last seal began may have been changed further without a new ctime. */
static bool unchanged(const struct scan *s, const struct captured *c,
		      const struct stat *st)
{
	uint64_t size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
	int64_t slack = s->request->fine_times ? 0 : SCAN_RACY_NS;

	if (c->inode != st->st_ino || c->mode != st->st_mode ||
	    c->uid != st->st_uid || c->gid != st->st_gid || c->size != size ||
	    c->ctime_ns != time_ns(&st->st_ctim))
		return false;
	return c->ctime_ns < captured_stamp(s->request->before) - slack;
}

static int add(struct scan *s, const struct frame *f, const char *name,
	       enum change_kind kind, uint8_t flags, uint64_t captured,
	       uint32_t *ret)
{
	int r;

	if (f->merged)
		flags |= CHANGE_MERGED;
	r = changes_add(s->changes, f->item, name, kind, flags, captured, ret);
	return r < 0 ? fail(s, r, "remember", f->item, name) : 0;
}

/* Whether a layer below has an object under the name. */
static int ask_lower(struct scan *s, const struct frame *f, const char *name,
		     bool *ret)
{
	_cleanup_buf_ struct buf path = BUF_INIT;

	if (change_path(s->changes, f->item, &path) < 0 ||
	    buf_printf(&path, "%s%s", path.size ? "/" : "", name) < 0 ||
	    !buf_str(&path))
		return err_oom(s->err);
	*ret = s->request->lower_has((char *)path.data, s->request->lower_ctx);
	return 0;
}

/*
 * overlayfs makes each new directory opaque that is in one with something
 * below. Where no layer has anything under its name the mark would only stand
 * in the way of those who extract the tarball.
 */
static int drop_idle_opaque(struct scan *s, const struct frame *f,
			    const char *name, uint8_t *flags)
{
	bool hides = true;
	int r = 0;

	if (*flags & CHANGE_OPAQUE && !(*flags & CHANGE_KNOWN) && f->emit &&
	    s->request->lower_has)
		r = ask_lower(s, f, name, &hides);
	if (!hides)
		*flags &= (uint8_t)~CHANGE_OPAQUE;
	return r;
}

/* What the scan does with a directory's contents, from what was captured. */
static uint8_t directory_flags(const struct scan *s, const struct frame *f,
			       const struct captured *c, const struct stat *st,
			       const struct marks *marks, bool *ret_fresh)
{
	bool known = c && !(c->flags & CAPTURED_WHITEOUT);
	bool same =
		known && S_ISDIR(c->mode) &&
		(c->inode == st->st_ino || (marks->origin && !marks->opaque)) &&
		c->redirect == marks->redirect &&
		!(marks->opaque && !(c->flags & CAPTURED_OPAQUE));
	uint8_t flags = known ? CHANGE_KNOWN : 0;

	*ret_fresh = f->fresh || !same;
	if (f->fresh || !same) {
		flags |= CHANGE_NEEDED;
		if (marks->opaque || marks->redirect ||
		    (known && S_ISDIR(c->mode)))
			flags |= CHANGE_OPAQUE;
	} else if (!unchanged(s, c, st)) {
		flags |= CHANGE_NEEDED;
	}
	return flags;
}

static int open_directory(int fd, const char *name)
{
	int r = openat(fd, name,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return r < 0 ? -errno : r;
}

/* Opens the directory f->item/name in the merged mount, name by name, as a path
 * may be longer than PATH_MAX. */
static int open_merged(struct scan *s, uint32_t item)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	_cleanup_close_ int fd = -1;
	char *save = NULL;
	char *name;

	if (change_path(s->changes, item, &path) < 0)
		return -ENOMEM;
	fd = open_directory(s->request->merged_fd, ".");
	for (name = strtok_r((char *)path.data, "/", &save); name && fd >= 0;
	     name = strtok_r(NULL, "/", &save)) {
		int next = open_directory(fd, name);

		closep(&fd);
		fd = next;
	}
	return TAKE_FD(fd);
}

static int walk_directory(struct scan *s, const struct frame *parent,
			  const char *name, const struct stat *st,
			  const struct captured *c)
{
	struct frame f = {.depth = (uint16_t)(parent->depth + 1),
			  .merged = parent->merged,
			  .emit = parent->emit,
			  .record = parent->record};
	bool redirected;
	uint64_t offset;
	struct marks marks = {0};
	uint8_t flags;
	int r;

	f.fd = open_directory(parent->fd, name);
	if (f.fd < 0)
		return fail(s, f.fd, "open the directory", parent->item, name);
	if (!parent->merged && s->request->merged_fd >= 0)
		read_marks(f.fd, &marks);
	flags = directory_flags(s, parent, c, st, &marks, &f.fresh);
	redirected = marks.redirect && f.fresh && parent->emit;
	r = record(s, parent, name, st, &marks, &offset);
	if (r < 0)
		r = fail(s, r, "record", parent->item, name);
	if (r == 0)
		r = drop_idle_opaque(s, parent, name, &flags);
	if (r < 0) {
		closep(&f.fd);
		return r;
	}
	f.item = parent->item;
	if (parent->emit)
		r = add(s, parent, name, CHANGE_DIRECTORY, flags, offset,
			&f.item);
	if (r == 0 && redirected) {
		struct frame merged = f;

		merged.merged = true;
		merged.record = false;
		merged.fd = open_merged(s, f.item);
		f.emit = false;
		r = merged.fd < 0 ? fail(s, merged.fd, "open the directory",
					 parent->item, name)
				  : push(s, merged);
	}
	if (r < 0) {
		closep(&f.fd);
		return r;
	}
	return push(s, f);
}

static int visit_socket(struct scan *s, const struct frame *f, const char *name,
			bool known)
{
	uint32_t item;

	s->changes->sockets++;
	if (!known && s->request->lower_has) {
		int r = ask_lower(s, f, name, &known);

		if (r < 0)
			return r;
	}
	return known ? add(s, f, name, CHANGE_WHITEOUT, CHANGE_NEEDED, 0, &item)
		     : 0;
}

static int visit_object(struct scan *s, const struct frame *f, const char *name,
			const struct stat *st, const struct captured *c)
{
	bool whiteout = S_ISCHR(st->st_mode) && st->st_rdev == 0 &&
			!f->merged && s->request->merged_fd >= 0;
	bool was = c && (c->flags & CAPTURED_WHITEOUT);
	uint8_t flags = c && !was ? CHANGE_KNOWN : 0;
	uint64_t offset;
	uint32_t item;
	int r = record(s, f, name, st, NULL, &offset);

	if (r < 0)
		return fail(s, r, "record", f->item, name);
	if (!f->emit || (c && (whiteout ? was : unchanged(s, c, st))))
		return 0;
	if (!whiteout && st->st_nlink > 1)
		flags |= CHANGE_LINKED;
	if (S_ISREG(st->st_mode))
		s->changes->bytes += (uint64_t)st->st_size;
	return add(s, f, name, whiteout ? CHANGE_WHITEOUT : CHANGE_OBJECT,
		   flags | CHANGE_NEEDED, offset, &item);
}

/* One name of a directory; c is what was captured under it, if anything. */
static int visit(struct scan *s, const struct frame *f, const char *name,
		 const struct captured *c)
{
	bool known = c && !(c->flags & CAPTURED_WHITEOUT);
	uint32_t item;
	struct stat st;

	if (fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) <
	    0) {
		if (errno != ENOENT)
			return fail(s, -errno, "examine", f->item, name);
		return known ? add(s, f, name, CHANGE_WHITEOUT, CHANGE_NEEDED,
				   0, &item)
			     : 0;
	}
	if (++s->changes->scanned % REPORT_EVERY == 0) {
		int r = progress_report(s->request->host, s->request->progress,
					"scan", 0, 0, s->changes->scanned);
		if (r < 0)
			return r;
	}
	if (S_ISSOCK(st.st_mode))
		return f->emit ? visit_socket(s, f, name, known) : 0;
	if (S_ISDIR(st.st_mode))
		return walk_directory(s, f, name, &st, c);
	return visit_object(s, f, name, &st, c);
}

/* The captured record for the next child of f, NULL when there is none. */
static const struct captured *captured_child(const struct scan *s,
					     const struct frame *f)
{
	const struct captured *c;

	if (f->fresh || !s->request->before)
		return NULL;
	c = captured_peek(s->request->before);
	return c && c->depth == f->depth + 1 ? c : NULL;
}

static int compare_name(const char *name, const struct captured *c)
{
	size_t n = strlen(name);
	int r = memcmp(name, c->name, MIN(n, (size_t)c->name_size));

	return r ? r : (n > c->name_size) - (n < c->name_size);
}

/* A captured name that is not in the directory any more. */
static int visit_vanished(struct scan *s, const struct frame *f,
			  const struct captured *c)
{
	char name[256];
	uint32_t item;
	int r = 0;

	if (!(c->flags & CAPTURED_WHITEOUT) && f->emit &&
	    c->name_size < sizeof(name)) {
		memcpy(name, c->name, c->name_size);
		name[c->name_size] = 0;
		r = add(s, f, name, CHANGE_WHITEOUT, CHANGE_NEEDED, 0, &item);
	}
	captured_skip(s->request->before);
	return r;
}

/* Steps past a captured record before its object is visited, but not past what
 * is below it when the walk will go there. */
static int visit_captured(struct scan *s, const struct frame *f,
			  const char *name, const struct captured *c)
{
	struct captured copy = *c;
	size_t depth = s->depth;
	int r;

	captured_next(s->request->before);
	r = visit(s, f, name, &copy);
	if (r < 0)
		return r;
	/* No frame that merges with the capture was pushed: step over it. */
	if (s->depth == depth || s->frames[s->depth - 1].fresh) {
		const struct captured *next;

		while ((next = captured_peek(s->request->before)) &&
		       next->depth > copy.depth)
			captured_next(s->request->before);
	}
	return 0;
}

/* One step of the innermost directory: a name, a vanished name, or its end. */
static int step(struct scan *s)
{
	/* By value: pushing moves the frames. */
	struct frame f = s->frames[s->depth - 1];
	const struct captured *c = captured_child(s, &f);
	const char *name = f.next < f.n ? f.names[f.next] : NULL;
	int order;

	if (!name && !c) {
		frame_release(&s->frames[--s->depth]);
		return 0;
	}
	order = !name ? 1 : !c ? -1 : compare_name(name, c);
	if (order > 0)
		return visit_vanished(s, &f, c);
	s->frames[s->depth - 1].next++;
	return order == 0 ? visit_captured(s, &f, name, c)
			  : visit(s, &f, name, NULL);
}

static int start(struct scan *s)
{
	const struct scan_request *q = s->request;
	const struct captured *c = q->before ? captured_peek(q->before) : NULL;
	struct frame outside = {.record = true};
	struct frame root = {.emit = true, .record = true, .fresh = !c};
	uint64_t offset;
	struct stat st;
	int r;

	if (fstat(q->root_fd, &st) < 0)
		return err_errno(s->err, errno,
				 "cannot examine the directory "
				 "to seal");
	r = record(s, &outside, "", &st, NULL, &offset);
	if (r < 0)
		return fail(s, r, "record", 0, "");
	r = changes_add(s->changes, CHANGE_NONE, "", CHANGE_DIRECTORY,
			!c || !unchanged(s, c, &st) ? CHANGE_NEEDED : 0, offset,
			&root.item);
	if (r < 0)
		return err_oom(s->err);
	if (c)
		captured_next(q->before);
	root.fd = open_directory(q->root_fd, ".");
	if (root.fd < 0)
		return err_errno(s->err, root.fd,
				 "cannot open the directory to seal");
	return push(s, root);
}

int scan_upper(const struct scan_request *request, struct changes *ret,
	       struct err *err)
{
	struct scan s = {.request = request, .changes = ret, .err = err};
	int r = start(&s);

	while (r == 0 && s.depth)
		r = step(&s);
	while (s.depth)
		frame_release(&s.frames[--s.depth]);
	free(s.frames);
	return r;
}
