/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a tarball to entries. libarchive walks it, knows the variants of tar and
 * says where payload is; names, times and attributes come from the blocks
 * themselves (tar-header.h). What must hold for every entry that is delivered,
 * whatever the tarball says:
 *
 *  1. its path and a hard link's target are relative, without "", "." and ".."
 *     and within the limits of entry.h;
 *  2. its payload lies within the tarball, and its runs are ascending, within
 *     its size, and add up to exactly the bytes that the tarball holds for it;
 *  3. the next entry begins where its payload ends;
 *  4. nothing of a foreign tarball can act on overlayfs but OCI whiteouts.
 *
 * Payload is skipped, so a tarball that is fetched as it is read stays cold but
 * for READ_SIZE bytes behind each header.
 */
#include "format/archive-reader.h"

#include "format/entry-path.h"
#include "format/tar-header.h"
#include "format/tar-writer.h"
#include "util/cleanup.h"
#include "util/fd.h"
#include "util/quote.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define READ_SIZE (16u << 10)

/* libarchive keeps each run of a map of holes, of which an archive can claim
 * any number, in some 100 bytes. So much it may read for the headers of one
 * entry: far more than ENTRY_CHUNKS_MAX runs, names and attributes take. */
#define HEADERS_MAX (6u << 20)

struct reader {
	int fd;
	uint64_t size;
	enum archive_origin origin;
	archive_entry_fn fn;
	void *ctx;
	struct err *err;

	struct archive *archive;
	uint64_t position; /* of libarchive's next read */
	uint64_t headers;  /* bytes read since the entry before */
	int read_error;
	bool endless;
	uint8_t block[READ_SIZE];

	struct tar_header header;
	struct buf path;
	struct buf target;
	struct extent *extents;
	size_t extents_alloc;
	struct xattr *xattrs; /* those of header that are delivered */
	size_t xattrs_alloc;
	uint64_t next; /* where the next entry must begin; 0: unknown */
};

/* What a path stands for besides an object. */
enum path_kind {
	PATH_PLAIN,
	PATH_WHITEOUT, /* the path is that of what is hidden */
	PATH_OPAQUE,   /* the path is that of the directory */
	PATH_RESERVED, /* of a meaning that we do not know: skipped */
};

static la_ssize_t on_read(struct archive *a, void *ctx, const void **ret)
{
	struct reader *r = ctx;
	size_t n = (size_t)MIN((uint64_t)READ_SIZE, r->size - r->position);
	int e = pread_full(r->fd, r->block, n, r->position);

	if (e < 0) {
		r->read_error = e;
		archive_set_error(a, -e, "%s", strerror(-e));
		return ARCHIVE_FATAL;
	}
	r->position += n;
	r->headers += n;
	if (r->headers > HEADERS_MAX) {
		r->endless = true;
		archive_set_error(a, EFBIG, "headers without an end");
		return ARCHIVE_FATAL;
	}
	*ret = r->block;
	return (la_ssize_t)n;
}

static la_int64_t on_skip(struct archive *a, void *ctx, la_int64_t request)
{
	struct reader *r = ctx;
	uint64_t n = MIN((uint64_t)request, r->size - r->position);

	r->position += n;
	return (la_int64_t)n;
}

static int refuse(struct reader *r, const char *what)
{
	char quoted[QUOTE_SIZE];
	const char *path = buf_str(&r->header.path);

	return err_set(r->err, EBADMSG,
		       "the tarball's entry %s has %s; it cannot be used",
		       quote_text(path ? path : "", quoted), what);
}

static bool has_prefix(const char *s, size_t n, const char *prefix)
{
	size_t length = strlen(prefix);

	return n >= length && memcmp(s, prefix, length) == 0;
}

/* A user's own name in what we made, which may come back as a tarball from
 * elsewhere. There it must be well-formed, or it is a name like any other. */
static bool is_escaped(enum archive_origin origin, const char *name, size_t n)
{
	size_t prefix = strlen(TAR_ESCAPE_PREFIX);

	return has_prefix(name, n, TAR_ESCAPE_PREFIX) &&
	       (origin == ARCHIVE_SEALED ||
		has_prefix(name + prefix, n - prefix, TAR_WHITEOUT_PREFIX));
}

/* Takes the escape off. */
static int unescape(enum archive_origin origin, const char **name, size_t *n)
{
	size_t prefix = strlen(TAR_ESCAPE_PREFIX);

	if (!is_escaped(origin, *name, *n))
		return 0;
	*name += prefix;
	*n -= prefix;
	return has_prefix(*name, *n, TAR_WHITEOUT_PREFIX) ? 0 : -EBADMSG;
}

/* The last name of a path: is it a mark, and of what? */
static int classify(enum archive_origin origin, const char **name, size_t *n,
		    enum path_kind *ret)
{
	size_t prefix = strlen(TAR_WHITEOUT_PREFIX);

	*ret = PATH_PLAIN;
	if (!has_prefix(*name, *n, TAR_WHITEOUT_PREFIX) ||
	    is_escaped(origin, *name, *n))
		return 0;
	if (*n == strlen(TAR_OPAQUE_NAME) &&
	    memcmp(*name, TAR_OPAQUE_NAME, *n) == 0) {
		*ret = PATH_OPAQUE;
		return 0;
	}
	if (has_prefix(*name + prefix, *n - prefix, TAR_WHITEOUT_PREFIX) &&
	    !is_escaped(origin, *name + prefix, *n - prefix)) {
		*ret = PATH_RESERVED;
		return 0;
	}
	*name += prefix;
	*n -= prefix;
	*ret = PATH_WHITEOUT;
	return *n && !entry_path_is_dots(*name, *n) ? 0 : -EBADMSG;
}

/* Makes a stored path an entry's. ret_kind NULL: it must be a plain one. */
static int make_path(enum archive_origin origin, const char *stored,
		     struct buf *b, enum path_kind *ret_kind)
{
	static const char reserved[] = TAR_WHITEOUT_PREFIX TAR_WHITEOUT_PREFIX;
	enum path_kind kind = PATH_PLAIN;
	const char *p = stored, *end;
	int r = 0;

	b->size = 0;
	for (; *p; p = end) {
		size_t n;

		p += strspn(p, "/");
		end = strchrnul(p, '/');
		n = (size_t)(end - p);
		if (n == 0 || (n == 1 && *p == '.'))
			continue;
		if (entry_path_is_dots(p, n))
			return -EBADMSG;
		if (end[strspn(end, "/")] == 0 && ret_kind)
			r = classify(origin, &p, &n, &kind);
		else if (origin == ARCHIVE_FOREIGN &&
			 has_prefix(p, n, reserved) &&
			 !is_escaped(origin, p, n))
			kind = PATH_RESERVED;
		if (r == 0)
			r = unescape(origin, &p, &n);
		if (r == 0 && ret_kind && kind == PATH_RESERVED)
			break;
		if (r == 0 && kind != PATH_OPAQUE)
			r = entry_path_add(b, p, n);
		if (r < 0)
			return r;
	}
	if (ret_kind)
		*ret_kind = kind;
	return buf_str(b) ? 0 : -ENOMEM;
}

static bool is_overlay_xattr(const char *name)
{
	return strncmp(name, "trusted.overlay.", 16) == 0 ||
	       strncmp(name, "user.overlay.", 13) == 0;
}

static int make_xattrs(struct reader *r, struct entry *e)
{
	const struct tar_header *h = &r->header;
	size_t n = 0;

	if (h->n_xattrs > r->xattrs_alloc) {
		struct xattr *x =
			reallocarray(r->xattrs, h->n_xattrs, sizeof(*x));

		if (!x)
			return err_oom(r->err);
		r->xattrs = x;
		r->xattrs_alloc = h->n_xattrs;
	}
	for (size_t i = 0; i < h->n_xattrs; i++)
		if (r->origin == ARCHIVE_SEALED ||
		    !is_overlay_xattr(h->xattrs[i].name))
			r->xattrs[n++] = h->xattrs[i];
	e->xattrs = r->xattrs;
	e->n_xattrs = n;
	return 0;
}

static int grow_extents(struct reader *r)
{
	size_t alloc = MAX(r->extents_alloc * 2, (size_t)16);
	struct extent *x;

	if (alloc > SIZE_MAX / sizeof(*x))
		return err_oom(r->err);
	x = reallocarray(r->extents, alloc, sizeof(*x));
	if (!x)
		return err_oom(r->err);
	r->extents = x;
	r->extents_alloc = alloc;
	return 0;
}

/* libarchive silently leaves out runs that overlap or go beyond the size; the
 * sum, which check_payload() compares, is then too small. */
static int make_extents(struct reader *r, struct archive_entry *ae,
			struct entry *e)
{
	la_int64_t offset, length;
	uint64_t end = 0;
	bool odd = false;
	size_t n = 0;
	int f;

	if (archive_entry_sparse_reset(ae) == 0)
		return 0;
	while (archive_entry_sparse_next(ae, &offset, &length) == ARCHIVE_OK) {
		if (offset < 0 || length < 0 || (uint64_t)offset > e->size ||
		    (uint64_t)length > e->size - (uint64_t)offset ||
		    (n && (uint64_t)offset < end))
			return refuse(r, "a map of holes that contradicts "
					 "itself");
		if (length == 0)
			continue;
		/* GNU tar begins each run in a new block. */
		if (odd)
			return refuse(r, "a map of holes that can be read in "
					 "two ways");
		odd = length % TAR_BLOCK;
		if (n && (uint64_t)offset == end) {
			r->extents[n - 1].length += (uint64_t)length;
		} else {
			f = n == r->extents_alloc ? grow_extents(r) : 0;
			if (f < 0)
				return f;
			r->extents[n++] = (struct extent){(uint64_t)offset,
							  (uint64_t)length};
		}
		end = (uint64_t)offset + (uint64_t)length;
	}
	if (n == 1 && r->extents[0].length == e->size)
		return 0;
	e->sparse = e->size > 0;
	e->extents = r->extents;
	e->n_extents = n;
	return 0;
}

/* The payload's place, and that the tarball holds what the entry claims. */
static int check_payload(struct reader *r, struct entry *e, uint64_t payload)
{
	const struct tar_header *h = &r->header;
	uint64_t data = entry_data_size(e), stored = h->stored;

	if (h->map_inside) {
		if (stored < payload - h->end)
			return refuse(r, "a map of holes beyond its end");
		stored -= payload - h->end;
	}
	if (data != stored)
		return refuse(r, "another size than the tarball holds for it");
	if (data > r->size || payload > r->size - data)
		return refuse(r, "data beyond the end of the tarball, which "
				 "was cut off");
	if (data)
		e->payload = payload;
	r->next = payload + data + tar_padding(data);
	return 0;
}

static int make_regular(struct reader *r, struct archive_entry *ae,
			struct entry *e)
{
	la_int64_t size = archive_entry_size(ae);
	la_int64_t payload = archive_filter_bytes(r->archive, 0);
	int f;

	if (size < 0 || payload < 0)
		return refuse(r, "a negative size");
	e->size = (uint64_t)size;
	f = make_extents(r, ae, e);
	return f < 0 ? f : check_payload(r, e, (uint64_t)payload);
}

static int make_link(struct reader *r, struct entry *e)
{
	const char *target = buf_str(&r->header.target);
	int f;

	if (!target)
		return err_oom(r->err);
	if (!*target)
		return refuse(r, "no target for its link");
	if (!(e->flags & ENTRY_HARDLINK)) {
		if (strlen(target) > ENTRY_TARGET_MAX)
			return refuse(r, "a link target of more than 4095 "
					 "bytes");
		e->target = target;
		return 0;
	}
	f = make_path(r->origin, target, &r->target, NULL);
	if (f == -ENOMEM)
		return err_oom(r->err);
	if (f < 0)
		return refuse(r, "a hard link that leads out of the layer, or "
				 "a target that is too long");
	if (!r->target.size)
		return refuse(r, "a hard link to the root");
	e->target = buf_str(&r->target);
	return 0;
}

static int make_attributes(struct reader *r, struct archive_entry *ae,
			   struct entry *e)
{
	la_int64_t uid = archive_entry_uid(ae), gid = archive_entry_gid(ae);
	dev_t major = archive_entry_rdevmajor(ae);
	dev_t minor = archive_entry_rdevminor(ae);

	if (uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX)
		return refuse(r, "an owner that is out of range");
	e->uid = (uint32_t)uid;
	e->gid = (uint32_t)gid;
	e->mode |= r->header.mode;
	/* As the kernel has it, whatever others write. */
	if (r->origin == ARCHIVE_FOREIGN && S_ISLNK(e->mode))
		e->mode = S_IFLNK | 0777;
	e->mtime = r->header.has_mtime ? r->header.mtime
				       : (int64_t)archive_entry_mtime(ae);
	e->mtime_nsec = r->header.has_mtime ? r->header.mtime_nsec : 0;
	if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		if (major > UINT32_MAX || minor > UINT32_MAX)
			return refuse(r, "a device number that is out of "
					 "range");
		e->rdev_major = (uint32_t)major;
		e->rdev_minor = (uint32_t)minor;
	}
	return make_xattrs(r, e);
}

static int deliver(struct reader *r, const struct entry *e)
{
	return r->fn(e, r->ctx, r->err);
}

/* libarchive leaves the type of some to what the mode field says. */
static bool is_known_type(char typeflag, uint32_t mode)
{
	return typeflag != 'M' &&
	       (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) ||
		S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode));
}

/* Anything at a plain path. */
static int read_object(struct reader *r, struct archive_entry *ae,
		       struct entry *e)
{
	int f = 0;

	if (r->header.type == '1')
		e->flags = ENTRY_HARDLINK;
	else
		e->mode = archive_entry_filetype(ae);
	if (!e->flags && !is_known_type(r->header.type, e->mode))
		return refuse(r, "a type that only makes sense in another "
				 "kind of archive");
	if (!*e->path && !S_ISDIR(e->mode))
		return refuse(r, "a path that is the root of the tree, but is "
				 "no directory");
	if (e->flags & ENTRY_HARDLINK || S_ISLNK(e->mode))
		f = make_link(r, e);
	if (f < 0)
		return f;
	/* "tar c NAME NAME" links the second one to itself. */
	if (e->flags & ENTRY_HARDLINK && strcmp(e->path, e->target) == 0)
		return 0;
	f = make_attributes(r, ae, e);
	if (f == 0 && S_ISREG(e->mode))
		f = make_regular(r, ae, e);
	if (f < 0)
		return f;
	if (r->origin == ARCHIVE_FOREIGN && S_ISCHR(e->mode) &&
	    !e->rdev_major && !e->rdev_minor)
		return 0;
	return deliver(r, e);
}

/* A mark may have a payload that nobody wants; it ends where libarchive says.
 */
static int read_entry(struct reader *r, struct archive_entry *ae)
{
	uint64_t start = (uint64_t)archive_read_header_position(r->archive);
	uint64_t payload = (uint64_t)archive_filter_bytes(r->archive, 0);
	struct entry e = {0};
	enum path_kind kind;
	int f;

	f = tar_header_read(&r->header, r->fd, start, payload, r->err);
	if (f < 0)
		return f;
	if (r->next && r->next != start)
		return refuse(r, "another place than where the entry before "
				 "ends");
	r->next = 0;
	f = make_path(r->origin, buf_str(&r->header.path), &r->path, &kind);
	if (f == -ENOMEM)
		return err_oom(r->err);
	if (f < 0)
		return refuse(r, "a path that leads out of the layer or is too "
				 "long");
	e.path = buf_str(&r->path);
	if (kind == PATH_RESERVED)
		return 0;
	if (kind == PATH_PLAIN)
		return read_object(r, ae, &e);
	e.flags = kind == PATH_OPAQUE ? ENTRY_OPAQUE : ENTRY_WHITEOUT;
	return deliver(r, &e);
}

static int read_failed(struct reader *r)
{
	const char *text = archive_error_string(r->archive);

	if (r->read_error)
		return err_errno(r->err, r->read_error,
				 "cannot read the tarball at byte %llu",
				 (unsigned long long)r->position);
	if (r->endless)
		return err_set(r->err, EBADMSG,
			       "an entry of the tarball before byte %llu has "
			       "more than %u MiB of headers; it cannot be used",
			       (unsigned long long)r->position,
			       HEADERS_MAX >> 20);
	if (archive_errno(r->archive) == ENOMEM)
		return err_oom(r->err);
	return err_set(r->err, EBADMSG,
		       "the tarball is damaged near byte %lld: %s",
		       (long long)archive_filter_bytes(r->archive, 0),
		       text ? text : "malformed headers");
}

static int open_archive(struct reader *r)
{
	struct archive *a = archive_read_new();

	r->archive = a;
	if (!a)
		return err_oom(r->err);
	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_set_callback_data(a, r) != ARCHIVE_OK ||
	    archive_read_set_read_callback(a, on_read) != ARCHIVE_OK ||
	    archive_read_set_skip_callback(a, on_skip) != ARCHIVE_OK ||
	    archive_read_open1(a) != ARCHIVE_OK)
		return read_failed(r);
	return 0;
}

static int read_all(struct reader *r)
{
	for (;;) {
		struct archive_entry *ae;
		int f;

		r->headers = 0;
		f = archive_read_next_header(r->archive, &ae);
		if (f == ARCHIVE_EOF)
			return 0;
		/* Warnings are about conversions whose results are not used,
		 * or about records that tar_header_read() refuses. */
		if (f != ARCHIVE_OK && f != ARCHIVE_WARN)
			return read_failed(r);
		f = read_entry(r, ae);
		if (f < 0)
			return f;
	}
}

int archive_read_entries(int fd, uint64_t size, enum archive_origin origin,
			 archive_entry_fn fn, void *ctx, struct err *err)
{
	struct err unused = ERR_INIT;
	struct reader *r = calloc(1, sizeof(*r));
	int f;

	if (!r)
		return err_oom(err);
	r->fd = fd;
	r->size = size;
	r->origin = origin;
	r->fn = fn;
	r->ctx = ctx;
	r->err = err ? err : &unused;
	f = size > INT64_MAX ? err_set(r->err, EBADMSG,
				       "a tarball cannot have 2^63 bytes")
			     : open_archive(r);
	if (f == 0)
		f = read_all(r);
	if (r->archive)
		(void)archive_read_free(r->archive);
	tar_header_release(&r->header);
	buf_release(&r->path);
	buf_release(&r->target);
	free(r->extents);
	free(r->xattrs);
	free(r);
	return f;
}
