/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/captured.h"

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/cursor.h"
#include "util/digest.h"
#include "util/fd.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char magic[8] = {'L', 'Y', 'R', 'C', 'A', 'P', 'T', '1'};

#define HEADER_SIZE 24
#define RECORD_SIZE 52
#define FLUSH_SIZE (256u << 10)

struct captured_writer {
	int fd;
	struct buf buf;
	uint64_t flushed;
	uint64_t count;
};

int captured_writer_new(struct captured_writer **ret, int fd)
{
	_cleanup_(captured_writer_freep) struct captured_writer *w = NULL;

	w = calloc(1, sizeof(*w));
	if (!w || buf_add_zero(&w->buf, HEADER_SIZE) < 0)
		return -ENOMEM;
	w->fd = fd;
	*ret = TAKE_PTR(w);
	return 0;
}

struct captured_writer *captured_writer_free(struct captured_writer *w)
{
	if (w) {
		buf_release(&w->buf);
		free(w);
	}
	return NULL;
}

void captured_writer_freep(struct captured_writer **w)
{
	*w = captured_writer_free(*w);
}

static int flush(struct captured_writer *w)
{
	int r = pwrite_full(w->fd, w->buf.data, w->buf.size, w->flushed);

	if (r == 0) {
		w->flushed += w->buf.size;
		w->buf.size = 0;
	}
	return r;
}

static int encode(struct buf *b, const struct captured *c)
{
	int r = buf_reserve(b, RECORD_SIZE + (size_t)c->name_size);

	if (r < 0)
		return r;
	/* There is room now: none of these can fail. */
	(void)buf_add_le16(b, c->depth);
	(void)buf_add_le16(b, c->name_size);
	(void)buf_add_le32(b, c->mode);
	(void)buf_add_le32(b, c->uid);
	(void)buf_add_le32(b, c->gid);
	(void)buf_add_le32(b, c->flags);
	(void)buf_add_le64(b, c->inode);
	(void)buf_add_le64(b, (uint64_t)c->ctime_ns);
	(void)buf_add_le64(b, c->size);
	(void)buf_add_le64(b, c->redirect);
	return 0;
}

int captured_add(struct captured_writer *w, const struct captured *c,
		 uint64_t *ret_offset)
{
	int r;

	if (w->buf.size >= FLUSH_SIZE) {
		r = flush(w);
		if (r < 0)
			return r;
	}
	*ret_offset = w->flushed + w->buf.size;
	r = encode(&w->buf, c);
	if (r == 0)
		r = buf_add(&w->buf, c->name, c->name_size);
	w->count++;
	return r;
}

int captured_patch(struct captured_writer *w, uint64_t offset,
		   const struct captured *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = encode(&b, c);

	if (r == 0)
		r = flush(w);
	/* Depth and length of the name, the first four bytes, stay. */
	if (r == 0)
		r = pwrite_full(w->fd, b.data + 4, b.size - 4, offset + 4);
	return r;
}

static int digest_of_file(int fd, uint64_t size, struct digest *ret)
{
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	int r;

	if (map == MAP_FAILED)
		return -errno;
	r = digest_of(map, size, ret);
	(void)munmap(map, size);
	return r;
}

int captured_finish(struct captured_writer *w, int64_t stamp_ns)
{
	_cleanup_buf_ struct buf header = BUF_INIT;
	struct digest digest;
	int r = flush(w);

	if (r == 0)
		r = buf_add(&header, magic, sizeof(magic));
	if (r == 0)
		r = buf_add_le64(&header, (uint64_t)stamp_ns);
	if (r == 0)
		r = buf_add_le64(&header, w->count);
	if (r == 0)
		r = pwrite_full(w->fd, header.data, header.size, 0);
	if (r == 0)
		r = digest_of_file(w->fd, w->flushed, &digest);
	if (r == 0)
		r = pwrite_full(w->fd, digest.bytes, DIGEST_SIZE, w->flushed);
	if (r == 0 && fsync(w->fd) < 0)
		r = -errno;
	return r;
}

struct captured_reader {
	void *map;
	size_t size;
	int64_t stamp;
	uint64_t left;
	struct cursor cursor;
	struct captured current;
	bool has_current;
};

struct captured_reader *captured_reader_free(struct captured_reader *r)
{
	if (r) {
		if (r->map)
			(void)munmap(r->map, r->size);
		free(r);
	}
	return NULL;
}

void captured_reader_freep(struct captured_reader **r)
{
	*r = captured_reader_free(*r);
}

static int check(struct captured_reader *r)
{
	size_t body = r->size - DIGEST_SIZE;
	const uint8_t *data = r->map;
	struct digest digest;

	if (memcmp(data, magic, sizeof(magic)) != 0 ||
	    digest_of(data, body, &digest) < 0 ||
	    memcmp(data + body, digest.bytes, DIGEST_SIZE) != 0)
		return -EBADMSG;
	r->cursor = CURSOR_INIT(data + sizeof(magic), body - sizeof(magic));
	r->stamp = (int64_t)cursor_le64(&r->cursor);
	r->left = cursor_le64(&r->cursor);
	captured_next(r);
	return 0;
}

int captured_reader_open(struct captured_reader **ret, int fd, struct err *err)
{
	_cleanup_(captured_reader_freep) struct captured_reader *r = NULL;
	struct stat st;

	r = calloc(1, sizeof(*r));
	if (!r)
		return err_oom(err);
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno,
				 "cannot examine what was "
				 "captured");
	r->size = (size_t)st.st_size;
	if (r->size < HEADER_SIZE + DIGEST_SIZE)
		return err_set(err, EBADMSG,
			       "the record of what was captured is cut short");
	r->map = mmap(NULL, r->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (r->map == MAP_FAILED) {
		r->map = NULL;
		return err_errno(err, errno, "cannot map what was captured");
	}
	if (check(r) < 0)
		return err_set(err, EBADMSG,
			       "the record of what was captured is damaged");
	*ret = TAKE_PTR(r);
	return 0;
}

int64_t captured_stamp(const struct captured_reader *r)
{
	return r->stamp;
}

const struct captured *captured_peek(const struct captured_reader *r)
{
	return r->has_current ? &r->current : NULL;
}

void captured_next(struct captured_reader *r)
{
	struct captured *c = &r->current;
	struct cursor *from = &r->cursor;

	r->has_current = false;
	if (!r->left)
		return;
	r->left--;
	c->depth = cursor_le16(from);
	c->name_size = cursor_le16(from);
	c->mode = cursor_le32(from);
	c->uid = cursor_le32(from);
	c->gid = cursor_le32(from);
	c->flags = cursor_le32(from);
	c->inode = cursor_le64(from);
	c->ctime_ns = (int64_t)cursor_le64(from);
	c->size = cursor_le64(from);
	c->redirect = cursor_le64(from);
	c->name = (const char *)cursor_take(from, c->name_size);
	r->has_current = cursor_ok(from);
}

void captured_skip(struct captured_reader *r)
{
	uint16_t depth = r->current.depth;

	do
		captured_next(r);
	while (r->has_current && r->current.depth > depth);
}
