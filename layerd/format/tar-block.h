/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The 512-byte header block that all variants of tar share, with the offsets of
 * its fields (POSIX.1-2017, pax, "ustar Interchange Format"), and what its
 * numbers say.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tar_at {
	TAR_AT_NAME = 0,
	TAR_AT_MODE = 100,
	TAR_AT_SIZE = 124,
	TAR_AT_CHECKSUM = 148,
	TAR_AT_TYPE = 156,
	TAR_AT_TARGET = 157,
	TAR_AT_MAGIC = 257,
	TAR_AT_PREFIX = 345,
	TAR_AT_MORE = 482,	/* GNU sparse: blocks of the map follow */
	TAR_AT_MORE_NEXT = 504, /* the same in such a block */
	TAR_NAME_SIZE = 100,
	TAR_MODE_SIZE = 8,
	TAR_SIZE_SIZE = 12,
	TAR_CHECKSUM_SIZE = 8,
	TAR_PREFIX_SIZE = 155,
};

/* Octal, or base 256 where the first bit is set (GNU). -EBADMSG beyond 2^63-1.
 */
int tar_number(const uint8_t *field, size_t size, uint64_t *ret);

/* Whether the block is a header: its sum of bytes, signed as old tars have it
 * or not, is the one it states. */
bool tar_is_header(const uint8_t *block);

/* Nothing but zeros: one of the two blocks that end an archive. */
bool tar_is_zero(const uint8_t *block);

/* Blocks in front of an entry's own header, with a body that belongs to that.
 */
bool tar_is_special(char type);
