/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   source -> [ head ] -> decoder, if any -> [ first ] -> reader
 *
 * What must hold: the bytes that were looked at to tell what it is come first
 * again; only the decoder that was chosen here ever sees data, and never a
 * program that libarchive would start; memory is bounded whatever a compressed
 * file asks for.
 */
#include "format/archive-input.h"

#include "format/cpio-header.h"
#include "format/tar-block.h"
#include "format/tar-writer.h"
#include "format/xz-decoder.h"
#include "util/cleanup.h"

#include <archive.h>
#include <errno.h>
#include <string.h>

/* So much is looked at; also the most that an archive of nothing but zeros has.
 */
#define HEAD_SIZE (64u << 10)
#define READ_SIZE (256u << 10)

#define KNOWN                                                                  \
	"known are tar (v7, ustar, pax, GNU) and cpio (odc, newc, crc, bin), " \
	"plain or compressed with gzip, bzip2, xz, zstd or lz4"

struct compression {
	const char *name;
	const char *magic;
	size_t size;
	int (*support)(struct archive *a); /* NULL: xz */
};

static const struct compression compressions[] = {
	{"gzip", "\x1f\x8b", 2, archive_read_support_filter_gzip},
	{"bzip2", "BZh", 3, archive_read_support_filter_bzip2},
	{"xz",
	 "\xfd"
	 "7zXZ",
	 6, NULL},
	{"zstd", "\x28\xb5\x2f\xfd", 4, archive_read_support_filter_zstd},
	{"lz4", "\x04\x22\x4d\x18", 4, archive_read_support_filter_lz4},
};

/* Bytes that were read ahead. */
struct ahead {
	uint8_t data[HEAD_SIZE + 1];
	size_t at;
	size_t size;
};

struct archive_input {
	struct archive_source source;
	struct err *err; /* of the call at hand */
	const struct compression *compression;
	enum archive_kind kind;
	struct ahead head;  /* of the source */
	struct ahead first; /* of the archive */
	struct archive *archive;
	const uint8_t *block; /* of libarchive: what is left of it */
	size_t block_size;
	struct xz_decoder *xz;
	const uint8_t *packed; /* for xz: what is left in in */
	size_t packed_size;
	bool source_ended;
	bool ended; /* what the decoder makes */
	int failed; /* errno of the source, negative */
	uint8_t in[READ_SIZE];
};

static ssize_t take(struct ahead *a, void *data, size_t size)
{
	size_t n = MIN(size, a->size - a->at);

	memcpy(data, a->data + a->at, n);
	a->at += n;
	return (ssize_t)n;
}

static ssize_t read_source(struct archive_input *in, void *data, size_t size)
{
	if (in->head.at < in->head.size)
		return take(&in->head, data, size);
	return in->source.read(data, size, in->source.ctx, in->err);
}

static int damaged(struct archive_input *in, const char *text)
{
	return err_set(in->err, EBADMSG,
		       "%s cannot be unpacked: its %s data is damaged or cut "
		       "off (%s)",
		       in->source.name, in->compression->name, text);
}

static la_ssize_t on_read(struct archive *a, void *ctx, const void **ret)
{
	struct archive_input *in = ctx;
	ssize_t n = read_source(in, in->in, sizeof(in->in));

	*ret = in->in;
	if (n < 0) {
		in->failed = (int)n;
		archive_set_error(a, (int)-n, "cannot be read");
	}
	return n;
}

static int archive_failed(struct archive_input *in)
{
	const char *text = archive_error_string(in->archive);

	if (in->failed)
		return in->failed;
	if (archive_errno(in->archive) == ENOMEM)
		return err_oom(in->err);
	return damaged(in, text ? text : "malformed");
}

/* libarchive takes several layers off where there are. */
static int open_filter(struct archive_input *in)
{
	struct archive_entry *entry;
	struct archive *a = archive_read_new();
	int r;

	in->archive = a;
	if (!a)
		return err_oom(in->err);
	if (archive_read_support_format_raw(a) != ARCHIVE_OK ||
	    archive_read_support_format_empty(a) != ARCHIVE_OK ||
	    in->compression->support(a) != ARCHIVE_OK)
		return err_set(in->err, EOPNOTSUPP,
			       "%s is compressed with %s, which this host's "
			       "libarchive cannot unpack",
			       in->source.name, in->compression->name);
	if (archive_read_set_callback_data(a, in) != ARCHIVE_OK ||
	    archive_read_set_read_callback(a, on_read) != ARCHIVE_OK ||
	    archive_read_open1(a) != ARCHIVE_OK)
		return archive_failed(in);
	r = archive_read_next_header(a, &entry);
	in->ended = r == ARCHIVE_EOF;
	if (in->ended)
		return 0;
	if (r != ARCHIVE_OK)
		return archive_failed(in);
	if (archive_filter_count(a) > 2)
		return err_set(in->err, EINVAL,
			       "%s is compressed more than once; unpack it "
			       "with %s first",
			       in->source.name, in->compression->name);
	return 0;
}

static ssize_t read_filter(struct archive_input *in, void *data, size_t size)
{
	size_t n;

	while (!in->block_size) {
		la_int64_t offset;
		const void *block;
		int r = in->ended ? ARCHIVE_EOF
				  : archive_read_data_block(in->archive, &block,
							    &n, &offset);

		in->ended = r == ARCHIVE_EOF;
		if (in->ended)
			return 0;
		if (r != ARCHIVE_OK)
			return archive_failed(in);
		in->block = block;
		in->block_size = n;
	}
	n = MIN(size, in->block_size);
	memcpy(data, in->block, n);
	in->block += n;
	in->block_size -= n;
	return (ssize_t)n;
}

static ssize_t read_xz(struct archive_input *in, void *data, size_t size)
{
	size_t made = 0;
	int r = in->ended ? XZ_DECODER_END : 0;

	while (r == 0 && made == 0) {
		if (!in->packed_size && !in->source_ended) {
			ssize_t n = read_source(in, in->in, sizeof(in->in));

			if (n < 0)
				return n;
			in->packed = in->in;
			in->packed_size = (size_t)n;
			in->source_ended = n == 0;
		}
		r = xz_decoder_run(in->xz, &in->packed, &in->packed_size,
				   in->source_ended, data, size, &made);
	}
	in->ended = r == XZ_DECODER_END;
	if (r == -ENOMEM)
		return err_oom(in->err);
	if (r == -EFBIG)
		return err_set(in->err, EBADMSG,
			       "%s cannot be unpacked: it needs more than %u "
			       "MiB of memory for that",
			       in->source.name, XZ_MEMORY_MAX >> 20);
	return r < 0 ? damaged(in, "xz") : (ssize_t)made;
}

static ssize_t read_decoded(struct archive_input *in, void *data, size_t size)
{
	if (!in->compression)
		return read_source(in, data, size);
	return in->xz ? read_xz(in, data, size) : read_filter(in, data, size);
}

ssize_t archive_input_read(struct archive_input *in, void *data, size_t size,
			   struct err *err)
{
	struct err unused = ERR_INIT;

	if (in->first.at < in->first.size)
		return take(&in->first, data, size);
	in->err = err ? err : &unused;
	return read_decoded(in, data, size);
}

int archive_input_read_full(struct archive_input *in, void *data, size_t size,
			    struct err *err)
{
	uint8_t *p = data;

	while (size) {
		ssize_t n = archive_input_read(in, p, size, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return -ENODATA;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Reads ahead as far as there is room and something to read. */
static int look(struct archive_input *in, struct ahead *a,
		ssize_t (*read)(struct archive_input *in, void *data,
				size_t size))
{
	a->at = a->size; /* so that what is read is not taken from here */
	while (a->size < sizeof(a->data)) {
		ssize_t n =
			read(in, a->data + a->size, sizeof(a->data) - a->size);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		a->size += (size_t)n;
		a->at = a->size;
	}
	a->at = 0;
	return 0;
}

static bool is_zero(const uint8_t *data, size_t size)
{
	return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* Disk images begin with zeros, too: those of an archive without entries are
 * all there is. */
static bool is_tar(const struct ahead *a)
{
	if (a->size < TAR_BLOCK)
		return false;
	return tar_is_header(a->data) ||
	       (a->size <= HEAD_SIZE && is_zero(a->data, a->size));
}

static bool has_magic(const struct ahead *a, const char *magic, size_t size)
{
	return a->size >= size && memcmp(a->data, magic, size) == 0;
}

static bool is_cpio(const struct ahead *a)
{
	return a->size >= CPIO_MAGIC_SIZE && cpio_layout_find(a->data);
}

/* What an archive's own first bytes are; false for none that is known. */
static bool is_archive(const struct ahead *a, enum archive_kind *ret)
{
	*ret = is_tar(a) ? ARCHIVE_TAR : ARCHIVE_CPIO;
	return *ret == ARCHIVE_TAR || is_cpio(a);
}

static int open_decoder(struct archive_input *in)
{
	const struct compression *c = NULL;

	for (size_t i = 0; !c && i < ARRAY_SIZE(compressions); i++)
		if (has_magic(&in->head, compressions[i].magic,
			      compressions[i].size))
			c = &compressions[i];
	if (!c)
		return err_set(in->err, EINVAL,
			       "%s is no archive that layerd can read; " KNOWN,
			       in->source.name);
	in->compression = c;
	if (c->support)
		return open_filter(in);
	return xz_decoder_new(&in->xz) < 0 ? err_oom(in->err) : 0;
}

static int recognise(struct archive_input *in)
{
	int r = look(in, &in->head, read_source);

	if (r < 0)
		return r;
	if (!in->head.size)
		return err_set(in->err, EINVAL, "%s is empty, and no archive",
			       in->source.name);
	if (is_archive(&in->head, &in->kind))
		return 0;
	r = open_decoder(in);
	if (r == 0)
		r = look(in, &in->first, read_decoded);
	if (r == 0 && !is_archive(&in->first, &in->kind))
		r = err_set(in->err, EINVAL,
			    "%s is compressed with %s, but what is in it is no "
			    "archive that layerd can read; " KNOWN,
			    in->source.name, in->compression->name);
	return r;
}

int archive_input_open(struct archive_input **ret,
		       const struct archive_source *source, struct err *err)
{
	_cleanup_(archive_input_freep) struct archive_input *in = NULL;
	struct err unused = ERR_INIT;
	int r;

	in = calloc(1, sizeof(*in));
	if (!in)
		return err_oom(err);
	in->source = *source;
	in->err = err ? err : &unused;
	r = recognise(in);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(in);
	return 0;
}

struct archive_input *archive_input_free(struct archive_input *in)
{
	if (!in)
		return NULL;
	if (in->archive)
		(void)archive_read_free(in->archive);
	xz_decoder_free(in->xz);
	free(in);
	return NULL;
}

void archive_input_freep(struct archive_input **in)
{
	*in = archive_input_free(*in);
}

enum archive_kind archive_input_kind(const struct archive_input *in)
{
	return in->kind;
}

const char *archive_input_compression(const struct archive_input *in)
{
	return in->compression ? in->compression->name : NULL;
}
