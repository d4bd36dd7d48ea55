/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACLs in a tarball are there twice, raw and as text, so that each of GNU tar's
 * --xattrs and --acls restores them; foreign archives may have the text alone.
 *
 * The attribute's value, little-endian:
 *   0  4  version, 2
 *   4  8  entries: tag (2), permissions (2), user or group id (4); the id of
 *         entries that name nobody is 0xffffffff
 *
 * The kernel wants entries by ascending tag; ids are ordered as well, so that
 * equal ACLs have equal bytes.
 */
#include "format/posix-acl.h"

#include "util/cleanup.h"
#include "util/cursor.h"

#include <errno.h>
#include <string.h>

#define ACL_VERSION 2u
#define ACL_NO_ID UINT32_MAX
#define ACL_ENTRIES_MAX 8191 /* what fits in a value of 64 KiB */

struct acl_entry {
	uint16_t tag;
	uint16_t perm;
	uint32_t id;
};

/* Tags as in posix_acl.h; each kind's "named" tag is the next power of two. */
static const struct acl_kind {
	const char *name;
	uint16_t tag;
	uint16_t named; /* 0: entries of this kind name nobody */
} acl_kinds[] = {
	{"user", 0x01, 0x02},
	{"group", 0x04, 0x08},
	{"mask", 0x10, 0},
	{"other", 0x20, 0},
};

static int add_entry_text(const struct acl_entry *e, bool first, struct buf *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(acl_kinds); i++) {
		const struct acl_kind *k = &acl_kinds[i];
		char id[16] = "";

		if (e->tag != k->tag && (!k->named || e->tag != k->named))
			continue;
		if (e->tag == k->named)
			(void)snprintf(id, sizeof(id), "%u", e->id);
		return buf_printf(b, "%s%s:%s:%c%c%c", first ? "" : ",",
				  k->name, id, e->perm & 4 ? 'r' : '-',
				  e->perm & 2 ? 'w' : '-',
				  e->perm & 1 ? 'x' : '-');
	}
	return -EINVAL;
}

int posix_acl_to_text(const void *value, size_t size, struct buf *b)
{
	struct cursor c = CURSOR_INIT(value, size);
	size_t start = b->size;
	int r = 0;

	if (cursor_le32(&c) != ACL_VERSION || !c.left || c.left % 8)
		return -EINVAL;
	while (r == 0 && c.left) {
		struct acl_entry e;
		bool first = b->size == start;

		e.tag = cursor_le16(&c);
		e.perm = cursor_le16(&c);
		e.id = cursor_le32(&c);
		r = e.perm > 7 ? -EINVAL : add_entry_text(&e, first, b);
	}
	if (r < 0)
		b->size = start;
	return r;
}

static int parse_id(const char *s, size_t n, uint32_t *ret)
{
	uint64_t id = 0;

	if (n == 0 || n > 10)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
		id = id * 10 + (uint64_t)(s[i] - '0');
	}
	if (id >= ACL_NO_ID)
		return -EINVAL;
	*ret = (uint32_t)id;
	return 0;
}

static int parse_perm(const char *s, size_t n, uint16_t *ret)
{
	static const char letters[] = "rwx";

	if (n != 3)
		return -EINVAL;
	*ret = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == letters[i])
			*ret |= (uint16_t)(4u >> i);
		else if (s[i] != '-')
			return -EINVAL;
	}
	return 0;
}

/* A kind's whole name or its first letter. */
static const struct acl_kind *find_kind(const char *s, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(acl_kinds); i++) {
		const char *name = acl_kinds[i].name;

		if ((n == 1 && *s == *name) ||
		    (n == strlen(name) && memcmp(s, name, n) == 0))
			return &acl_kinds[i];
	}
	return NULL;
}

/* KIND:[NAME]:PERMISSIONS[:ID] */
static int parse_entry(const char *s, size_t n, struct acl_entry *ret)
{
	const char *field[4] = {s};
	size_t length[4] = {0}, fields = 1;
	const struct acl_kind *kind;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (s[i] != ':') {
			length[fields - 1]++;
			continue;
		}
		if (fields == ARRAY_SIZE(field))
			return -EINVAL;
		field[fields++] = s + i + 1;
	}
	kind = find_kind(field[0], length[0]);
	if (!kind || fields < 3 || parse_perm(field[2], length[2], &ret->perm))
		return -EINVAL;
	ret->tag = kind->tag;
	ret->id = ACL_NO_ID;
	if (!length[1])
		return 0;
	if (!kind->named)
		return -EINVAL;
	ret->tag = kind->named;
	r = parse_id(field[1], length[1], &ret->id);
	if (r < 0 && fields == 4)
		r = parse_id(field[3], length[3], &ret->id);
	return r;
}

static int compare_entries(const void *a, const void *b)
{
	const struct acl_entry *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return 0;
}

static int add_value(const struct acl_entry *entries, size_t n, struct buf *b)
{
	int r = buf_add_le32(b, ACL_VERSION);

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = buf_add_le16(b, entries[i].tag);
		if (r == 0)
			r = buf_add_le16(b, entries[i].perm);
		if (r == 0)
			r = buf_add_le32(b, entries[i].id);
	}
	return r;
}

int posix_acl_from_text(const char *text, size_t size, struct buf *b)
{
	_cleanup_free_ struct acl_entry *entries = NULL;
	size_t start = b->size, most = 1, n = 0;
	int r = 0;

	for (size_t i = 0; i < size; i++)
		most += text[i] == ',' || text[i] == '\n';
	if (most > ACL_ENTRIES_MAX)
		return -EINVAL;
	entries = calloc(most, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < size;) {
		size_t end = i;

		while (end < size && text[end] != ',' && text[end] != '\n')
			end++;
		if (end > i)
			r = parse_entry(text + i, end - i, &entries[n++]);
		i = end + 1;
	}
	if (r < 0 || n == 0)
		return -EINVAL;
	qsort(entries, n, sizeof(*entries), compare_entries);
	r = add_value(entries, n, b);
	if (r < 0)
		b->size = start;
	return r;
}
