/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What must hold:
 *  1. A name is made only for a file whose bytes are synced.
 *  2. A call returns only when the directory with that name is synced, and so
 *     is the name of every directory above it.
 *  3. A name that is found instead of made is synced too: its maker may have
 *     died between the two. It is not when the directory was opened before its
 *     name was known to be durable: one that is removed is forgotten at once,
 *     so that this was said of the directory that was opened.
 */

#include "store/durable.h"

#include "store/beneath.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/table.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Bytes read at a time of an object that is checked. */
#define CHECK_PIECE (1u << 20)

int durable_init(struct durable *d, int fd)
{
	*d = (struct durable){.fd = fd};
	return -pthread_mutex_init(&d->lock, NULL);
}

void durable_release(struct durable *d)
{
	pthread_mutex_destroy(&d->lock);
}

static bool known(struct durable *d, const char *dir)
{
	char *slot = d->dirs[table_hash(dir, strlen(dir)) % DURABLE_DIRS];
	bool yes;

	pthread_mutex_lock(&d->lock);
	yes = strcmp(slot, dir) == 0;
	pthread_mutex_unlock(&d->lock);
	return yes;
}

static uint64_t count_removals(struct durable *d)
{
	uint64_t n;

	pthread_mutex_lock(&d->lock);
	n = d->removals;
	pthread_mutex_unlock(&d->lock);
	return n;
}

/* Unless one was removed since then, which may be this one. */
static void remember(struct durable *d, const char *dir, uint64_t removals)
{
	char *slot = d->dirs[table_hash(dir, strlen(dir)) % DURABLE_DIRS];

	pthread_mutex_lock(&d->lock);
	if (d->removals == removals)
		memcpy(slot, dir, strlen(dir) + 1);
	pthread_mutex_unlock(&d->lock);
}

int durable_remove_dir(struct durable *d, int parent_fd, const char *name,
		       const char *dir)
{
	char *slot = d->dirs[table_hash(dir, strlen(dir)) % DURABLE_DIRS];
	int r = 0;

	pthread_mutex_lock(&d->lock);
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0)
		r = -errno;
	if (strcmp(slot, dir) == 0)
		*slot = 0;
	d->removals++;
	pthread_mutex_unlock(&d->lock);
	return r;
}

const char *durable_split(const char *key, char dir[static STORE_KEY_MAX])
{
	const char *slash = strrchr(key, '/');
	size_t n = slash ? (size_t)(slash - key) : 0;

	memcpy(dir, key, n);
	dir[n] = 0;
	return slash ? slash + 1 : key;
}

int durable_open_dir(struct durable *d, const char *dir)
{
	_cleanup_close_ int parent_fd = -1;
	uint64_t removals = count_removals(d);
	char parent[STORE_KEY_MAX];
	const char *name;
	int fd;

	if (!*dir)
		return beneath_open(d->fd, ".", O_RDONLY | O_DIRECTORY);
	fd = beneath_open(d->fd, dir, O_RDONLY | O_DIRECTORY);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd >= 0 && known(d, dir))
		return fd;
	closep(&fd);
	name = durable_split(dir, parent);
	parent_fd = durable_open_dir(d, parent);
	if (parent_fd < 0)
		return parent_fd;
	if (mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = beneath_open(parent_fd, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	if (fsync(parent_fd) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	remember(d, dir, removals);
	return fd;
}

static int sync_dir(int fd)
{
	int r = fault_point("store-sync-dir");

	if (r < 0)
		return r;
	return fsync(fd) < 0 ? -errno : 0;
}

/* 1, 0, or a negative errno. */
static int is_damaged(int fd, uint64_t size, const char *name)
{
	_cleanup_free_ uint8_t *piece = NULL;
	_cleanup_(hasher_freep) struct hasher *hasher = NULL;
	struct digest want, actual;

	if (digest_parse(name, &want) < 0)
		return 0;
	piece = malloc(CHECK_PIECE);
	if (!piece || hasher_new(&hasher) < 0)
		return -ENOMEM;
	for (uint64_t at = 0; at < size;) {
		size_t n = (size_t)MIN(size - at, (uint64_t)CHECK_PIECE);
		int r = pread_full(fd, piece, n, at);

		/* What cannot be read is written anew as well. */
		if (r < 0)
			return 1;
		hasher_add(hasher, piece, n);
		at += n;
	}
	hasher_finish(hasher, &actual);
	return !digest_equal(&want, &actual);
}

int durable_settle(struct durable *d, const char *key, uint64_t size, bool *ret)
{
	_cleanup_close_ int fd = -1, dir_fd = -1;
	char dir[STORE_KEY_MAX];
	uint64_t have;
	int r;

	*ret = false;
	r = beneath_open_file(d->fd, key, &fd, &have);
	if (r == -ENOENT)
		return 0;
	if (r < 0 || have != size)
		return r;
	r = is_damaged(fd, size, durable_split(key, dir));
	if (r)
		return MIN(r, 0);
	dir_fd = durable_open_dir(d, dir);
	if (dir_fd < 0)
		return dir_fd;
	r = sync_dir(dir_fd);
	*ret = r == 0;
	return r;
}

int durable_publish(struct durable *d, struct staged *file, const char *key,
		    uint64_t size, enum store_write how)
{
	_cleanup_close_ int dir_fd = -1;
	char dir[STORE_KEY_MAX];
	const char *name;
	bool same = false;
	int r;

	r = staged_sync(file);
	if (r < 0)
		return r;
	name = durable_split(key, dir);
	dir_fd = durable_open_dir(d, dir);
	if (dir_fd < 0)
		return dir_fd;
	if (how == STORE_WRITE_REPLACE)
		r = staged_rename(file, dir_fd, name);
	else
		r = staged_link(file, dir_fd, name);
	if (r == -EEXIST && how == STORE_WRITE_PUT) {
		/* The key names the content: another size is a damaged copy of
		 * what we have whole. */
		r = durable_settle(d, key, size, &same);
		if (r < 0 || same)
			return r;
		r = staged_rename(file, dir_fd, name);
	}
	return r < 0 ? r : sync_dir(dir_fd);
}

int durable_write(struct durable *d, const char *key, const void *data,
		  size_t size, enum store_write how)
{
	_cleanup_staged_ struct staged file = STAGED_INIT;
	int r;

	r = staged_open(&file, d->fd);
	if (r == 0)
		r = write_full(file.fd, data, size);
	return r < 0 ? r : durable_publish(d, &file, key, size, how);
}
