/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers, each followed by a name that ends with NUL and by the data. Widths
 * in digits; odc is octal, newc and crc ("070702") are hexadecimal:
 *
 *   odc   magic 6, device, inode, mode, uid, gid, links, rdev 6 each, mtime 11,
 *         name 6, size 11; nothing is padded
 *   newc  magic 6, inode, mode, uid, gid, links, mtime, size, device major,
 *         minor, rdev major, minor, name, checksum 8 each; header and name
 *         together, and the data, are padded to 4
 *   bin   16-bit words: magic 070707, device, inode, mode, uid, gid, links,
 *         rdev, mtime (high word first), name, size (high word first); name
 *         and data are padded to 2
 */
#include "format/cpio-header.h"

#include "util/cleanup.h"

#include <string.h>

static const struct cpio_layout layouts[] = {
	{"070707", 6, 76, 1, false, false, false},
	{"070701", 6, 110, 4, false, true, false},
	{"070702", 6, 110, 4, false, true, true},
	{"\xc7\x71", 2, 26, 2, false, false, false},
	{"\x71\xc7", 2, 26, 2, true, false, false},
};

const struct cpio_layout *cpio_layout_find(const uint8_t *header)
{
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++)
		if (memcmp(header, layouts[i].magic, layouts[i].magic_size) ==
		    0)
			return &layouts[i];
	return NULL;
}

static bool parse_digits(const uint8_t *p, size_t n, unsigned int base,
			 uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned int c = p[i], digit = base;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			digit = c - 'A' + 10;
		if (digit >= base)
			return false;
		v = v * base + digit;
	}
	*ret = v;
	return true;
}

static bool parse_newc(const uint8_t *h, uint64_t *fields)
{
	for (int i = 0; i < CPIO_COUNT; i++)
		if (!parse_digits(h + 6 + 8 * i, 8, 16, &fields[i]))
			return false;
	return true;
}

/* odc and bin have fields in this order, and one number for a device. */
static const enum cpio_field old_order[] = {
	CPIO_DEVICE_MINOR, CPIO_INODE,	    CPIO_MODE,	CPIO_UID,  CPIO_GID,
	CPIO_LINKS,	   CPIO_RDEV_MINOR, CPIO_MTIME, CPIO_NAME, CPIO_SIZE,
};

static bool is_long(enum cpio_field f)
{
	return f == CPIO_MTIME || f == CPIO_SIZE;
}

static void split_device(uint64_t *fields)
{
	fields[CPIO_RDEV_MAJOR] = fields[CPIO_RDEV_MINOR] >> 8;
	fields[CPIO_RDEV_MINOR] &= 0xff;
}

static bool parse_odc(const uint8_t *h, uint64_t *fields)
{
	h += 6;
	for (size_t i = 0; i < ARRAY_SIZE(old_order); i++) {
		size_t n = is_long(old_order[i]) ? 11 : 6;

		if (!parse_digits(h, n, 8, &fields[old_order[i]]))
			return false;
		h += n;
	}
	split_device(fields);
	return true;
}

static uint64_t word(const struct cpio_layout *l, const uint8_t *p)
{
	return l->big_endian ? (uint64_t)p[0] << 8 | p[1]
			     : (uint64_t)p[1] << 8 | p[0];
}

static bool parse_bin(const struct cpio_layout *l, const uint8_t *h,
		      uint64_t *fields)
{
	h += 2;
	for (size_t i = 0; i < ARRAY_SIZE(old_order); i++) {
		uint64_t *field = &fields[old_order[i]];

		*field = word(l, h);
		h += 2;
		if (is_long(old_order[i])) {
			*field = *field << 16 | word(l, h);
			h += 2;
		}
	}
	split_device(fields);
	return true;
}

bool cpio_header_parse(const struct cpio_layout *l, const uint8_t *header,
		       uint64_t fields[static CPIO_COUNT])
{
	memset(fields, 0, CPIO_COUNT * sizeof(*fields));
	if (l->magic_size == 2)
		return parse_bin(l, header, fields);
	return l->align == 4 ? parse_newc(header, fields)
			     : parse_odc(header, fields);
}
