/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: every byte of a file is where it was, whatever becomes of its
 * holes. */
#include "volume/convert.h"

#include "format/archive-reader.h"
#include "format/cpio-reader.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

#define REPORT_EVERY 256 /* entries */

static int copy_from_cpio(struct layer_build *b, struct cpio_reader *reader,
			  struct err *err)
{
	for (;;) {
		size_t room;
		void *to = pipeline_space(b->pipeline, &room, err);
		ssize_t n;
		int r;

		if (!to)
			return -ENOMEM;
		n = cpio_reader_data(reader, to, room, err);
		if (n <= 0)
			return (int)n;
		r = pipeline_advance(b->pipeline, (size_t)n, err);
		if (r < 0)
			return r;
	}
}

int convert_cpio(struct layer_build *b, struct archive_input *in,
		 struct err *err)
{
	_cleanup_(cpio_reader_freep) struct cpio_reader *reader = NULL;
	struct entry e;
	int r;

	if (cpio_reader_new(&reader, in) < 0)
		return err_oom(err);
	while ((r = cpio_reader_next(reader, &e, err)) == 0) {
		uint64_t size = entry_data_size(&e);

		r = layer_build_header(b, &e, err);
		if (r == 0 && size)
			r = copy_from_cpio(b, reader, err);
		if (r == 0 && size)
			r = layer_build_end_data(b, &e, err);
		if (r == 0)
			r = layer_build_index(b, &e, err);
		if (r < 0)
			return r;
	}
	return r == CPIO_READER_END ? 0 : r;
}

struct convert {
	struct layer_build *build;
	int tar_fd;
	uint64_t size;
	const struct progress *progress;
	uint64_t entries;
	struct extent *extents;
	size_t alloc;
};

/* Runs that an index can have, with all the data in them. */
static int widen(struct convert *c, struct entry *e, struct err *err)
{
	uint64_t unit = entry_hole_unit(e->size, e->extents, e->n_extents);

	if (e->n_extents > c->alloc) {
		struct extent *x = reallocarray(c->extents, e->n_extents,
						sizeof(*c->extents));

		if (!x)
			return err_oom(err);
		c->extents = x;
		c->alloc = e->n_extents;
	}
	if (e->n_extents)
		memcpy(c->extents, e->extents,
		       e->n_extents * sizeof(*e->extents));
	e->n_extents =
		entry_widen_extents(c->extents, e->n_extents, unit, e->size);
	e->extents = c->extents;
	e->sparse = e->n_extents != 1 || c->extents[0].length != e->size;
	return 0;
}

static int write_zeros(struct convert *c, uint64_t size, struct err *err)
{
	int r = 0;

	while (r == 0 && size) {
		size_t n = (size_t)MIN(size, UINT64_C(1) << 20);

		r = pipeline_zeros(c->build->pipeline, n, err);
		size -= n;
	}
	return r;
}

/* Where old has the bytes of the wider run, and zeros where it has none. *i and
 * *at go on from run to run. */
static int copy_run(struct convert *c, const struct extent *run,
		    const struct entry *old, size_t *i, uint64_t *at,
		    struct err *err)
{
	uint64_t from = run->offset, end = run->offset + run->length;
	int r = 0;

	for (; r == 0 && *i < old->n_extents; (*i)++) {
		const struct extent *x = &old->extents[*i];

		if (x->offset >= end)
			break;
		r = write_zeros(c, x->offset - from, err);
		if (r == 0)
			r = layer_build_copy(c->build, c->tar_fd, *at,
					     x->length, err);
		*at += x->length;
		from = x->offset + x->length;
	}
	return r < 0 ? r : write_zeros(c, end - from, err);
}

static int copy_data(struct convert *c, const struct entry *e,
		     const struct entry *old, struct err *err)
{
	const struct extent whole = {0, e->size};
	uint64_t at = old->payload;
	size_t i = 0;
	int r = 0;

	if (!old->sparse)
		return layer_build_copy(c->build, c->tar_fd, at, old->size,
					err);
	if (!e->sparse)
		return copy_run(c, &whole, old, &i, &at, err);
	for (size_t n = 0; r == 0 && n < e->n_extents; n++)
		r = copy_run(c, &e->extents[n], old, &i, &at, err);
	return r;
}

static int convert_entry(const struct entry *old, void *ctx, struct err *err)
{
	struct convert *c = ctx;
	struct entry e = *old;
	int r = 0;

	/* The mark of a directory that is there; below it nothing is. */
	if (old->flags == ENTRY_OPAQUE && old->mode == 0)
		return 0;
	if (!erofs_writer_takes_holes(old))
		r = widen(c, &e, err);
	if (r == 0 && c->entries++ % REPORT_EVERY == 0)
		r = progress_report(c->build->host, c->progress, "convert",
				    old->payload, old->payload ? c->size : 0,
				    c->entries);
	if (r == 0)
		r = layer_build_header(c->build, &e, err);
	if (r == 0 && entry_data_size(&e))
		r = copy_data(c, &e, old, err);
	if (r == 0 && entry_data_size(&e))
		r = layer_build_end_data(c->build, &e, err);
	return r < 0 ? r : layer_build_index(c->build, &e, err);
}

int convert_tar(struct layer_build *b, int tar_fd, uint64_t size,
		const struct progress *progress, struct err *err)
{
	struct convert c = {
		.build = b,
		.tar_fd = tar_fd,
		.size = size,
		.progress = progress,
	};
	int r = archive_read_entries(tar_fd, size, ARCHIVE_FOREIGN,
				     convert_entry, &c, err);

	free(c.extents);
	return r;
}
