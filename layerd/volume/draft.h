/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a session shows now as one more layer on those it was sealed from: the
 * index of the layer that a seal would write, made from the same scan. There is
 * no tarball; data is read from the mount when it is asked for.
 */

#include "format/erofs-reader.h"
#include "volume/session.h"
#include "volume/tree.h"

#include <sys/stat.h>

struct draft;

/*
 * *ret and *ret_reader are set when anything changed since the last seal, and
 * are the caller's; the session must be locked and outlive *ret. Where its last
 * capture is lost, its sealed layers are changed: see unsealed_scan(). -EAGAIN:
 * the tree would not hold still.
 */
int draft_open(struct draft **ret, struct host *h, struct session *s,
	       const struct progress *progress,
	       struct erofs_reader **ret_reader, struct err *err);
struct draft *draft_free(struct draft *d);
void draft_freep(struct draft **d);

/* Reads what the file at path has at offset: fewer bytes than size at its end,
 * none when it is gone or no file any more. */
ssize_t draft_read(struct draft *d, const char *path, uint64_t offset, void *to,
		   size_t size, struct err *err);

/*
 * Where the data of the file at path, of size bytes, is in the version that the
 * session was made on: 1 when only its attributes were changed since, in place;
 * 0 when the data must be read. The entry is valid until the next call.
 */
int draft_find_data(struct draft *d, const char *path, uint64_t size,
		    struct tree **ret, struct tree_node *ret_node,
		    struct entry *ret_entry, struct err *err);

/* Opens the file at path as a locked session shows it now. -ENOENT without a
 * text; what is no regular file has an st_mode and no descriptor. */
int draft_open_file(struct host *h, struct session *s, const char *path,
		    const struct progress *progress, struct stat *ret_stat,
		    int *ret_fd, struct err *err);
