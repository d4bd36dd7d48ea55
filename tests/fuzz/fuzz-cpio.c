/* SPDX-License-Identifier: Apache-2.0 */
/* cpio archives: what is delivered must be what a tarball and an index take,
 * and links must lead to what came before. */
#include "entry-path.h"
#include "fuzz.h"

#include "format/cpio-reader.h"
#include "format/tar-writer.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

bool fuzz_refused;

struct source {
	const uint8_t *data;
	size_t size;
};

static ssize_t read_some(void *data, size_t size, void *ctx, struct err *err)
{
	struct source *s = ctx;
	size_t n = MIN(size, s->size);

	if (n)
		memcpy(data, s->data, n);
	s->data += n;
	s->size -= n;
	return (ssize_t)n;
}

static int check_entry(struct cpio_reader *r, const struct entry *e,
		       struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	uint8_t data[100];
	uint64_t sum = 0;
	ssize_t n;
	int t;

	check_path(e->path);
	if (e->flags & ENTRY_HARDLINK)
		check_path(e->target);
	t = tar_add_header(&b, e, err);
	must(t == 0 || t == -EINVAL || t == -ENOMEM);
	if (!S_ISREG(e->mode) || e->flags || strlen(e->path) % 2 == 0)
		return 0;
	while ((n = cpio_reader_data(r, data, sizeof(data), err)) > 0)
		sum += (uint64_t)n;
	must(n < 0 || sum == e->size);
	return (int)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source s = {data, size};
	const struct archive_source source = {read_some, &s, "input"};
	_cleanup_(archive_input_freep) struct archive_input *in = NULL;
	_cleanup_(cpio_reader_freep) struct cpio_reader *r = NULL;
	struct err err = ERR_INIT;
	struct entry e;
	int f = archive_input_open(&in, &source, &err);

	if (f == 0 && (archive_input_kind(in) != ARCHIVE_CPIO ||
		       archive_input_compression(in)))
		f = -EBADMSG;
	if (f == 0)
		f = cpio_reader_new(&r, in);
	while (f == 0) {
		f = cpio_reader_next(r, &e, &err);
		if (f == 0)
			f = check_entry(r, &e, &err);
	}
	fuzz_refused = f < 0;
	return 0;
}
