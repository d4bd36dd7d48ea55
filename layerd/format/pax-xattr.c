/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that become extended attributes:
 *
 *   SCHILY.xattr.NAME=VALUE      star, GNU tar, Go, we. %3D and %25 in NAME
 *                                stand for '=' and '%' (GNU tar)
 *   LIBARCHIVE.xattr.NAME=VALUE  bsdtar: any %XX in NAME, VALUE in base 64
 *                                without padding
 *   SCHILY.acl.access=TEXT       see posix-acl.h; text that names somebody
 *   SCHILY.acl.default=TEXT      without a number is ignored: who that is, this
 *                                host does not know
 */
#include "format/pax-xattr.h"

#include "format/posix-acl.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

#define XATTR_NAME_SIZE_MAX 255 /* Linux, limits.h: XATTR_NAME_MAX */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that %XX at s stands for, 0 where it is none. With gnu only the two
 * that GNU tar makes count. */
static char decode_byte(const char *s, bool gnu)
{
	int high = s[0] == '%' ? hex_value(s[1]) : -1;
	int low = high >= 0 ? hex_value(s[2]) : -1;

	if (low < 0 ||
	    (gnu && strncmp(s, "%3D", 3) != 0 && strncmp(s, "%25", 3) != 0))
		return 0;
	return (char)(high * 16 + low);
}

static void decode_name(char *s, bool gnu)
{
	char *out = s;

	while (*s) {
		char c = decode_byte(s, gnu);

		*out++ = c ? c : *s;
		s += c ? 3 : 1;
	}
	*out = 0;
}

static int base64_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* In place; *size becomes that of the decoded bytes. */
static int decode_base64(char *s, size_t *size)
{
	uint32_t bits = 0;
	size_t n = *size, out = 0;
	unsigned int have = 0;

	while (n && (s[n - 1] == '=' || s[n - 1] == '\n'))
		n--;
	for (size_t i = 0; i < n; i++) {
		int v = base64_value(s[i]);

		if (v < 0)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		s[out++] = (char)(bits >> have);
		bits &= (1u << have) - 1;
	}
	*size = out;
	return 0;
}

static int append(struct tar_header *h, const char *name, const void *value,
		  size_t size)
{
	size_t length = strlen(name);

	if (!length || length > XATTR_NAME_SIZE_MAX ||
	    size > ENTRY_XATTR_SIZE_MAX || h->n_xattrs == ENTRY_XATTRS_MAX)
		return -EBADMSG;
	if (h->n_xattrs == h->xattrs_alloc) {
		size_t alloc = MAX(h->xattrs_alloc * 2, (size_t)16);
		struct xattr *x = reallocarray(h->xattrs, alloc, sizeof(*x));

		if (!x)
			return -ENOMEM;
		h->xattrs = x;
		h->xattrs_alloc = alloc;
	}
	h->xattrs[h->n_xattrs++] = (struct xattr){name, value, size};
	return 0;
}

static const char *after_prefix(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

int pax_xattr_add(struct tar_header *h, char *keyword, char *value, size_t size)
{
	char *name;
	int r;

	if ((name = (char *)after_prefix(keyword, "SCHILY.xattr."))) {
		decode_name(name, true);
		return append(h, name, value, size);
	}
	if ((name = (char *)after_prefix(keyword, "LIBARCHIVE.xattr."))) {
		decode_name(name, false);
		r = decode_base64(value, &size);
		return r < 0 ? r : append(h, name, value, size);
	}
	for (int i = 0; i < 2; i++) {
		struct buf *acl = &h->acls[i];

		if (strcmp(keyword,
			   i ? "SCHILY.acl.default" : "SCHILY.acl.access") != 0)
			continue;
		acl->size = 0;
		r = posix_acl_from_text(value, size, acl);
		return r == -EINVAL ? 0 : r;
	}
	return 0;
}

static bool has_xattr(const struct tar_header *h, const char *name)
{
	for (size_t i = 0; i < h->n_xattrs; i++)
		if (strcmp(h->xattrs[i].name, name) == 0)
			return true;
	return false;
}

/* Values lie in the records in their order, so the address tells which of two
 * equal names came last. */
static int compare_xattrs(const void *a, const void *b)
{
	const struct xattr *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	if (r)
		return r;
	return (const char *)x->value < (const char *)y->value ? -1 : 1;
}

int pax_xattr_finish(struct tar_header *h)
{
	static const char *const names[2] = {POSIX_ACL_ACCESS_XATTR,
					     POSIX_ACL_DEFAULT_XATTR};
	size_t kept = 0;

	for (int i = 0; i < 2; i++) {
		int r = 0;

		if (h->acls[i].size && !has_xattr(h, names[i]))
			r = append(h, names[i], h->acls[i].data,
				   h->acls[i].size);
		if (r < 0)
			return r;
	}
	if (h->n_xattrs)
		qsort(h->xattrs, h->n_xattrs, sizeof(*h->xattrs),
		      compare_xattrs);
	for (size_t i = 0; i < h->n_xattrs; i++)
		if (i + 1 == h->n_xattrs ||
		    strcmp(h->xattrs[i].name, h->xattrs[i + 1].name) != 0)
			h->xattrs[kept++] = h->xattrs[i];
	h->n_xattrs = kept;
	return 0;
}
