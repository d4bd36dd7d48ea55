/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reads a cpio archive as it streams by: entries and their data. The formats
 * are odc (POSIX.1-2017, pax, "cpio Interchange Format"), newc and crc of SVR4
 * and the old binary one in either byte order, which "cpio -o" still writes.
 */

#include "format/archive-input.h"
#include "format/entry.h"

struct cpio_reader;

/* in must outlive the reader and is read by nobody else. */
int cpio_reader_new(struct cpio_reader **ret, struct archive_input *in);
struct cpio_reader *cpio_reader_free(struct cpio_reader *r);
void cpio_reader_freep(struct cpio_reader **r);

/*
 * The next entry, valid until the next call; data that was not read is skipped.
 * CPIO_READER_END: there is none, and the archive was whole. -EBADMSG names
 * what is wrong.
 *
 * Paths are relative, without "" and "."; those with ".." are refused. Of a
 * file with several names the first that comes is the file, wherever in the
 * archive its data is, and the others are hard links to it. Sockets and
 * character devices 0:0 are passed over.
 */
#define CPIO_READER_END 1
int cpio_reader_next(struct cpio_reader *r, struct entry *ret, struct err *err);

/* Data of a regular file: at most size bytes, 0 behind the last. -EBADMSG where
 * it is cut off or contradicts its checksum. */
ssize_t cpio_reader_data(struct cpio_reader *r, void *data, size_t size,
			 struct err *err);
