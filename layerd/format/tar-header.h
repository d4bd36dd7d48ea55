/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The header blocks of one entry as they are in the tarball: names as raw bytes
 * and what pax records say exactly. libarchive 3.6 converts names by locale,
 * cuts them at NUL bytes, gets times before 1970 wrong, drops the first
 * linkpath of an archive and takes permissions from the text of an ACL, where
 * the group's are not the mode's.
 */

#include "format/entry.h"
#include "util/buf.h"
#include "util/error.h"

struct tar_header {
	char type;	 /* typeflag of the last header block */
	bool map_inside; /* GNU sparse 1.0: the map is in front of the data */
	uint64_t end;	 /* offset behind the last header block */
	uint64_t stored; /* bytes that follow it, as header or record say */
	uint32_t mode;	 /* permission bits */

	struct buf path;   /* NUL-terminated, not empty */
	struct buf target; /* NUL-terminated, "" where there is none */

	bool has_mtime; /* a record gave it */
	int64_t mtime;
	uint32_t mtime_nsec;

	/* Of SCHILY.xattr and LIBARCHIVE.xattr records, and ACLs that are there
	 * as text only; sorted, no name twice, valid until the next read. */
	struct xattr *xattrs;
	size_t n_xattrs;

	struct buf records; /* backs all that comes from records */
	struct buf acls[2];
	size_t xattrs_alloc;
};

#define TAR_HEADER_INIT                                                        \
	(struct tar_header)                                                    \
	{                                                                      \
		0                                                              \
	}

void tar_header_release(struct tar_header *h);

/*
 * Reads the blocks of the entry that begins at start and whose payload, as
 * libarchive says, begins at payload. h is reused from entry to entry. -EBADMSG
 * with a sentence for what is malformed or does not fit in between.
 */
int tar_header_read(struct tar_header *h, int fd, uint64_t start,
		    uint64_t payload, struct err *err);
