/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tarballs, read as ours and as foreign; refused when neither is accepted. What
 * is delivered must keep the promises of archive-reader.c, and the writer must
 * take it. A second round has its checksums right, else a fuzzer would hardly
 * get past them.
 */
#include "entry-path.h"
#include "fuzz.h"

#include "format/archive-reader.h"
#include "format/tar-writer.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

bool fuzz_refused;

static void check_data(const struct entry *e, uint64_t tar_size)
{
	uint64_t end = 0;

	for (size_t i = 0; i < e->n_extents; i++) {
		must(e->sparse && e->extents[i].length);
		must(i ? e->extents[i].offset > end : true);
		must(e->extents[i].offset <= e->size &&
		     e->extents[i].length <= e->size - e->extents[i].offset);
		end = e->extents[i].offset + e->extents[i].length;
	}
	must(e->payload <= tar_size &&
	     entry_data_size(e) <= tar_size - e->payload);
}

static int on_entry(const struct entry *e, void *ctx, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r;

	check_path(e->path);
	if (e->flags & ENTRY_HARDLINK)
		check_path(e->target);
	for (size_t i = 0; i + 1 < e->n_xattrs; i++)
		must(strcmp(e->xattrs[i].name, e->xattrs[i + 1].name) < 0);
	must(e->flags || S_ISREG(e->mode) || S_ISDIR(e->mode) ||
	     S_ISLNK(e->mode) || S_ISCHR(e->mode) || S_ISBLK(e->mode) ||
	     S_ISFIFO(e->mode));
	must(e->mtime_nsec < 1000000000);
	check_data(e, *(const uint64_t *)ctx);
	r = tar_add_header(&b, e, err);
	/* Device numbers and amounts of attributes that no Linux has. */
	must(r == 0 || r == -EINVAL || r == -E2BIG || r == -ENOMEM);
	return 0;
}

static bool is_refused(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("archive", MFD_CLOEXEC);
	uint64_t tar_size = size;
	int sealed, foreign;

	if (fd < 0 || write_full(fd, data, size) < 0)
		abort();
	sealed = archive_read_entries(fd, size, ARCHIVE_SEALED, on_entry,
				      &tar_size, NULL);
	foreign = archive_read_entries(fd, size, ARCHIVE_FOREIGN, on_entry,
				       &tar_size, NULL);
	return sealed < 0 && foreign < 0;
}

/* Makes the sums of all that looks like a header right. */
static void fix_checksums(uint8_t *data, size_t size)
{
	for (uint8_t *h = data; size >= TAR_BLOCK; h += TAR_BLOCK) {
		unsigned int sum = 8 * ' ';

		size -= TAR_BLOCK;
		if (memcmp(h + 257, "ustar", 5) != 0)
			continue;
		for (size_t i = 0; i < TAR_BLOCK; i++)
			sum += i >= 148 && i < 156 ? 0 : h[i];
		(void)snprintf((char *)h + 148, 8, "%06o", sum);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *fixed = malloc(size + 1);

	if (!fixed)
		abort();
	fuzz_refused = is_refused(data, size);
	if (size)
		memcpy(fixed, data, size);
	fix_checksums(fixed, size);
	(void)is_refused(fixed, size);
	return 0;
}
