/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers of our tarballs. They are a function of the entry alone: no
 * locale, no clock, no process id, no iteration order has a say.
 *
 * One entry is, in blocks of 512 bytes:
 *
 *   'x' header and its records   only for what the ustar header cannot say
 *   ustar header
 *   sparse map                   only for files with holes, padded with zeros
 *   payload                      the caller's, padded with zeros
 *
 * The ustar header (POSIX.1-2017, pax, "ustar Interchange Format"); numbers are
 * octal digits with leading zeros and a NUL:
 *
 *     0 100  name; a directory's ends in '/', as the root's "./" does
 *   100   8  permissions
 *   108   8  uid, 116 8 gid; 0 where a record has them
 *   124  12  size of what follows; 0 where a record has it
 *   136  12  mtime; 0 where it is before 1970 or beyond 2242
 *   148   8  checksum: six digits, NUL, space
 *   156   1  type: 0 file, 1 hard link, 2 symbolic link, 3 character device,
 *            4 block device, 5 directory, 6 fifo
 *   157 100  link target
 *   257   8  "ustar", NUL, "00"
 *   265  64  user and group name, empty
 *   329  16  major and minor device number
 *   345 155  prefix, not used
 *
 * Records, "LENGTH KEYWORD=VALUE\n", in this order:
 *
 *   hdrcharset=BINARY   a name below is not UTF-8. GNU tar ignores it aloud and
 *                       libarchive then takes the bytes as they are; without it
 *                       libarchive's tools would end with an error
 *   path, linkpath      longer than 100 bytes or not ASCII. The field has the
 *                       first 100 bytes: libarchive 3.6 loses the first link of
 *                       an archive when it is empty
 *   size, uid, gid      beyond the octal fields
 *   mtime               before 1970, beyond 2242 or not a whole second; what is
 *                       before 1970 as POSIX has it, a negated decimal number
 *   GNU.sparse.*        holes (GNU tar manual, "PAX Format, Version 1.0"); the
 *                       name field then has "GNUSparseFile.0/" in front
 *   SCHILY.acl.*        ACLs as text
 *   SCHILY.xattr.NAME   extended attributes, '%' and '=' in NAME written %25
 *                       and %3D as GNU tar does
 */
#include "format/tar-writer.h"

#include "format/posix-acl.h"
#include "util/cleanup.h"
#include "util/escape.h"
#include "util/quote.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_FIELD 100
#define OCTAL_SIZE_MAX UINT64_C(077777777777) /* eleven digits */
#define OCTAL_ID_MAX 07777777u		      /* seven */
#define SPARSE_DIRECTORY "GNUSparseFile.0/"

/* libarchive reads no extended header beyond this, so we make none. */
#define RECORDS_MAX (1u << 20)

struct ustar {
	char name[NAME_FIELD];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char target[NAME_FIELD];
	char magic[8];
	char uname[32];
	char gname[32];
	char rdev_major[8];
	char rdev_minor[8];
	char prefix[155];
	char unused[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a header is one block");

/* One entry on its way into headers. */
struct tar_entry {
	const struct entry *e;
	char type;
	bool sparse;
	const char *path; /* as stored: escaped, with a directory's '/' */
	const char *target;
	struct buf map;
	struct buf records;
	uint64_t stored; /* bytes that follow the ustar header, unpadded */
};

static void set_octal(char *field, size_t size, uint64_t value)
{
	field[size - 1] = 0;
	for (size_t i = size - 1; i-- > 0; value /= 8)
		field[i] = (char)('0' + value % 8);
}

static void set_bytes(char field[static NAME_FIELD], const char *s)
{
	memcpy(field, s, MIN(strlen(s), (size_t)NAME_FIELD));
}

static int add_ustar(struct buf *b, const struct ustar *template)
{
	struct ustar u = *template;
	unsigned int sum = 0;

	memcpy(u.magic, "ustar\00000", sizeof(u.magic));
	memset(u.checksum, ' ', sizeof(u.checksum));
	for (size_t i = 0; i < sizeof(u); i++)
		sum += ((const unsigned char *)&u)[i];
	set_octal(u.checksum, 7, sum);
	return buf_add(b, &u, sizeof(u));
}

/* Names that every tar takes from the ustar header unchanged. */
static bool fits_field(const char *s)
{
	size_t n = 0;

	for (; s[n]; n++)
		if (n == NAME_FIELD || (unsigned char)s[n] > 127)
			return false;
	return true;
}

static bool is_utf8(const char *s)
{
	return utf8_valid(s, strlen(s));
}

/* "LENGTH KEYWORD=VALUE\n", where LENGTH counts itself. */
static int add_record(struct buf *b, const char *keyword, const void *value,
		      size_t size)
{
	size_t body = strlen(keyword) + size + 3, length = body, digits = 0;
	int r;

	for (size_t n = 0; n != digits || n == 0;) {
		n = digits;
		digits = 1;
		for (size_t v = length; v >= 10; v /= 10)
			digits++;
		length = body + digits;
	}
	r = buf_printf(b, "%zu %s=", length, keyword);
	if (r == 0)
		r = buf_add(b, value, size);
	return r < 0 ? r : buf_add(b, "\n", 1);
}

static int add_text_record(struct buf *b, const char *keyword, const char *text)
{
	return add_record(b, keyword, text, strlen(text));
}

static int add_number_record(struct buf *b, const char *keyword, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	return add_text_record(b, keyword, text);
}

static int add_name_records(struct tar_entry *t)
{
	bool path = !t->sparse && !fits_field(t->path);
	bool target = t->target && !fits_field(t->target);
	int r = 0;

	if (((path || t->sparse) && !is_utf8(t->path)) ||
	    (target && !is_utf8(t->target)))
		r = add_text_record(&t->records, "hdrcharset", "BINARY");
	if (r == 0 && path)
		r = add_text_record(&t->records, "path", t->path);
	if (r == 0 && target)
		r = add_text_record(&t->records, "linkpath", t->target);
	return r;
}

static bool mtime_fits(const struct entry *e)
{
	return e->mtime >= 0 && (uint64_t)e->mtime <= OCTAL_SIZE_MAX;
}

/* Seconds and nanoseconds before 1970 count towards each other in struct entry
 * (-2 s and 500000000 ns), but not in a record ("-1.5"). */
static int add_mtime_record(struct tar_entry *t)
{
	bool negative = t->e->mtime < 0;
	uint64_t seconds = (uint64_t)t->e->mtime;
	uint32_t nsec = t->e->mtime_nsec;
	char text[48];
	int n;

	if (!nsec && mtime_fits(t->e))
		return 0;
	if (negative) {
		seconds = 0 - seconds - (nsec ? 1 : 0);
		nsec = nsec ? 1000000000u - nsec : 0;
	}
	n = snprintf(text, sizeof(text), "%s%" PRIu64, negative ? "-" : "",
		     seconds);
	if (nsec) {
		n += snprintf(text + n, sizeof(text) - (size_t)n, ".%09u",
			      nsec);
		while (text[n - 1] == '0')
			text[--n] = 0;
	}
	return add_text_record(&t->records, "mtime", text);
}

static int add_number_records(struct tar_entry *t)
{
	int r = 0;

	if (t->stored > OCTAL_SIZE_MAX)
		r = add_number_record(&t->records, "size", t->stored);
	if (r == 0 && t->e->uid > OCTAL_ID_MAX)
		r = add_number_record(&t->records, "uid", t->e->uid);
	if (r == 0 && t->e->gid > OCTAL_ID_MAX)
		r = add_number_record(&t->records, "gid", t->e->gid);
	return r < 0 ? r : add_mtime_record(t);
}

static int add_sparse_records(struct tar_entry *t)
{
	int r = 0;

	if (!t->sparse)
		return 0;
	r = add_text_record(&t->records, "GNU.sparse.major", "1");
	if (r == 0)
		r = add_text_record(&t->records, "GNU.sparse.minor", "0");
	if (r == 0)
		r = add_text_record(&t->records, "GNU.sparse.name", t->path);
	return r < 0 ? r
		     : add_number_record(&t->records, "GNU.sparse.realsize",
					 t->e->size);
}

static int add_acl_record(struct tar_entry *t, const char *name,
			  const char *keyword)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (size_t i = 0; i < t->e->n_xattrs; i++) {
		const struct xattr *x = &t->e->xattrs[i];
		int r;

		if (strcmp(x->name, name) != 0)
			continue;
		r = posix_acl_to_text(x->value, x->size, &text);
		/* Not an ACL: its bytes are restored from the raw record. */
		if (r == -EINVAL)
			return 0;
		return r < 0 ? r
			     : add_record(&t->records, keyword, text.data,
					  text.size);
	}
	return 0;
}

static int add_xattr_record(struct buf *b, const struct xattr *x)
{
	_cleanup_buf_ struct buf keyword = BUF_INIT;
	int r = buf_add_str(&keyword, "SCHILY.xattr.");

	for (const char *p = x->name; r == 0 && *p; p++) {
		if (*p == '%')
			r = buf_add_str(&keyword, "%25");
		else if (*p == '=')
			r = buf_add_str(&keyword, "%3D");
		else
			r = buf_add(&keyword, p, 1);
	}
	if (r < 0 || !buf_str(&keyword))
		return -ENOMEM;
	return add_record(b, buf_str(&keyword), x->value, x->size);
}

/* A hard link's attributes are those of the file it leads to. */
static int add_xattr_records(struct tar_entry *t)
{
	int r;

	if (t->e->flags & ENTRY_HARDLINK)
		return 0;
	r = add_acl_record(t, POSIX_ACL_ACCESS_XATTR, "SCHILY.acl.access");
	if (r == 0)
		r = add_acl_record(t, POSIX_ACL_DEFAULT_XATTR,
				   "SCHILY.acl.default");
	for (size_t i = 0; r == 0 && i < t->e->n_xattrs; i++)
		r = add_xattr_record(&t->records, &t->e->xattrs[i]);
	return r;
}

static int add_pax_header(struct buf *b, struct tar_entry *t, struct err *err)
{
	struct ustar u = {.name = "PaxHeaders", .type = 'x'};
	char quoted[QUOTE_SIZE];
	size_t size;
	int r;

	r = add_name_records(t);
	if (r == 0)
		r = add_number_records(t);
	if (r == 0)
		r = add_sparse_records(t);
	if (r == 0)
		r = add_xattr_records(t);
	size = t->records.size;
	if (r < 0 || size == 0)
		return r;
	if (size > RECORDS_MAX)
		return err_set(err, E2BIG,
			       "%s: name and extended attributes need %zu "
			       "bytes, and a tar header holds %u; remove "
			       "attributes from it",
			       quote_text(t->e->path, quoted), size,
			       RECORDS_MAX);
	set_octal(u.mode, sizeof(u.mode), 0644);
	set_octal(u.uid, sizeof(u.uid), 0);
	set_octal(u.gid, sizeof(u.gid), 0);
	set_octal(u.size, sizeof(u.size), size);
	set_octal(u.mtime, sizeof(u.mtime), 0);
	set_octal(u.rdev_major, sizeof(u.rdev_major), 0);
	set_octal(u.rdev_minor, sizeof(u.rdev_minor), 0);
	r = add_ustar(b, &u);
	if (r == 0)
		r = buf_add(b, t->records.data, size);
	return r < 0 ? r : buf_add_zero(b, tar_padding(size));
}

static int add_main_header(struct buf *b, const struct tar_entry *t)
{
	const struct entry *e = t->e;
	struct ustar u = {.type = t->type};

	if (t->sparse) {
		char name[NAME_FIELD + 1];

		(void)snprintf(name, sizeof(name), SPARSE_DIRECTORY "%s",
			       t->path);
		set_bytes(u.name, name);
	} else {
		set_bytes(u.name, t->path);
	}
	/* A file whose name is cut off behind a '/' would be a directory. */
	if (t->type != '5' && u.name[NAME_FIELD - 1] == '/')
		u.name[NAME_FIELD - 1] = 0;
	if (t->target)
		set_bytes(u.target, t->target);
	set_octal(u.mode, sizeof(u.mode), e->mode & 07777);
	set_octal(u.uid, sizeof(u.uid), e->uid > OCTAL_ID_MAX ? 0 : e->uid);
	set_octal(u.gid, sizeof(u.gid), e->gid > OCTAL_ID_MAX ? 0 : e->gid);
	set_octal(u.size, sizeof(u.size),
		  t->stored > OCTAL_SIZE_MAX ? 0 : t->stored);
	set_octal(u.mtime, sizeof(u.mtime),
		  mtime_fits(e) ? (uint64_t)e->mtime : 0);
	set_octal(u.rdev_major, sizeof(u.rdev_major), e->rdev_major);
	set_octal(u.rdev_minor, sizeof(u.rdev_minor), e->rdev_minor);
	return add_ustar(b, &u);
}

/* The number of runs, then offset and length of each, a number a line. A hole
 * at the end needs an empty run there, or GNU tar makes the file too short. */
static int make_sparse_map(struct tar_entry *t)
{
	const struct entry *e = t->e;
	uint64_t end = 0;
	bool hole_last;
	int r;

	if (e->n_extents)
		end = e->extents[e->n_extents - 1].offset +
		      e->extents[e->n_extents - 1].length;
	hole_last = end < e->size;
	r = buf_printf(&t->map, "%zu\n", e->n_extents + hole_last);
	for (size_t i = 0; r == 0 && i < e->n_extents; i++)
		r = buf_printf(&t->map, "%" PRIu64 "\n%" PRIu64 "\n",
			       e->extents[i].offset, e->extents[i].length);
	if (r == 0 && hole_last)
		r = buf_printf(&t->map, "%" PRIu64 "\n0\n", e->size);
	return r < 0 ? r : buf_pad(&t->map, TAR_BLOCK);
}

static int add_escaped_component(struct buf *b, const char *name, size_t size)
{
	size_t n = strlen(TAR_WHITEOUT_PREFIX);
	int r = 0;

	if (size >= n && memcmp(name, TAR_WHITEOUT_PREFIX, n) == 0)
		r = buf_add_str(b, TAR_ESCAPE_PREFIX);
	return r < 0 ? r : buf_add(b, name, size);
}

/* Appends path with prefix in front of its last name. */
static int add_stored_path(struct buf *b, const char *path, const char *prefix)
{
	int r = 0;

	for (const char *p = path; r == 0;) {
		const char *end = strchrnul(p, '/');

		if (!*end)
			r = buf_add_str(b, prefix);
		if (r == 0)
			r = add_escaped_component(b, p, (size_t)(end - p));
		if (!*end)
			break;
		if (r == 0)
			r = buf_add_str(b, "/");
		p = end + 1;
	}
	return r < 0 || buf_str(b) ? r : -ENOMEM;
}

static int make_names(struct tar_entry *t, struct buf *path, struct buf *target,
		      struct err *err)
{
	const struct entry *e = t->e;
	char quoted[QUOTE_SIZE];
	int r;

	r = add_stored_path(path, e->path,
			    e->flags & ENTRY_WHITEOUT ? TAR_WHITEOUT_PREFIX
						      : "");
	if (r == 0 && t->type == '5')
		r = buf_add_str(path, *e->path ? "/" : "./");
	if (r < 0)
		return r;
	if (t->type == '1' || t->type == '2') {
		if (!e->target || !*e->target)
			return err_set(err, EINVAL,
				       "%s: a link without a target cannot be "
				       "stored in a tarball",
				       quote_text(e->path, quoted));
		r = t->type == '1' ? add_stored_path(target, e->target, "")
				   : buf_add_str(target, e->target);
		if (r < 0)
			return r;
		t->target = buf_str(target);
	}
	t->path = buf_str(path);
	return t->path && (!target->size || t->target) ? 0 : -ENOMEM;
}

static int entry_type(const struct entry *e, char *ret, struct err *err)
{
	static const struct {
		mode_t format;
		char type;
	} types[] = {{S_IFREG, '0'}, {S_IFLNK, '2'}, {S_IFCHR, '3'},
		     {S_IFBLK, '4'}, {S_IFDIR, '5'}, {S_IFIFO, '6'}};
	char quoted[QUOTE_SIZE];

	if (e->flags & ENTRY_HARDLINK) {
		*ret = '1';
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if ((e->mode & S_IFMT) != types[i].format)
			continue;
		*ret = types[i].type;
		return 0;
	}
	return err_set(err, EINVAL,
		       "%s: %s cannot be stored in a tarball; leave it out",
		       quote_text(e->path, quoted),
		       S_ISSOCK(e->mode) ? "a socket"
					 : "an object of unknown type");
}

/* What a header could not be read back from. */
static int check_entry(const struct entry *e, char type, struct err *err)
{
	char quoted[QUOTE_SIZE];
	uint64_t end = 0;

	if (!*e->path && type != '5')
		return err_set(err, EINVAL,
			       "the root of a tarball must be a directory");
	if (e->mtime_nsec >= 1000000000u || e->size > INT64_MAX ||
	    e->rdev_major > OCTAL_ID_MAX || e->rdev_minor > OCTAL_ID_MAX)
		return err_set(err, EINVAL,
			       "%s: its time, size or device number is out of "
			       "range for a tarball",
			       quote_text(e->path, quoted));
	for (size_t i = 0; e->sparse && i < e->n_extents; i++) {
		const struct extent *x = &e->extents[i];

		if (!x->length || x->offset > e->size ||
		    x->length > e->size - x->offset || (i && x->offset <= end))
			return err_set(err, EINVAL,
				       "%s: its runs of data are out of order "
				       "or go beyond its end",
				       quote_text(e->path, quoted));
		end = x->offset + x->length;
	}
	return 0;
}

static int add_headers(struct buf *b, struct tar_entry *t, struct err *err)
{
	int r = 0;

	t->sparse = t->type == '0' && t->e->sparse && t->e->size;
	if (t->sparse)
		r = make_sparse_map(t);
	t->stored = t->type == '0' ? t->map.size + entry_data_size(t->e) : 0;
	if (r == 0)
		r = add_pax_header(b, t, err);
	if (r == 0)
		r = add_main_header(b, t);
	return r < 0 ? r : buf_add(b, t->map.data, t->map.size);
}

/* A whiteout has no attributes; the opaque marker is one, too. */
static int add_one(struct buf *b, const struct entry *e, struct err *err)
{
	struct entry whiteout = {
		.path = e->path,
		.flags = ENTRY_WHITEOUT,
		.mode = S_IFREG,
	};
	_cleanup_buf_ struct buf path = BUF_INIT, target = BUF_INIT;
	struct tar_entry t = {
		.e = e->flags & ENTRY_WHITEOUT ? &whiteout : e,
	};
	int r;

	r = entry_type(t.e, &t.type, err);
	if (r == 0)
		r = check_entry(t.e, t.type, err);
	if (r == 0)
		r = make_names(&t, &path, &target, err);
	if (r == 0)
		r = add_headers(b, &t, err);
	buf_release(&t.map);
	buf_release(&t.records);
	return r;
}

static int add_opaque_marker(struct buf *b, const char *directory)
{
	struct entry marker = {.mode = S_IFREG};
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct tar_entry t = {.e = &marker, .type = '0'};
	int r;

	r = add_stored_path(&path, directory, "");
	if (r == 0 && *directory)
		r = buf_add_str(&path, "/");
	if (r == 0)
		r = buf_add_str(&path, TAR_OPAQUE_NAME);
	if (r < 0 || !buf_str(&path))
		return -ENOMEM;
	t.path = marker.path = buf_str(&path);
	r = add_headers(b, &t, NULL);
	buf_release(&t.records);
	return r;
}

int tar_add_header(struct buf *b, const struct entry *e, struct err *err)
{
	bool marker_only = e->flags == ENTRY_OPAQUE && !e->mode;
	size_t start = b->size;
	int r = 0;

	if (!marker_only)
		r = add_one(b, e, err);
	if (r == 0 &&
	    (marker_only || (e->flags & ENTRY_OPAQUE && S_ISDIR(e->mode))))
		r = add_opaque_marker(b, e->path);
	if (r < 0)
		b->size = start;
	return r == -ENOMEM ? err_oom(err) : r;
}

int tar_add_end(struct buf *b)
{
	return buf_add_zero(b, 2 * TAR_BLOCK);
}
