/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The headers of cpio's formats, see cpio-header.c. */

#include <stdbool.h>
#include <stdint.h>

#define CPIO_HEADER_MAX 110u
#define CPIO_MAGIC_SIZE 6u /* the longest; every header is longer */

/* Numbers of a header, in the order of newc. */
enum cpio_field {
	CPIO_INODE,
	CPIO_MODE,
	CPIO_UID,
	CPIO_GID,
	CPIO_LINKS,
	CPIO_MTIME,
	CPIO_SIZE,
	CPIO_DEVICE_MAJOR,
	CPIO_DEVICE_MINOR,
	CPIO_RDEV_MAJOR,
	CPIO_RDEV_MINOR,
	CPIO_NAME,
	CPIO_CHECK,
	CPIO_COUNT,
};

struct cpio_layout {
	const char *magic;
	uint8_t magic_size;
	uint8_t size; /* of the header */
	uint8_t align;
	bool big_endian; /* binary words */
	bool data_last;	 /* data comes with the last of several names */
	bool has_check;	 /* the sum of the data's bytes */
};

/* By the first CPIO_MAGIC_SIZE bytes; NULL for none. */
const struct cpio_layout *cpio_layout_find(const uint8_t *header);

/* Fills all fields; what a format does not have is 0. False for a digit that is
 * none. */
bool cpio_header_parse(const struct cpio_layout *l, const uint8_t *header,
		       uint64_t fields[static CPIO_COUNT]);
