/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/present.h"

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/cursor.h"
#include "util/fd.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>

#define MAGIC "LYRPRSNT"
#define VERSION 2
#define SUM_AT 144u

static uint8_t *put_le32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static uint8_t *put_le64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

struct present_file present_file_of(const struct stat *st)
{
	return (struct present_file){
		.inode = st->st_ino,
		.ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 +
			    st->st_ctim.tv_nsec,
	};
}

static uint8_t *put_file(uint8_t *p, const struct present_file *f)
{
	return put_le64(put_le64(p, f->inode), (uint64_t)f->ctime_ns);
}

static struct present_file take_file(struct cursor *c)
{
	struct present_file f = {.inode = cursor_le64(c)};

	f.ctime_ns = (int64_t)cursor_le64(c);
	return f;
}

int present_encode(const struct present *p, uint8_t data[static PRESENT_SIZE])
{
	struct digest sum;
	uint8_t *at = data;
	int r;

	memset(data, 0, PRESENT_SIZE);
	memcpy(at, MAGIC, 8);
	at = put_le32(at + 8, VERSION);
	at = put_le32(at, (uint32_t)p->state);
	memcpy(at, p->boot_id, PRESENT_BOOT_ID_SIZE);
	at = put_le64(at + PRESENT_BOOT_ID_SIZE, p->tar_size);
	at = put_le64(at, p->index_size);
	memcpy(at, p->tar.bytes, DIGEST_SIZE);
	memcpy(at + DIGEST_SIZE, p->object.bytes, DIGEST_SIZE);
	at = put_file(at + 2 * DIGEST_SIZE, &p->tar_file);
	(void)put_file(at, &p->index_file);
	r = digest_of(data, SUM_AT, &sum);
	if (r == 0)
		memcpy(data + SUM_AT, sum.bytes, DIGEST_SIZE);
	return r;
}

static int damaged(struct err *err, const char *what)
{
	return err_set(err, EBADMSG,
		       "the marker of a cached layer is damaged: %s; delete "
		       "the layer from the cache, it is fetched again",
		       what);
}

int present_decode(const uint8_t *data, size_t size, struct present *ret,
		   struct err *err)
{
	struct cursor c = CURSOR_INIT(data, size);
	struct present p = {0};
	uint32_t version, state;
	struct digest sum;

	if (size != PRESENT_SIZE)
		return damaged(err, "wrong size");
	if (memcmp(cursor_take(&c, 8), MAGIC, 8) != 0)
		return damaged(err, "wrong magic");
	version = cursor_le32(&c);
	if (version != VERSION)
		return damaged(err, "unknown version");
	if (digest_of(data, SUM_AT, &sum) < 0)
		return err_oom(err);
	if (memcmp(sum.bytes, data + SUM_AT, DIGEST_SIZE) != 0)
		return damaged(err, "wrong checksum");
	state = cursor_le32(&c);
	if (state != PRESENT_IN_BOOT && state != PRESENT_SYNCED)
		return damaged(err, "unknown state");
	p.state = (enum present_state)state;
	memcpy(p.boot_id, cursor_take(&c, PRESENT_BOOT_ID_SIZE),
	       PRESENT_BOOT_ID_SIZE);
	p.tar_size = cursor_le64(&c);
	p.index_size = cursor_le64(&c);
	memcpy(p.tar.bytes, cursor_take(&c, DIGEST_SIZE), DIGEST_SIZE);
	memcpy(p.object.bytes, cursor_take(&c, DIGEST_SIZE), DIGEST_SIZE);
	p.tar_file = take_file(&c);
	p.index_file = take_file(&c);
	*ret = p;
	return 0;
}

/* 36 characters of hex and dashes. */
static int parse_uuid(const char *text, uint8_t id[static 16])
{
	size_t n = 0;

	for (const char *p = text; n < 32 && *p; p++) {
		uint8_t v;

		if (*p == '-')
			continue;
		if (*p >= '0' && *p <= '9')
			v = (uint8_t)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			v = (uint8_t)(*p - 'a' + 10);
		else
			return -EINVAL;
		id[n / 2] = (uint8_t)(id[n / 2] << 4 | v);
		n++;
	}
	return n == 32 ? 0 : -EINVAL;
}

int present_boot_id(uint8_t id[static PRESENT_BOOT_ID_SIZE])
{
	_cleanup_close_ int fd = -1;
	char text[37] = "";
	int r;

	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = read_full(fd, text, 36);
	return r < 0 ? r : parse_uuid(text, id);
}

bool present_believed(const struct present *p,
		      const uint8_t boot_id[static PRESENT_BOOT_ID_SIZE])
{
	return p->state == PRESENT_SYNCED ||
	       memcmp(p->boot_id, boot_id, PRESENT_BOOT_ID_SIZE) == 0;
}
