/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a connection. What must hold against a hostile peer: the buffer
 * never outgrows the longest message, no descriptor that came is lost, and a
 * peer that sends slowly cannot hold a receiver for longer than it agreed to.
 *
 * A descriptor belongs to the message that holds the last byte of the read it
 * came with: the kernel ends a read behind the segment that carried it
 * (unix_stream_read_generic()), and a segment is part of a single send.
 */
#include "proto/varlink.h"

#include "proto/message.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/json.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#define READ_SIZE (64u << 10)

/* Those of an unfinished message and of the read that ends it. */
#define PENDING_MAX (2 * VARLINK_FDS_MAX)

struct pending {
	int fd;
	size_t at; /* of the byte in the buffer that it came with */
};

struct varlink {
	int fd;
	struct buf in;	/* received and not yet taken */
	size_t scanned; /* so many of its bytes are known not to be NUL */
	struct pending pending[PENDING_MAX];
	size_t n_pending;
};

int varlink_new(struct varlink **ret, int fd)
{
	struct varlink *v = calloc(1, sizeof(*v));

	if (!v) {
		closep(&fd);
		return -ENOMEM;
	}
	v->fd = fd;
	*ret = v;
	return 0;
}

struct varlink *varlink_free(struct varlink *v)
{
	if (!v)
		return NULL;
	for (size_t i = 0; i < v->n_pending; i++)
		closep(&v->pending[i].fd);
	closep(&v->fd);
	buf_release(&v->in);
	free(v);
	return NULL;
}

void varlink_freep(struct varlink **v)
{
	*v = varlink_free(*v);
}

int varlink_fd(const struct varlink *v)
{
	return v->fd;
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for events until deadline, or forever when it is negative. */
static int wait_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left = deadline < 0 ? -1 : deadline - now_ms();
		int r = poll(&p, 1, deadline < 0 ? -1 : (int)MAX(left, 0));

		if (r > 0)
			return 0;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(VARLINK_FDS_MAX * sizeof(int))];
};

/* Sends what it can, descriptors with the first byte. Bytes sent, or error. */
static ssize_t send_some(int fd, const char *data, size_t size, const int *fds,
			 size_t n_fds)
{
	struct iovec iov = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control;
	ssize_t n;

	if (n_fds) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

static int send_all(int fd, const char *data, size_t size, const int *fds,
		    size_t n_fds, int64_t deadline)
{
	while (size) {
		ssize_t n = send_some(fd, data, size, fds, n_fds);

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN) {
			int r = wait_for(fd, POLLOUT, deadline);

			if (r < 0)
				return r;
			continue;
		}
		if (n < 0)
			return n == -ECONNRESET ? -EPIPE : (int)n;
		data += n;
		size -= (size_t)n;
		n_fds = 0;
	}
	return 0;
}

/* The text of a message and its size, the NUL counted. */
static int encode(const json_t *message, char **ret, size_t *ret_size)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = buf_add_json(&text, message, JSON_COMPACT);

	if (r < 0)
		return r;
	if (text.size >= VARLINK_MESSAGE_MAX)
		return -EMSGSIZE;
	*ret_size = text.size + 1;
	*ret = (char *)TAKE_PTR(text.data);
	return 0;
}

int varlink_send(struct varlink *v, const json_t *message, const int *fds,
		 size_t n_fds)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r;

	if (n_fds > VARLINK_FDS_MAX)
		return -EINVAL;
	r = encode(message, &text, &size);
	return r < 0 ? r : send_all(v->fd, text, size, fds, n_fds, -1);
}

int varlink_hand_over(struct varlink *v, const json_t *message, int *fd)
{
	int64_t deadline = now_ms() + VARLINK_HAND_OVER_MS;
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = encode(message, &text, &size);

	if (r == 0)
		r = send_all(v->fd, text, size - 1, fd, 1, deadline);
	if (r < 0)
		return r;
	closep(fd);
	return send_all(v->fd, text + size - 1, 1, NULL, 0, deadline);
}

/* Keeps what was passed along; what is beyond the bounds is closed. */
static void keep_fds(struct varlink *v, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		const uint8_t *data = CMSG_DATA(c);
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			struct pending p = {.at = v->in.size - 1};

			memcpy(&p.fd, data + i * sizeof(int), sizeof(int));
			if (v->n_pending < PENDING_MAX)
				v->pending[v->n_pending++] = p;
			else
				closep(&p.fd);
		}
	}
}

/* Reads once into the buffer. 0, VARLINK_E_EOF, -EAGAIN or another error. */
static int read_some(struct varlink *v)
{
	union control control;
	struct iovec iov;
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	int r;

	r = buf_reserve(&v->in, READ_SIZE);
	if (r < 0)
		return r;
	iov.iov_base = v->in.data + v->in.size;
	iov.iov_len = READ_SIZE;
	do
		n = recvmsg(v->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? VARLINK_E_EOF : -errno;
	if (n == 0)
		return VARLINK_E_EOF;
	v->in.size += (size_t)n;
	keep_fds(v, &m);
	return 0;
}

/* Length of the first message without its NUL, when all of it is there. */
static bool find_end(struct varlink *v, size_t *ret)
{
	const uint8_t *nul;

	nul = v->in.size > v->scanned ? memchr(v->in.data + v->scanned, 0,
					       v->in.size - v->scanned)
				      : NULL;
	v->scanned = v->in.size;
	if (!nul)
		return false;
	*ret = (size_t)(nul - v->in.data);
	return true;
}

static int too_long(struct err *err)
{
	return err_set(err, EBADMSG, "the message is longer than %u bytes",
		       VARLINK_MESSAGE_MAX);
}

/* Waits until the buffer holds a whole message. */
static int fill(struct varlink *v, int idle_ms, size_t *ret, struct err *err)
{
	bool started = v->in.size > 0;
	int wait_ms = started ? VARLINK_SLOW_MS : idle_ms;
	int64_t deadline = wait_ms < 0 ? -1 : now_ms() + wait_ms;

	while (!find_end(v, ret)) {
		int r;

		if (v->in.size >= VARLINK_MESSAGE_MAX)
			return too_long(err);
		r = read_some(v);
		if (r == -EAGAIN)
			r = wait_for(v->fd, POLLIN, deadline);
		if (r == VARLINK_E_EOF && v->in.size)
			return err_set(err, EBADMSG,
				       "the connection ended in the middle of "
				       "a message");
		if (r == -ETIMEDOUT)
			return err_set(err, ETIMEDOUT,
				       started ? "the message did not arrive "
						 "whole in time"
					       : "no message arrived in time");
		if (r != 0)
			return r;
		if (!started && v->in.size) {
			started = true;
			deadline = now_ms() + VARLINK_SLOW_MS;
		}
	}
	return *ret >= VARLINK_MESSAGE_MAX ? too_long(err) : 0;
}

/* Moves the descriptors of the first end bytes to fds, NULL to close them. */
static size_t take_fds(struct varlink *v, size_t end, int *fds)
{
	size_t taken = 0, kept = 0;

	for (size_t i = 0; i < v->n_pending; i++) {
		struct pending p = v->pending[i];

		if (p.at >= end) {
			p.at -= end;
			v->pending[kept++] = p;
		} else if (fds && taken < VARLINK_FDS_MAX) {
			fds[taken++] = p.fd;
		} else {
			closep(&p.fd);
		}
	}
	v->n_pending = kept;
	return taken;
}

/* Removes the first end bytes; memory for a long message is given back. */
static void consume(struct varlink *v, size_t end)
{
	v->in.size -= end;
	memmove(v->in.data, v->in.data + end, v->in.size);
	v->scanned = 0;
	if (v->in.size == 0 && v->in.alloc > 4 * READ_SIZE)
		buf_release(&v->in);
}

int varlink_receive(struct varlink *v, int idle_ms, json_t **ret, int *fds,
		    size_t *ret_n_fds, struct err *err)
{
	json_t *message;
	size_t length;
	int r;

	r = fill(v, idle_ms, &length, err);
	if (r != 0)
		return r;
	r = message_parse((const char *)v->in.data, length, &message, err);
	if (r == 0) {
		size_t n = take_fds(v, length + 1, fds);

		*ret = message;
		if (ret_n_fds)
			*ret_n_fds = n;
	} else {
		(void)take_fds(v, length + 1, NULL);
	}
	consume(v, length + 1);
	return r;
}
