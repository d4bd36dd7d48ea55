/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is what a session captured. Walking it ends within the bytes there
 * are, and what a writer could have made is written again the same. A second
 * round makes the digest right, else a fuzzer would never get past it.
 */
#include "fuzz.h"

#include "util/cleanup.h"
#include "util/digest.h"
#include "util/fd.h"
#include "volume/captured.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* See captured.c. */
#define HEADER_SIZE 24u
#define RECORD_SIZE 52u

bool fuzz_refused;

static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("captured", MFD_CLOEXEC);

	if (fd < 0 || write_full(fd, data, size) < 0)
		abort();
	return fd;
}

/* Reads every byte of every record; how many bytes they take. */
static size_t walk(struct captured_reader *r, struct captured_writer *w)
{
	const struct captured *c;
	size_t size = 0;

	while ((c = captured_peek(r))) {
		uint64_t offset;

		if (captured_add(w, c, &offset) < 0 ||
		    offset != HEADER_SIZE + size)
			abort();
		size += RECORD_SIZE + c->name_size;
		captured_next(r);
	}
	captured_next(r);
	if (captured_peek(r))
		abort();
	return size;
}

/* Steps over subtrees: each step ends at a record that is not deeper. */
static void skip_all(struct captured_reader *r)
{
	const struct captured *c;

	while ((c = captured_peek(r))) {
		uint16_t depth = c->depth;

		captured_skip(r);
		c = captured_peek(r);
		if (c && c->depth > depth)
			abort();
	}
}

static void compare(int fd, const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *again = malloc(size);

	if (!again || pread_full(fd, again, size, 0) < 0 ||
	    memcmp(again, data, size) != 0)
		abort();
}

static bool try(const uint8_t *data, size_t size)
{
	_cleanup_(captured_reader_freep) struct captured_reader *r = NULL;
	_cleanup_(captured_writer_freep) struct captured_writer *w = NULL;
	_cleanup_close_ int fd = file_of(data, size);
	_cleanup_close_ int copy = memfd_create("copy", MFD_CLOEXEC);
	struct err err = ERR_INIT;
	uint64_t count;
	size_t used;
	int e = captured_reader_open(&r, fd, &err);

	if (e < 0 && (e != -EBADMSG || !err.code))
		abort();
	if (e < 0)
		return false;
	if (copy < 0 || captured_writer_new(&w, copy) < 0)
		abort();
	used = walk(r, w);
	if (HEADER_SIZE + used + DIGEST_SIZE > size)
		abort();
	if (captured_finish(w, captured_stamp(r)) < 0)
		abort();
	/* Fewer records than are promised, or bytes behind them: not ours. */
	if (HEADER_SIZE + used + DIGEST_SIZE == size) {
		memcpy(&count, data + 16, sizeof(count));
		if (pwrite_full(copy, &count, sizeof(count), 16) < 0)
			abort();
		compare(copy, data, size - DIGEST_SIZE);
	}
	r = captured_reader_free(r);
	if (captured_reader_open(&r, fd, NULL) < 0)
		abort();
	skip_all(r);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *copy = NULL;
	struct digest d;

	fuzz_refused = !try(data, size);
	if (size < DIGEST_SIZE)
		return 0;
	copy = malloc(size);
	if (!copy || digest_of(data, size - DIGEST_SIZE, &d) < 0)
		abort();
	memcpy(copy, data, size - DIGEST_SIZE);
	memcpy(copy + size - DIGEST_SIZE, d.bytes, DIGEST_SIZE);
	(void)try(copy, size);
	return 0;
}
