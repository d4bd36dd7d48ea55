/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A layer in the making. It gets its name with one rename, when its files and
 * the marker are all there; nothing is synced, as the marker is worth nothing
 * in another boot.
 */

#include "cache/cache-private.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int new_file(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			0600);

	return fd < 0 ? -errno : fd;
}

static int open_stage(struct cache_stage *s)
{
	struct cache *c = s->cache;

	cache_stage_name(c, s->name);
	if (mkdirat(c->fd, s->name, 0700) < 0) {
		int r = -errno;

		s->name[0] = 0;
		return r;
	}
	s->dir_fd = openat(c->fd, s->name,
			   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dir_fd < 0)
		return -errno;
	s->tar_fd = new_file(s->dir_fd, CACHE_TAR);
	if (s->tar_fd < 0)
		return s->tar_fd;
	s->index_fd = new_file(s->dir_fd, CACHE_INDEX);
	return MIN(s->index_fd, 0);
}

int cache_stage_new(struct cache *c, struct cache_stage **ret, struct err *err)
{
	_cleanup_(cache_stage_freep) struct cache_stage *s = NULL;
	int r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->cache = c;
	s->dir_fd = s->tar_fd = s->index_fd = -1;
	r = open_stage(s);
	if (r < 0)
		return cache_fail_write(c, r, NULL, 0, err);
	*ret = TAKE_PTR(s);
	return 0;
}

static int write_part(int dir_fd, const char *name, const void *data,
		      size_t size)
{
	_cleanup_close_ int fd = new_file(dir_fd, name);
	int r;

	if (fd < 0)
		return fd;
	r = write_full(fd, data, size);
	if (close(TAKE_FD(fd)) < 0 && r == 0)
		r = -errno;
	return r;
}

static int write_present(struct cache_stage *s, const struct present *p)
{
	uint8_t data[PRESENT_SIZE];
	int r = present_encode(p, data);

	if (r < 0)
		return r;
	return write_part(s->dir_fd, CACHE_PRESENT, data, sizeof(data));
}

/* With the lock held. The stage keeps what is to be removed. */
static int take_name(struct cache_stage *s, const struct present *p)
{
	_cleanup_cache_entry_ struct cache_entry there = CACHE_ENTRY_INIT;
	struct cache *c = s->cache;
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&p->tar, hex);
	if (renameat2(c->fd, s->name, c->fd, hex, RENAME_NOREPLACE) == 0) {
		s->name[0] = 0;
		return 0;
	}
	if (errno != EEXIST)
		return -errno;
	if (cache_entry_open(c, &p->tar, &there) == 0 &&
	    digest_equal(&there.present.object, &p->object))
		return 0;
	if (renameat2(c->fd, s->name, c->fd, hex, RENAME_EXCHANGE) < 0)
		return -errno;
	return 0;
}

int cache_stage_publish(struct cache_stage *s, const struct digest *tar,
			uint64_t tar_size, const struct buf *object,
			struct err *err)
{
	struct cache *c = s->cache;
	struct present p = {
		.state = PRESENT_IN_BOOT, .tar = *tar, .tar_size = tar_size};
	struct stat tar_st, index_st;
	int r;

	if (fstat(s->tar_fd, &tar_st) < 0 || fstat(s->index_fd, &index_st) < 0)
		return cache_fail_write(c, -errno, tar, tar_size, err);
	if ((uint64_t)tar_st.st_size != tar_size)
		return err_set(err, EIO,
			       "the cache at %s: a staged tarball has %llu "
			       "bytes instead of %llu",
			       c->path, (unsigned long long)tar_st.st_size,
			       (unsigned long long)tar_size);
	p.index_size = (uint64_t)index_st.st_size;
	p.tar_file = present_file_of(&tar_st);
	p.index_file = present_file_of(&index_st);
	memcpy(p.boot_id, c->boot_id, sizeof(p.boot_id));
	r = digest_of(object->data, object->size, &p.object);
	if (r < 0)
		return err_oom(err);
	r = write_part(s->dir_fd, CACHE_OBJECT, object->data, object->size);
	if (r == 0)
		r = write_present(s, &p);
	if (r == 0)
		r = fault_point("cache.staged");
	if (r < 0)
		return cache_fail_write(c, r, tar, tar_size, err);
	pthread_mutex_lock(&c->lock);
	r = take_name(s, &p);
	pthread_mutex_unlock(&c->lock);
	return r < 0 ? cache_fail_write(c, r, tar, tar_size, err) : 0;
}

struct cache_stage *cache_stage_free(struct cache_stage *s)
{
	if (!s)
		return NULL;
	closep(&s->dir_fd);
	closep(&s->tar_fd);
	closep(&s->index_fd);
	/* What stays is removed when the cache is opened again. */
	if (s->name[0])
		(void)remove_tree_at(s->cache->fd, s->name);
	free(s);
	return NULL;
}

void cache_stage_freep(struct cache_stage **s)
{
	*s = cache_stage_free(*s);
}
