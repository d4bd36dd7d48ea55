/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What writer and reader of the index must agree on: the head of the image and
 * where each thing goes. The reader checks an image by doing the same sums.
 */

#include "format/erofs-format.h"

#include "util/cleanup.h"

#include <string.h>

/* crc32c as Linux's crc32c() computes it: reflected, no final inversion. */
static uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t size)
{
	while (size--) {
		crc ^= *data++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

void erofs_head_encode(const struct erofs_head *h,
		       uint8_t out[static EROFS_HEAD_SIZE])
{
	struct erofs_super super = {
		.magic = htole32(EROFS_MAGIC),
		.feature_compat =
			htole32(EROFS_COMPAT_CHECKSUM | EROFS_COMPAT_MTIME),
		.block_bits = EROFS_BLOCK_BITS,
		.root_nid = htole16(h->root_nid),
		.inodes = htole64(h->inodes),
		.blocks = htole32(h->blocks),
		.feature_incompat = htole32(EROFS_INCOMPAT_CHUNKED |
					    EROFS_INCOMPAT_DEVICES),
		.devices = htole16(1),
		.device_slot = htole16(EROFS_DEVICE_OFFSET /
				       sizeof(struct erofs_device)),
	};
	struct erofs_device device = {.blocks = htole32(h->tar_blocks)};
	char hex[DIGEST_HEX_SIZE];

	memcpy(super.uuid, h->tar.bytes, sizeof(super.uuid));
	memcpy(device.tag, digest_hex(&h->tar, hex), sizeof(device.tag));
	memset(out, 0, EROFS_HEAD_SIZE);
	memcpy(out + EROFS_SUPER_OFFSET, &super, sizeof(super));
	memcpy(out + EROFS_DEVICE_OFFSET, &device, sizeof(device));

	/* With blocks of at most 1024 bytes the sum is over one block from the
	 * superblock on, with the checksum's own field as zeros. */
	super.checksum =
		htole32(crc32c(~0u, out + EROFS_SUPER_OFFSET, EROFS_BLOCK));
	memcpy(out + EROFS_SUPER_OFFSET, &super, sizeof(super));
}

uint8_t erofs_file_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFLNK:
		return 7;
	default:
		return 0;
	}
}

uint32_t erofs_rdev_encode(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

struct erofs_flat erofs_flat(uint32_t mode, uint64_t size, uint32_t xattr_bytes)
{
	struct erofs_flat flat = {
		.blocks = size / EROFS_BLOCK,
		.tail = (uint32_t)(size % EROFS_BLOCK),
	};
	bool fits = xattr_bytes % EROFS_SLOT + flat.tail <= EROFS_BLOCK;

	if (flat.tail && (!fits || (S_ISLNK(mode) && flat.blocks))) {
		flat.blocks++;
		flat.tail = 0;
	}
	return flat;
}

uint64_t erofs_place(uint64_t cursor, uint32_t xattr_bytes, uint32_t tail)
{
	uint64_t at = erofs_align(cursor, EROFS_SLOT);

	while ((at + sizeof(struct erofs_inode) + xattr_bytes) % EROFS_BLOCK +
		       tail >
	       EROFS_BLOCK)
		at += EROFS_SLOT;
	return at;
}

static unsigned limit_bits(unsigned bits, uint64_t boundary, uint64_t size)
{
	if (boundary == 0 || boundary == size)
		return bits;
	return MIN(bits,
		   (unsigned)__builtin_ctzll(boundary) - EROFS_BLOCK_BITS);
}

unsigned erofs_chunk_bits(uint64_t size, bool sparse,
			  const struct extent *extents, size_t n)
{
	unsigned bits = 0;

	while (bits < EROFS_CHUNK_BITS_MAX &&
	       (size - 1) >> EROFS_BLOCK_BITS >> bits)
		bits++;
	if (!sparse)
		return bits;
	for (size_t i = 0; i < n; i++) {
		bits = limit_bits(bits, extents[i].offset, size);
		bits = limit_bits(bits, extents[i].offset + extents[i].length,
				  size);
	}
	return bits;
}

static const struct erofs_prefix prefixes[] = {
	{"user.", 5, 1, false},
	{"system.posix_acl_access", 23, 2, true},
	{"system.posix_acl_default", 24, 3, true},
	{"trusted.", 8, EROFS_XATTR_TRUSTED, false},
	{"security.", 9, 6, false},
};

const struct erofs_prefix *erofs_prefix_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		const struct erofs_prefix *p = &prefixes[i];

		if (strncmp(name, p->text, p->length) == 0 &&
		    p->exact == !name[p->length])
			return p;
	}
	return NULL;
}

const struct erofs_prefix *erofs_prefix_at(uint8_t index)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (prefixes[i].index == index)
			return &prefixes[i];
	return NULL;
}
