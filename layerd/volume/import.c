/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   source -> decompress -> tar  -> pipeline, as it is -> index from the cache
 *                        -> cpio -> pipeline, as our tar, and index
 *
 * What must hold:
 *  1. The bytes that were hashed are those of the source, and the index is made
 *     from the very tarball that the layer's digest is of.
 *  2. The source is read once: what must be done again is done from the staged
 *     tarball.
 *  3. A source that is silent holds nobody up: the caller may go, the daemon
 *     may stop.
 */
#include "volume/import.h"

#include "format/archive-input.h"
#include "format/tar-cuts.h"
#include "util/cleanup.h"
#include "volume/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define READ_SIZE (1u << 20)
#define WAIT_MS 200
#define REPORT_EVERY 1024 /* entries */
#define TRIES 10

/* About seven million names. */
#define MEMORY_MAX (UINT64_C(1) << 30)

/* The callback found holes that cannot be indexed. */
#define UNFIT 1

struct import {
	struct host *host;
	const struct seal_options *options;
	const struct import_source *source;
	int fd; /* of the source; never blocks where it may be silent */
	bool is_socket;
	uint64_t total; /* bytes of the source; 0: not known */
	uint64_t done;
	struct layer_build build;
	uint64_t entries;
	bool unfit;
	bool converted;
	struct err *err;
};

static int report(struct import *im)
{
	return progress_report(im->host, im->options->progress, "import",
			       im->done, im->total, 0);
}

/* Until there is something to read, or the end. */
static int wait_for_source(struct import *im)
{
	struct pollfd p = {.fd = im->fd, .events = POLLIN};
	int r = 0;

	while (r == 0) {
		r = report(im);
		if (r < 0)
			return r;
		r = poll(&p, 1, WAIT_MS);
		if (r < 0 && errno == EINTR)
			r = 0;
		else if (r < 0)
			return -errno;
	}
	return 0;
}

static ssize_t read_source(void *data, size_t size, void *ctx, struct err *err)
{
	struct import *im = ctx;
	ssize_t n = -1;

	size = MIN(size, (size_t)READ_SIZE);
	while (n < 0) {
		int r = report(im);

		if (r < 0)
			return r;
		n = im->is_socket ? recv(im->fd, data, size, MSG_DONTWAIT)
				  : read(im->fd, data, size);
		if (n < 0 && errno == EAGAIN)
			r = wait_for_source(im);
		else if (n < 0 && errno != EINTR)
			r = err_errno(err, errno, "cannot read %s",
				      im->source->name);
		if (r < 0)
			return r;
	}
	im->done += (uint64_t)n;
	return n;
}

/* Others may read from a pipe, too, and take what poll(2) has seen; and they
 * would mind O_NONBLOCK on a description that is theirs. */
static int open_pipe(struct import *im, int *ret)
{
	char path[40];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", im->source->fd);
	*ret = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return *ret < 0 ? err_errno(im->err, errno, "cannot open %s once more",
				    im->source->name)
			: 0;
}

/* Files are read from where they stand, as a shell's redirection has it. */
static int look_at_source(struct import *im, int *ret_pipe)
{
	int fd = im->source->fd;
	struct stat st;
	off_t at;

	if (fstat(fd, &st) < 0)
		return err_errno(im->err, errno, "cannot look at %s",
				 im->source->name);
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) &&
	    !S_ISSOCK(st.st_mode))
		return err_set(im->err, EINVAL,
			       "%s is neither a file nor a pipe, from which an "
			       "archive could be read",
			       im->source->name);
	/* Nothing ever comes from these, and poll(2) would wait for it. */
	if ((fcntl(fd, F_GETFL) & (O_ACCMODE | O_PATH)) == O_WRONLY)
		return err_set(im->err, EINVAL,
			       "%s is open for writing only; open it for "
			       "reading",
			       im->source->name);
	im->fd = fd;
	im->is_socket = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode)) {
		int r = open_pipe(im, ret_pipe);

		im->fd = *ret_pipe;
		return r;
	}
	if (im->is_socket)
		return 0;
	at = lseek(fd, 0, SEEK_CUR);
	im->total =
		at >= 0 && at < st.st_size ? (uint64_t)(st.st_size - at) : 0;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

/* Hands on what was read into the pipeline's own memory, with its boundaries.
 */
static int advance(struct import *im, struct tar_cuts *cuts, const uint8_t *p,
		   size_t size)
{
	struct pipeline *pipeline = im->build.pipeline;
	int r = 0;

	while (r == 0 && size) {
		bool cut;
		size_t n = tar_cuts_feed(cuts, p, size, &cut);

		r = pipeline_advance(pipeline, n, im->err);
		if (r == 0 && cut)
			r = pipeline_cut(pipeline, im->err);
		p += n;
		size -= n;
	}
	return r;
}

static int copy_input(struct import *im, struct archive_input *in)
{
	struct tar_cuts cuts = TAR_CUTS_INIT;
	int r = 0;

	while (r == 0) {
		size_t room;
		void *to = pipeline_space(im->build.pipeline, &room, im->err);
		ssize_t n;

		if (!to) {
			r = -ENOMEM;
			break;
		}
		n = archive_input_read(in, to, room, im->err);
		if (n <= 0) {
			r = (int)n;
			break;
		}
		r = advance(im, &cuts, to, (size_t)n);
	}
	tar_cuts_release(&cuts);
	return r;
}

static int index_entry(const struct entry *e, void *ctx, struct err *err)
{
	struct import *im = ctx;
	int r = 0;

	if (!erofs_writer_takes_holes(e)) {
		im->unfit = true;
		return -ECANCELED;
	}
	if (im->entries++ % REPORT_EVERY == 0)
		r = progress_report(im->host, im->options->progress, "index", 0,
				    0, im->entries);
	return r < 0 ? r : layer_build_index(&im->build, e, err);
}

static int begin(struct import *im, enum archive_origin origin)
{
	int r = layer_build_init(&im->build, im->host, im->err);

	if (r < 0)
		return r;
	im->build.origin = origin;
	im->build.memory_max = MEMORY_MAX;
	im->entries = 0;
	im->unfit = false;
	return 0;
}

/* UNFIT: the tarball is staged, but cannot be indexed. */
static int take_over(struct import *im, struct archive_input *in)
{
	int r = copy_input(im, in);

	if (r < 0)
		return r;
	r = layer_build_read(&im->build, index_entry, im, im->err);
	if (im->unfit)
		return UNFIT;
	return r < 0 ? err_prefix(im->err, r, "cannot import %s",
				  im->source->name)
		     : 0;
}

/* From the tarball that is staged to one of our own. */
static int convert(struct import *im)
{
	struct layer_build staged = im->build;
	struct stat st;
	int r;

	im->build = (struct layer_build){0};
	im->converted = true;
	r = begin(im, ARCHIVE_SEALED);
	if (r == 0 && fstat(staged.stage->tar_fd, &st) < 0)
		r = err_errno(im->err, errno, "cannot look at a new tarball");
	if (r == 0)
		r = convert_tar(&im->build, staged.stage->tar_fd,
				(uint64_t)st.st_size, im->options->progress,
				im->err);
	if (r == 0)
		r = layer_build_end(&im->build, im->err);
	layer_build_release(&staged);
	return r;
}

static int build(struct import *im, struct archive_input *in)
{
	bool is_tar = archive_input_kind(in) == ARCHIVE_TAR;
	int r = begin(im, is_tar ? ARCHIVE_FOREIGN : ARCHIVE_SEALED);

	if (r < 0)
		return r;
	if (is_tar) {
		r = take_over(im, in);
		return r == UNFIT ? convert(im) : r;
	}
	im->converted = true;
	r = convert_cpio(&im->build, in, im->err);
	if (r < 0)
		return err_prefix(im->err, r, "cannot import %s",
				  im->source->name);
	return layer_build_end(&im->build, im->err);
}

/* The staged tarball once more: a pack whose chunks were to be reused is lost.
 */
static int build_again(struct import *im)
{
	struct import_source source = {.name = "the staged tarball"};
	_cleanup_(archive_input_freep) struct archive_input *in = NULL;
	const struct import_source *outside = im->source;
	struct layer_build staged = im->build;
	struct archive_source from = {read_source, im, source.name};
	int r;

	im->build = (struct layer_build){0};
	im->source = &source;
	im->is_socket = false;
	im->total = im->done = 0;
	im->fd = staged.stage->tar_fd;
	r = lseek(im->fd, 0, SEEK_SET) < 0 ? -errno : 0;
	if (r == 0)
		r = begin(im, staged.origin);
	if (r == 0)
		r = archive_input_open(&in, &from, im->err);
	if (r == 0)
		r = take_over(im, in);
	layer_build_release(&staged);
	im->source = outside;
	return r;
}

static int build_layer(struct import *im, struct archive_input *in,
		       struct version_layer *ret, uint64_t *ret_stored)
{
	int r = build(im, in);

	if (r == 0)
		r = layer_build_finish(&im->build, ret, ret_stored, im->err);
	for (int i = 0; i < TRIES && r == -ESTALE && !im->err->code; i++) {
		r = build_again(im);
		if (r == 0)
			r = layer_build_finish(&im->build, ret, ret_stored,
					       im->err);
	}
	return r;
}

static int import(struct import *im, const char *name,
		  struct import_result *ret)
{
	_cleanup_(archive_input_freep) struct archive_input *in = NULL;
	struct archive_source from = {read_source, im, im->source->name};
	struct import_result result = {0};
	struct version_layer layer;
	_cleanup_close_ int pipe = -1;
	uint64_t stored;
	int r = seal_check_new(im->host, name, im->options, im->err);

	if (r == 0)
		r = look_at_source(im, &pipe);
	if (r == 0)
		r = archive_input_open(&in, &from, im->err);
	if (r == 0)
		r = build_layer(im, in, &layer, &stored);
	if (r == 0)
		r = seal_layer(im->host, name, &layer, stored, im->build.files,
			       im->options, &result.sealed, im->err);
	if (r < 0)
		return r;
	result.format = archive_input_kind(in) == ARCHIVE_TAR ? "tar" : "cpio";
	result.compression = archive_input_compression(in);
	result.converted = im->converted;
	*ret = result;
	return 0;
}

int import_archive(struct host *h, const char *name,
		   const struct import_source *source,
		   const struct seal_options *options,
		   struct import_result *ret, struct err *err)
{
	struct err unused = ERR_INIT;
	struct import im = {
		.host = h,
		.options = options,
		.source = source,
		.err = err ? err : &unused,
	};
	int r = import(&im, name, ret);

	layer_build_release(&im.build);
	if (r == -ECANCELED)
		err_set(im.err, r,
			"the import was stopped; there is no volume %s", name);
	return r;
}
