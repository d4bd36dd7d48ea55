/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the last seal of a session captured of its upper directory, in the order
 * of the walk, so that the next seal finds what changed by one merge of two
 * sorted streams.
 *
 * The file sessions/<id>/captured.N:
 *
 *   0   8  magic "LYRCAPT1"
 *   8   8  stamp: clock before the walk, nanoseconds since 1970, signed
 *  16   8  number of records
 *  24      records
 *  end 32  SHA-256 of all before it
 *
 * A record:
 *   0   2  depth          2   2  length of the name
 *   4   4  mode           8   4  uid          12  4  gid      16  4  flags
 *  20   8  inode         28   8  ctime, nanoseconds, signed
 *  36   8  size          44   8  hash of the redirect
 *  52      name
 */

#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum captured_flags {
	CAPTURED_WHITEOUT = 1 << 0,
	CAPTURED_OPAQUE = 1 << 1,
};

struct captured {
	uint16_t depth; /* 0 is the root, whose name is empty */
	uint16_t name_size;
	const char *name; /* not terminated */
	uint32_t mode;
	uint32_t uid, gid;
	uint32_t flags;
	uint64_t inode;
	int64_t ctime_ns; /* nanoseconds since 1970 */
	uint64_t size;
	uint64_t redirect; /* hash of the redirect, 0 if none */
};

struct captured_writer;

/* Writes to fd from its start; fd stays the caller's. */
int captured_writer_new(struct captured_writer **ret, int fd);
struct captured_writer *captured_writer_free(struct captured_writer *w);
void captured_writer_freep(struct captured_writer **w);

/* *ret_offset names the record for captured_patch(). */
int captured_add(struct captured_writer *w, const struct captured *c,
		 uint64_t *ret_offset);

/* Replaces the attributes (not the name) of a record. */
int captured_patch(struct captured_writer *w, uint64_t offset,
		   const struct captured *c);

/* Completes and syncs the file. stamp_ns: the clock before the walk began. */
int captured_finish(struct captured_writer *w, int64_t stamp_ns);

struct captured_reader;

/* Maps and checks the whole file. -EBADMSG with a sentence. */
int captured_reader_open(struct captured_reader **ret, int fd, struct err *err);
struct captured_reader *captured_reader_free(struct captured_reader *r);
void captured_reader_freep(struct captured_reader **r);
int64_t captured_stamp(const struct captured_reader *r);

/* The current record, NULL at the end; and the step to the next. */
const struct captured *captured_peek(const struct captured_reader *r);
void captured_next(struct captured_reader *r);

/* Steps over the current record and all below it. */
void captured_skip(struct captured_reader *r);
