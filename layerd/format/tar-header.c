/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libarchive finds the entries of a tarball and where their payload is; this
 * reads the same blocks once more for the bytes that it loses. Both must agree
 * on where the blocks end, or the tarball is refused: what two readers see
 * differently is an attack or damage.
 *
 * Blocks in front of the last one, by typeflag (offset 156), each with a body
 * of its size padded to 512 bytes: 'x' and 'X' records, 'g' global records (not
 * used by anybody for what we need), 'L' and 'K' GNU's long path and target,
 * 'A' Solaris' ACL; 'V' GNU's volume label has none. tar-writer.c has the last
 * block's table. A record is "LENGTH KEYWORD=VALUE\n"; an empty value takes
 * back what the header says.
 */
#include "format/tar-header.h"

#include "format/pax-record.h"
#include "format/pax-xattr.h"
#include "format/tar-block.h"
#include "format/tar-writer.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <string.h>

#define SPECIAL_BLOCKS_MAX 16
#define SPECIAL_SIZE_MAX (1u << 20) /* libarchive's own bound */

void tar_header_release(struct tar_header *h)
{
	buf_release(&h->path);
	buf_release(&h->target);
	buf_release(&h->records);
	buf_release(&h->acls[0]);
	buf_release(&h->acls[1]);
	free(h->xattrs);
	*h = TAR_HEADER_INIT;
}

static void reset(struct tar_header *h)
{
	h->map_inside = false;
	h->has_mtime = false;
	h->path.size = h->target.size = h->records.size = 0;
	h->acls[0].size = h->acls[1].size = 0;
	h->n_xattrs = 0;
}

static int malformed(uint64_t start, const char *what, struct err *err)
{
	return err_set(err, EBADMSG,
		       "the tar entry at byte %llu has %s; the tarball is "
		       "damaged or not one",
		       (unsigned long long)start, what);
}

/* "-1.5" is a second and a half before 1970; digits after the ninth are below
 * what any file system keeps. */
static int parse_mtime(const char *s, size_t n, struct tar_header *h)
{
	bool negative = n && *s == '-';
	const char *dot;
	uint64_t seconds, fraction = 0;
	size_t whole, digits;
	uint32_t nsec = 0;

	s += negative;
	n -= negative;
	dot = memchr(s, '.', n);
	whole = dot ? (size_t)(dot - s) : n;
	if (pax_decimal(s, whole, (uint64_t)INT64_MAX + negative, &seconds) < 0)
		return -EBADMSG;
	if (dot) {
		digits = MIN(n - whole - 1, (size_t)9);
		for (size_t i = whole + 1; i < n; i++)
			if (s[i] < '0' || s[i] > '9')
				return -EBADMSG;
		if (digits &&
		    pax_decimal(dot + 1, digits, INT64_MAX, &fraction) < 0)
			return -EBADMSG;
		for (; digits < 9; digits++)
			fraction *= 10;
		nsec = (uint32_t)fraction;
	}
	h->mtime = (int64_t)(negative ? 0 - seconds : seconds);
	if (negative && nsec) {
		if (h->mtime == INT64_MIN)
			return -EBADMSG;
		h->mtime--;
		nsec = 1000000000u - nsec;
	}
	h->mtime_nsec = nsec;
	h->has_mtime = true;
	return 0;
}

static int set_name(struct buf *name, const void *bytes, size_t size)
{
	if (memchr(bytes, 0, size))
		return -EBADMSG;
	name->size = 0;
	return buf_add(name, bytes, size);
}

/* Records of names are applied after all others: GNU.sparse.name wins over
 * path wherever it stands. */
struct names {
	struct pax_record path;
	struct pax_record sparse;
	struct pax_record target;
};

static int apply_record(struct tar_header *h, struct pax_record *r,
			struct names *names)
{
	if (strcmp(r->keyword, "path") == 0)
		names->path = *r;
	else if (strcmp(r->keyword, "GNU.sparse.name") == 0)
		names->sparse = *r;
	else if (strcmp(r->keyword, "linkpath") == 0)
		names->target = *r;
	else if (strcmp(r->keyword, "GNU.sparse.major") == 0)
		h->map_inside = strcmp(r->value, "1") == 0;
	else if (strcmp(r->keyword, "size") == 0 && r->size)
		return pax_decimal(r->value, r->size, INT64_MAX, &h->stored);
	else if (strcmp(r->keyword, "mtime") == 0 && r->size)
		return parse_mtime(r->value, r->size, h);
	else
		return pax_xattr_add(h, r->keyword, r->value, r->size);
	return 0;
}

/* After the header's own fields, which records override. */
static int apply_records(struct tar_header *h)
{
	char *p = (char *)h->records.data, *end;
	struct names names = {0};
	struct pax_record record;
	int r = 0;

	if (!h->records.size)
		return 0;
	end = p + h->records.size;
	while (r == 0 && p < end) {
		r = pax_record_next(&p, end, &record);
		if (r == 0)
			r = apply_record(h, &record, &names);
	}
	if (names.sparse.size)
		names.path = names.sparse;
	if (r == 0 && names.path.size)
		r = set_name(&h->path, names.path.value, names.path.size);
	if (r == 0 && names.target.size)
		r = set_name(&h->target, names.target.value, names.target.size);
	return r < 0 ? r : pax_xattr_finish(h);
}

static int read_special(struct tar_header *h, int fd, uint64_t offset,
			uint64_t size, char type)
{
	struct buf *to = type == 'L'   ? &h->path
			 : type == 'K' ? &h->target
				       : &h->records;
	int r;

	if (type == 'g' || type == 'A')
		return 0;
	/* Readers differ on which of two would count. */
	if (to->size)
		return -EBADMSG;
	r = buf_reserve(to, size);
	if (r < 0)
		return r;
	r = pread_full(fd, to->data, size, offset);
	if (r < 0)
		return r == -ENODATA ? -EBADMSG : r;
	to->size = size;
	if (to != &h->records)
		to->size = strnlen((char *)to->data, size);
	return 0;
}

/* The names of the last block, unless GNU's long ones came before it. */
static int header_names(struct tar_header *h, const uint8_t *block)
{
	const char *name = (const char *)block + TAR_AT_NAME;
	const char *prefix = (const char *)block + TAR_AT_PREFIX;
	const char *target = (const char *)block + TAR_AT_TARGET;
	bool posix = memcmp(block + TAR_AT_MAGIC, "ustar", 5) == 0 &&
		     memcmp(block + TAR_AT_MAGIC, "ustar  \0", 8) != 0;
	int r = 0;

	if (!h->path.size) {
		if (posix && *prefix) {
			size_t n = strnlen(prefix, TAR_PREFIX_SIZE);

			r = buf_add(&h->path, prefix, n);
			if (r == 0 && prefix[n - 1] != '/')
				r = buf_add_str(&h->path, "/");
		}
		if (r == 0)
			r = buf_add(&h->path, name,
				    strnlen(name, TAR_NAME_SIZE));
	}
	if (r == 0 && !h->target.size)
		r = buf_add(&h->target, target, strnlen(target, TAR_NAME_SIZE));
	return r;
}

static int read_blocks(struct tar_header *h, int fd, uint64_t start,
		       uint64_t payload)
{
	uint64_t size, mode;

	h->end = start;
	for (int i = 0; i <= SPECIAL_BLOCKS_MAX; i++) {
		uint8_t block[TAR_BLOCK];
		int r;

		if (h->end > payload || payload - h->end < TAR_BLOCK)
			return -EBADMSG;
		r = pread_full(fd, block, sizeof(block), h->end);
		if (r < 0)
			return r == -ENODATA ? -EBADMSG : r;
		h->end += TAR_BLOCK;
		h->type = (char)block[TAR_AT_TYPE];
		if (tar_number(block + TAR_AT_SIZE, TAR_SIZE_SIZE, &size) < 0 ||
		    tar_number(block + TAR_AT_MODE, TAR_MODE_SIZE, &mode) < 0)
			return -EBADMSG;
		if (h->type == 'V')
			continue;
		if (!tar_is_special(h->type)) {
			h->stored = size;
			h->mode = (uint32_t)mode & 07777;
			return header_names(h, block);
		}
		if (size > SPECIAL_SIZE_MAX)
			return -EBADMSG;
		r = read_special(h, fd, h->end, size, h->type);
		if (r < 0)
			return r;
		h->end += size + tar_padding(size);
	}
	return -EBADMSG;
}

int tar_header_read(struct tar_header *h, int fd, uint64_t start,
		    uint64_t payload, struct err *err)
{
	bool has_map;
	int r;

	reset(h);
	r = read_blocks(h, fd, start, payload);
	if (r == -EBADMSG)
		return malformed(start, "broken header blocks", err);
	if (r == 0)
		r = apply_records(h);
	if (r == -EBADMSG)
		return malformed(start, "broken pax records", err);
	if (r == -ENOMEM ||
	    (r == 0 && (!buf_str(&h->path) || !buf_str(&h->target))))
		return err_oom(err);
	if (r < 0)
		return err_errno(err, r,
				 "cannot read the tar entry at byte %llu",
				 (unsigned long long)start);
	has_map = h->type == 'S' || h->map_inside;
	if (!h->path.size)
		return malformed(start, "no name", err);
	if (has_map ? payload < h->end : payload != h->end)
		return malformed(start, "headers that can be read in two ways",
				 err);
	return 0;
}
