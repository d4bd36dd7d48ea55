/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The index on disk: the part of EROFS (Linux, fs/erofs/erofs_fs.h) that we
 * write, which is also all that we accept. One set of entries and one tarball
 * have exactly one image; the reader refuses every other.
 *
 *   0      zeros
 *   1024   superblock, 128 bytes
 *   1152   the device slot of the tarball, 128 bytes (slot 9)
 *   1280   zeros; the superblock's checksum covers 1024 to 1535
 *   1536   inodes, in the order in which a walk in path order first meets
 *          them, the root first, each at the next multiple of 32
 *          bytes at which its inline tail does not cross a block boundary:
 *            64 bytes inode
 *            extended attributes, if any: 12 bytes header, entries
 *            regular file: at the next multiple of 8, the chunk indexes
 *            directory, symbolic link: the inline tail, if any
 *   ...    at the next block, the blocks of directories and of symbolic links
 *          that are not inline, in the same order
 *   ...    zeros up to a multiple of 4096 bytes
 *
 * A nid is an inode's offset in units of 32 bytes. All inodes are of the
 * extended kind and uncompressed. What EROFS leaves open is fixed as follows.
 *
 * Regular files: the chunk size is the smallest power of two that covers the
 * file (at most 2^40) or, with holes, the largest that divides each end of a
 * data run other than the file's own. Empty files are flat and have no block.
 * Directories: the last, partial block is inline where it fits into a block
 * behind its inode; a block holds as many names as fit. Symbolic links are
 * inline as a whole or not at all.
 * Attributes: overlayfs's marks, then the entry's own, sorted by full name.
 */

#include "format/entry.h"
#include "util/digest.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define EROFS_SUPER_OFFSET 1024u
#define EROFS_DEVICE_OFFSET 1152u
#define EROFS_HEAD_SIZE 1536u
#define EROFS_MAGIC 0xe0f5e1e2u
#define EROFS_BLOCK_BITS 9u
#define EROFS_BLOCK 512u
#define EROFS_SLOT 32u
#define EROFS_IMAGE_ALIGN 4096u
#define EROFS_FIRST_NID (EROFS_HEAD_SIZE / EROFS_SLOT)

#define EROFS_COMPAT_CHECKSUM 0x1u
#define EROFS_COMPAT_MTIME 0x2u
#define EROFS_INCOMPAT_CHUNKED 0x4u
#define EROFS_INCOMPAT_DEVICES 0x8u

struct erofs_super {
	uint32_t magic;
	uint32_t checksum; /* crc32c, without the final inversion */
	uint32_t feature_compat;
	uint8_t block_bits;
	uint8_t ext_slots;
	uint16_t root_nid;
	uint64_t inodes;
	uint64_t build_time;
	uint32_t build_time_nsec;
	uint32_t blocks; /* of the image */
	uint32_t meta_block;
	uint32_t xattr_block;
	uint8_t uuid[16];
	uint8_t volume_name[16];
	uint32_t feature_incompat;
	uint16_t compression;
	uint16_t devices;
	uint16_t device_slot;
	uint8_t dir_block_bits;
	uint8_t xattr_prefixes;
	uint32_t xattr_prefix_start;
	uint64_t packed_nid;
	uint8_t reserved[24];
};
_Static_assert(sizeof(struct erofs_super) == 128, "EROFS superblock");

struct erofs_device {
	uint8_t tag[64]; /* the tarball's SHA-256 in hex */
	uint32_t blocks;
	uint32_t mapped_block;
	uint8_t reserved[56];
};
_Static_assert(sizeof(struct erofs_device) == 128, "EROFS device slot");

/* Data layouts, bits 1 to 3 of the format; bit 0 says "extended inode". */
enum erofs_layout {
	EROFS_FLAT_PLAIN = 0,
	EROFS_FLAT_INLINE = 2,
	EROFS_CHUNK_BASED = 4,
};
#define EROFS_FORMAT(layout) ((uint16_t)((layout) << 1 | 1))

struct erofs_inode {
	uint16_t format;
	uint16_t xattr_count; /* (bytes - 12) / 4 + 1, or 0 for none */
	uint16_t mode;
	uint16_t reserved;
	uint64_t size;
	uint32_t u; /* first block, device number, or chunk format */
	uint32_t ino;
	uint32_t uid;
	uint32_t gid;
	uint64_t mtime; /* two's complement */
	uint32_t mtime_nsec;
	uint32_t nlink;
	uint8_t reserved2[16];
};
_Static_assert(sizeof(struct erofs_inode) == 64, "EROFS extended inode");

/* Chunk format: low 5 bits are the chunk size's bits beyond a block's. */
#define EROFS_CHUNK_BITS_MAX 31u
#define EROFS_CHUNK_INDEXES 0x20u
#define EROFS_NULL_BLOCK UINT32_MAX

struct erofs_chunk {
	uint16_t advise;
	uint16_t device; /* 1 */
	uint32_t block;	 /* EROFS_NULL_BLOCK is a hole, with device 0 */
};
_Static_assert(sizeof(struct erofs_chunk) == 8, "EROFS chunk index");

/* A block of a directory: these, then the names in the same order. */
struct erofs_dirent {
	uint64_t nid;
	uint16_t name_offset;
	uint8_t type;
	uint8_t reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_dirent) == 12, "EROFS directory entry");
/* A shortest name takes 13 bytes. */
#define EROFS_BLOCK_NAMES (EROFS_BLOCK / (sizeof(struct erofs_dirent) + 1))

#define EROFS_XATTR_HEADER 12u
#define EROFS_XATTR_BYTES_MAX (EROFS_XATTR_HEADER + 4u * (UINT16_MAX - 1u))

struct erofs_xattr {
	uint8_t name_length; /* behind the prefix that index stands for */
	uint8_t index;
	uint16_t value_size;
	/* name, value, zeros up to a multiple of 4 */
};
_Static_assert(sizeof(struct erofs_xattr) == 4, "EROFS extended attribute");

/* The first EROFS_HEAD_SIZE bytes are a function of these. */
struct erofs_head {
	struct digest tar;
	uint32_t tar_blocks;
	uint32_t blocks;
	uint64_t inodes;
	uint16_t root_nid;
};
void erofs_head_encode(const struct erofs_head *h,
		       uint8_t out[static EROFS_HEAD_SIZE]);

/* The type byte of a directory entry; 0 for a mode that we do not store. */
uint8_t erofs_file_type(uint32_t mode);

/* Device numbers as new_encode_dev() of Linux has them. */
#define EROFS_MAJOR_MAX 0xfffu
#define EROFS_MINOR_MAX 0xfffffu
uint32_t erofs_rdev_encode(uint32_t major, uint32_t minor);

/* How size bytes of a directory or symbolic link are stored. */
struct erofs_flat {
	uint64_t blocks;
	uint32_t tail; /* inline bytes */
};
struct erofs_flat erofs_flat(uint32_t mode, uint64_t size,
			     uint32_t xattr_bytes);

/* Offset of an inode that may start at cursor or behind it. */
uint64_t erofs_place(uint64_t cursor, uint32_t xattr_bytes, uint32_t tail);

/* Bits of the chunk size beyond EROFS_BLOCK_BITS; size is not 0. */
unsigned erofs_chunk_bits(uint64_t size, bool sparse,
			  const struct extent *extents, size_t n);

/* Prefixes of attribute names. exact: the prefix is the whole name. */
struct erofs_prefix {
	const char *text;
	uint8_t length;
	uint8_t index;
	bool exact;
};
/* By full name; NULL for an attribute that is left out. */
const struct erofs_prefix *erofs_prefix_of(const char *name);
/* By index; NULL for an unknown one. */
const struct erofs_prefix *erofs_prefix_at(uint8_t index);

/* What overlayfs reads and we write, as stored behind "trusted.". */
#define EROFS_XATTR_TRUSTED 4u
#define EROFS_MARK_OPAQUE "overlay.opaque"
#define EROFS_MARK_ORIGIN "overlay.origin"
#define EROFS_OVERLAY "overlay."
#define EROFS_OVERLAY_LENGTH 8u

static inline uint64_t erofs_align(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static inline uint32_t erofs_xattr_size(uint32_t name, uint32_t value)
{
	return (uint32_t)erofs_align(sizeof(struct erofs_xattr) + name + value,
				     4);
}

/* Order of names in a directory: bytes, a prefix before what it begins. */
static inline int erofs_name_compare(const void *a, size_t a_length,
				     const void *b, size_t b_length)
{
	int r = memcmp(a, b, a_length < b_length ? a_length : b_length);

	if (r)
		return r;
	return a_length < b_length ? -1 : a_length > b_length;
}
