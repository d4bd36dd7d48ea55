/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The file "present" of a cached layer: what of it is there, and whether that
 * survives a power cut.
 *
 * The marker "present", 176 bytes, little-endian:
 *
 *   offset  size  what
 *        0     8  "LYRPRSNT"
 *        8     4  version, 2
 *       12     4  state: 1 whole in the boot below, 2 whole and synced
 *       16    16  boot id (/proc/sys/kernel/random/boot_id) of the writer
 *       32     8  size of the tarball
 *       40     8  size of the index
 *       48    32  SHA-256 of the tarball
 *       80    32  SHA-256 of the layer object
 *      112     8  inode number of the tarball
 *      120     8  its ctime, nanoseconds since 1970 in two's complement
 *      128     8  inode number of the index
 *      136     8  its ctime
 *      144    32  SHA-256 of everything before
 *
 * A marker that was cut short or mixed by a power cut fails its checksum, and
 * one that reached the disk ahead of the data says state 1 and an old boot.
 */

#include "util/digest.h"
#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define PRESENT_SIZE 176u
#define PRESENT_BOOT_ID_SIZE 16u

enum present_state {
	/* Whole, but perhaps in memory only: believed in the same boot. */
	PRESENT_IN_BOOT = 1,
	/* Whole and on the disk. */
	PRESENT_SYNCED = 2,
};

/* Which file it was, and in what state: a file that took its place, or was
 * written to, differs. */
struct present_file {
	uint64_t inode;
	int64_t ctime_ns; /* since 1970 */
};

struct present {
	enum present_state state;
	uint8_t boot_id[PRESENT_BOOT_ID_SIZE]; /* of the writer */
	struct digest tar;
	struct digest object;
	uint64_t tar_size;
	uint64_t index_size;
	struct present_file tar_file;
	struct present_file index_file;
};

struct present_file present_file_of(const struct stat *st);

/* -ENOMEM. */
int present_encode(const struct present *p, uint8_t data[static PRESENT_SIZE]);

/* -EBADMSG with a sentence for anything that present_encode() did not make. */
int present_decode(const uint8_t *data, size_t size, struct present *ret,
		   struct err *err);

/* The id of this boot. */
int present_boot_id(uint8_t id[static PRESENT_BOOT_ID_SIZE]);

/* Whether it tells of a whole layer, in the boot with this id. */
bool present_believed(const struct present *p,
		      const uint8_t boot_id[static PRESENT_BOOT_ID_SIZE]);
