/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is an index. What the check accepts must be what the writer makes
 * from its own entries, byte for byte; what it refuses may be walked and
 * searched, which ends. A second round makes the head right, else a fuzzer that
 * changes the size or a count would never get past its checksum.
 */
#include "fuzz.h"

#include "format/erofs-format.h"
#include "format/erofs-reader.h"
#include "format/erofs-writer.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <sys/mman.h>

bool fuzz_refused;

static int add_entry(const struct entry *e, uint64_t nid, void *ctx,
		     struct err *err)
{
	return erofs_writer_add(ctx, e, err);
}

static void rebuild(struct erofs_reader *r, const uint8_t *data, size_t size)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *w = NULL;
	_cleanup_close_ int fd = memfd_create("index", MFD_CLOEXEC);
	_cleanup_free_ uint8_t *again = malloc(size);
	uint64_t n;

	if (fd < 0 || !again || erofs_writer_new(&w) < 0)
		abort();
	if (erofs_reader_walk(r, "", add_entry, w, NULL) < 0 ||
	    erofs_writer_finish(w, erofs_reader_tar(r),
				erofs_reader_tar_size(r), fd, &n, NULL) < 0)
		abort();
	if (n != size || pread_full(fd, again, size, 0) < 0 ||
	    memcmp(again, data, size) != 0)
		abort();
}

/* Entries that were walked are found, as long as the image does not say the
 * same name twice. */
static int find_entry(const struct entry *e, uint64_t nid, void *ctx,
		      struct err *err)
{
	struct entry found;
	uint64_t found_nid;
	int r = erofs_reader_lookup(ctx, e->path, &found, &found_nid, err);

	return r == -ENOENT ? 0 : r;
}

static void try(const uint8_t *data, size_t size)
{
	_cleanup_(erofs_reader_freep) struct erofs_reader *r = NULL;
	struct err err = ERR_INIT;

	if (erofs_reader_open(&r, data, size, &err) < 0) {
		if (!err.code)
			abort();
		fuzz_refused = true;
		return;
	}
	if (erofs_reader_check(r, erofs_reader_tar(r), erofs_reader_tar_size(r),
			       &err) == 0) {
		rebuild(r, data, size);
		return;
	}
	if (!err.code)
		abort();
	fuzz_refused = true;
	(void)erofs_reader_walk(r, "", find_entry, r, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t whole = size / EROFS_IMAGE_ALIGN * EROFS_IMAGE_ALIGN;
	_cleanup_free_ uint8_t *copy = NULL;
	struct erofs_head head = {.root_nid = EROFS_FIRST_NID};
	struct erofs_super super;
	bool refused;

	fuzz_refused = false;
	try(data, size);
	refused = fuzz_refused;
	if (!whole)
		return 0;
	copy = malloc(whole);
	if (!copy)
		abort();
	memcpy(copy, data, whole);
	memcpy(&super, copy + EROFS_SUPER_OFFSET, sizeof(super));
	head.inodes = le64toh(super.inodes);
	head.root_nid = le16toh(super.root_nid);
	head.blocks = (uint32_t)(whole / EROFS_BLOCK);
	head.tar_blocks = 1 << 20;
	erofs_head_encode(&head, copy);
	try(copy, whole);
	fuzz_refused = refused;
	return 0;
}
