/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An archive as it comes in, from a file or a pipe: what it is, and its bytes
 * without the compression. Nothing is read twice, and nothing is believed of a
 * file's name.
 */

#include "util/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum archive_kind {
	ARCHIVE_TAR,  /* v7, ustar, pax or GNU */
	ARCHIVE_CPIO, /* see cpio-reader.h */
};

/* Where the bytes come from. read fills up to size bytes and returns how many,
 * 0 at the end, or a negative errno with err filled. */
struct archive_source {
	ssize_t (*read)(void *data, size_t size, void *ctx, struct err *err);
	void *ctx;
	const char *name; /* for sentences; outlives the input */
};

struct archive_input;

/*
 * Reads the beginning and tells what it is. -EINVAL with a sentence for what is
 * empty or no archive that is known, -EBADMSG for what is damaged; what was
 * read is lost then. One compression is taken off, not several.
 */
int archive_input_open(struct archive_input **ret,
		       const struct archive_source *source, struct err *err);
struct archive_input *archive_input_free(struct archive_input *in);
void archive_input_freep(struct archive_input **in);

enum archive_kind archive_input_kind(const struct archive_input *in);

/* "gzip", "bzip2", "xz", "zstd", "lz4"; NULL for none. */
const char *archive_input_compression(const struct archive_input *in);

/*
 * The next bytes of the archive itself, at most size; 0 at its end. Without
 * compression they go straight from the source to data. -EBADMSG for damaged or
 * cut off compressed data. Blocks as the source does.
 */
ssize_t archive_input_read(struct archive_input *in, void *data, size_t size,
			   struct err *err);

/* All of size bytes; -ENODATA without a sentence when the archive ends before.
 */
int archive_input_read_full(struct archive_input *in, void *data, size_t size,
			    struct err *err);
