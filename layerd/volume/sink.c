/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: nothing here waits for a reader other than in
 * wait_writable(), which gives up when the daemon ends or the caller is gone.
 * The caller's own descriptor is left as it is: others may share it and mind
 * O_NONBLOCK.
 */
#include "volume/sink.h"

#include "util/cleanup.h"
#include "util/fd.h"
#include "util/transfer.h"
#include "volume/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define PENDING_MAX ((size_t)256 << 10)
/* Larger data does not go through memory where that can be helped. */
#define COPY_MIN ((uint64_t)64 << 10)
#define STEP_SIZE (UINT64_C(16) << 20)
#define PIPE_SIZE (1 << 20)
#define WAIT_MS 200

void sink_release(struct sink *s)
{
	closep(&s->fd);
	buf_release(&s->pending);
}

/* Writes never wait: memory devices (Documentation/admin-guide/devices.txt). */
static bool is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && major(st->st_rdev) == 1 &&
	       (minor(st->st_rdev) == 3 || minor(st->st_rdev) == 5 ||
		minor(st->st_rdev) == 7);
}

/* The same pipe by a description of our own, which may be non-blocking. */
static int open_pipe(int fd)
{
	char path[40];
	int own;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (own < 0)
		return -errno;
	/* A larger pipe is only faster. */
	(void)fcntl(own, F_SETPIPE_SZ, PIPE_SIZE);
	return own;
}

int sink_open(struct sink *s, int fd, struct err *err)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0)
		return errno == EACCES && caller_is_kept_out(fd)
			       ? err_set(err, EACCES,
					 "the output " CALLER_KEPT_OUT)
			       : err_errno(err, errno,
					   "cannot examine the output");
	if ((flags & O_ACCMODE) == O_RDONLY || flags & O_PATH)
		return err_set(err, EINVAL, "the output is not writable");
	if (S_ISREG(st.st_mode))
		s->kind = SINK_FILE;
	else if (S_ISFIFO(st.st_mode))
		s->kind = SINK_PIPE;
	else if (S_ISSOCK(st.st_mode))
		s->kind = SINK_SOCKET;
	else if (is_null(&st))
		s->kind = SINK_NULL;
	else
		return err_set(err, EINVAL,
			       "the output is neither a file nor a pipe nor a "
			       "socket; send it through `| cat`");
	s->fd = s->kind == SINK_PIPE ? open_pipe(fd)
				     : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (s->fd == -1)
		s->fd = -errno;
	return s->fd < 0 ? err_errno(err, s->fd, "cannot open the output") : 0;
}

int sink_report(struct sink *s)
{
	return progress_report(s->host, s->progress, "export", s->offset,
			       s->total, s->files);
}

static int wait_writable(struct sink *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};
	int n = 0, r = 0;

	while (r == 0 && n == 0) {
		n = poll(&p, 1, WAIT_MS);
		if (n < 0 && errno == EINTR)
			n = 0;
		r = n < 0 ? -errno : sink_report(s);
	}
	return r;
}

static int fail(int code, struct err *err)
{
	if (code == -ECANCELED)
		return code;
	if (code == -ENODATA)
		return err_set(err, EBADMSG,
			       "a tarball in the cache is shorter than it must "
			       "be; `layerctl layer verify` checks it");
	return err_errno(err, code, "cannot write the output");
}

/* As much as goes at once; 0: nothing does now. */
static ssize_t push(struct sink *s, const uint8_t *data, size_t size)
{
	ssize_t n = s->kind == SINK_SOCKET ? send(s->fd, data, size,
						  MSG_DONTWAIT | MSG_NOSIGNAL)
					   : write(s->fd, data, size);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n < 0 ? -errno : n;
}

static int push_all(struct sink *s, const uint8_t *data, size_t size)
{
	int r = 0;

	while (r == 0 && size) {
		ssize_t n = push(s, data, size);

		if (n < 0)
			return (int)n;
		data += n;
		size -= (size_t)n;
		if (n == 0)
			r = wait_writable(s);
	}
	return r;
}

int sink_flush(struct sink *s, struct err *err)
{
	int r = push_all(s, s->pending.data, s->pending.size);

	s->pending.size = 0;
	return r < 0 ? fail(r, err) : 0;
}

int sink_write(struct sink *s, const void *data, size_t size, struct err *err)
{
	int r = 0;

	if (s->pending.size + size > PENDING_MAX)
		r = sink_flush(s, err);
	if (r < 0)
		return r;
	s->offset += size;
	if (size > PENDING_MAX) {
		r = push_all(s, data, size);
		return r < 0 ? fail(r, err) : 0;
	}
	return buf_add(&s->pending, data, size) < 0 ? err_oom(err) : 0;
}

static int copy_through_memory(struct sink *s, int in, uint64_t offset,
			       uint64_t size, struct err *err)
{
	int r = 0;

	while (r == 0 && size) {
		size_t n = (size_t)MIN(size, (uint64_t)COPY_MIN);

		if (s->pending.size + n > PENDING_MAX)
			r = sink_flush(s, err);
		if (r == 0 && buf_reserve(&s->pending, n) < 0)
			r = err_oom(err);
		if (r < 0)
			return r;
		r = pread_full(in, s->pending.data + s->pending.size, n,
			       offset);
		if (r < 0)
			return fail(r, err);
		s->pending.size += n;
		s->offset += n;
		offset += n;
		size -= n;
		if (s->offset % STEP_SIZE < n)
			r = sink_report(s);
	}
	return r;
}

/* Pages of the file itself become the pipe's. */
static int splice_to_pipe(struct sink *s, int in, uint64_t *offset,
			  uint64_t *size)
{
	off_t from = (off_t)*offset;
	int r = 0;

	while (r == 0 && *size) {
		ssize_t n = splice(in, &from, s->fd, NULL,
				   (size_t)MIN(*size, STEP_SIZE),
				   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (n < 0 && errno == EAGAIN) {
			r = wait_writable(s);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? -ENODATA : -errno;
		*offset += (uint64_t)n;
		*size -= (uint64_t)n;
		s->offset += (uint64_t)n;
	}
	return r;
}

/* The file's own position is where others that share it would go on. */
static int copy_to_file(struct sink *s, int in, uint64_t *offset,
			uint64_t *size)
{
	int r = 0;

	while (r == 0 && *size) {
		uint64_t n = MIN(*size, STEP_SIZE);
		off_t to = lseek(s->fd, 0, SEEK_CUR);

		r = to < 0 ? -errno
			   : transfer_bytes(in, *offset, s->fd, (uint64_t)to,
					    n);
		if (r == 0 && lseek(s->fd, to + (off_t)n, SEEK_SET) < 0)
			r = -errno;
		if (r < 0)
			return r;
		*offset += n;
		*size -= n;
		s->offset += n;
		r = sink_report(s);
	}
	return r;
}

int sink_copy(struct sink *s, int in, uint64_t offset, uint64_t size,
	      struct err *err)
{
	int r;

	if (size < COPY_MIN || s->kind == SINK_SOCKET || s->kind == SINK_NULL)
		return copy_through_memory(s, in, offset, size, err);
	r = sink_flush(s, err);
	if (r < 0)
		return r;
	r = s->kind == SINK_PIPE ? splice_to_pipe(s, in, &offset, &size)
				 : copy_to_file(s, in, &offset, &size);
	/* A file system whose files cannot be spliced. */
	if (r < 0 && s->kind == SINK_PIPE && transfer_other_way(-r))
		return copy_through_memory(s, in, offset, size, err);
	return r < 0 ? fail(r, err) : 0;
}
