/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One object of a layer: what a tar entry, an inode of the index and an object
 * in an upper directory have in common. An entry borrows all that it points to.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Linux's own limits (limits.h): XATTR_SIZE_MAX, XATTR_LIST_MAX, PATH_MAX. A
 * stored path may be longer than PATH_MAX, as trees can be built step by step;
 * ENTRY_PATH_MAX bounds what readers accept. */
#define ENTRY_NAME_MAX 255
#define ENTRY_PATH_MAX 65535
#define ENTRY_TARGET_MAX 4095
#define ENTRY_XATTR_SIZE_MAX 65536
#define ENTRY_XATTRS_MAX 4096

/* Extended attribute: name with its namespace ("user.x"), any bytes as value.
 */
struct xattr {
	const char *name;
	const void *value;
	size_t size;
};

/* A run of data in a sparse file, by offset in the file. */
struct extent {
	uint64_t offset;
	uint64_t length;
};

enum entry_flags {
	/* Another name of the file at target, which precedes it. */
	ENTRY_HARDLINK = 1 << 0,
	/* Hides path in the layers below; no attributes of its own. */
	ENTRY_WHITEOUT = 1 << 1,
	/* A directory that hides all that the layers below have in it. An entry
	 * with this flag alone and mode 0 comes from an opaque marker, which
	 * follows its directory in a tarball: it marks the directory at path
	 * and leaves its attributes as they are. */
	ENTRY_OPAQUE = 1 << 2,
};

struct entry {
	const char *path; /* relative, no "." or ".."; "" is the root */
	uint32_t flags;
	uint32_t mode; /* type and permissions as in st_mode */
	uint32_t uid, gid;
	int64_t mtime; /* seconds since 1970, may be negative */
	uint32_t mtime_nsec;
	uint32_t rdev_major, rdev_minor; /* block and character devices */
	const char *target; /* symbolic link, or path of a hard link's file */
	uint64_t size;	    /* regular files: length including holes */

	/* Sorted by name, no name twice. */
	const struct xattr *xattrs;
	size_t n_xattrs;

	/*
	 * Sparse files: the data runs, ascending, not touching, none empty;
	 * what is between them reads as zeros. A sparse file without data has
	 * sparse set and no extents. Files without holes leave sparse false.
	 */
	bool sparse;
	const struct extent *extents;
	size_t n_extents;

	/*
	 * Regular files with data: where in the tarball the first data byte
	 * is. A sparse file's runs follow one another from there without gaps.
	 */
	uint64_t payload;
};

/* Bytes of data that the tarball holds for e: the size, or the runs' sum. */
uint64_t entry_data_size(const struct entry *e);

/*
 * The order of entries in a layer: path order by bytes, with '/' before every
 * other byte, so that a directory comes right before all that is in it. <0, 0,
 * >0 as strcmp().
 */
int entry_path_compare(const char *a, const char *b);

/*
 * Granularity for the holes of a sparse file: index tables are bounded, so the
 * runs of a file are widened to multiples of this power of two (at least 4096).
 * It is the largest that represents every hole exactly or, where that would
 * need more than ENTRY_CHUNKS_MAX table rows, the smallest that does not.
 * extents: as the file system reports them.
 */
#define ENTRY_CHUNKS_MAX 65536
uint64_t entry_hole_unit(uint64_t size, const struct extent *extents, size_t n);

/*
 * Widens runs in place to multiples of unit (the last one ends at size at most)
 * and joins those that then touch. Returns how many are left.
 */
size_t entry_widen_extents(struct extent *extents, size_t n, uint64_t unit,
			   uint64_t size);
