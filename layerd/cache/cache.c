/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The cache's directory and the layers in it.
 *
 *   stage-N --publish--> <digest>, whole in this boot --sync--> and synced
 *      |                    |
 *      +------ removed <----+ (not believed, or another layer object)
 *
 * Names change under the cache's lock only; removing what has lost its name may
 * take long and is done without it.
 */

#include "cache/cache.h"

#include "cache/cache-private.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define LOCK_NAME ".lock"

DEFINE_CLEANUP(DIR *, closedir)

int cache_open_dir(const struct cache *c, DIR **ret)
{
	int copy = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (copy < 0)
		return -errno;
	*ret = fdopendir(copy);
	if (*ret)
		return 0;
	r = -errno;
	(void)close(copy);
	return r;
}

/* Invariant 4: what an earlier process had not finished goes. */
static int remove_stages(struct cache *c)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *e;
	int r;

	r = cache_open_dir(c, &dir);
	while (r == 0 && (errno = 0, e = readdir(dir)))
		if (strncmp(e->d_name, CACHE_STAGE_PREFIX,
			    strlen(CACHE_STAGE_PREFIX)) == 0)
			r = remove_tree_at(c->fd, e->d_name);
	if (r == 0 && errno)
		r = -errno;
	return r;
}

static int cache_init(struct cache *c, const char *path)
{
	c->fd = c->lock_fd = -1;
	if (pthread_mutex_init(&c->lock, NULL))
		return -ENOMEM;
	if (pthread_cond_init(&c->claim_ended, NULL)) {
		pthread_mutex_destroy(&c->lock);
		return -ENOMEM;
	}
	c->path = strdup(path);
	return c->path ? 0 : -ENOMEM;
}

static int lock_cache(struct cache *c, struct err *err)
{
	int r;

	c->lock_fd = openat(c->fd, LOCK_NAME,
			    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (c->lock_fd < 0)
		return err_errno(err, errno, "cannot write to the cache at %s",
				 c->path);
	r = lock_fd(c->lock_fd, false);
	if (r == -EWOULDBLOCK)
		return err_set(err, EBUSY,
			       "the cache at %s is in use by another process; "
			       "end that layerd first",
			       c->path);
	return r < 0 ? err_errno(err, r, "cannot lock the cache at %s", c->path)
		     : 0;
}

static int open_cache(struct cache *c, struct err *err)
{
	int r;

	r = mkdir_parents_at(AT_FDCWD, c->path, 0700);
	if (r < 0)
		return err_errno(err, r, "cannot create the cache at %s",
				 c->path);
	c->fd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->fd < 0)
		return err_errno(err, errno, "cannot open the cache at %s",
				 c->path);
	r = lock_cache(c, err);
	if (r < 0)
		return r;
	r = present_boot_id(c->boot_id);
	if (r < 0)
		return err_errno(err, r,
				 "cannot read the boot id; is /proc mounted?");
	r = remove_stages(c);
	if (r < 0)
		return err_errno(err, r,
				 "the cache at %s: cannot remove unfinished "
				 "layers",
				 c->path);
	return 0;
}

int cache_open(struct cache **ret, const char *path, struct err *err)
{
	_cleanup_(cache_freep) struct cache *c = NULL;
	struct cache *new = calloc(1, sizeof(*new));
	int r;

	if (!new)
		return err_oom(err);
	if (cache_init(new, path) < 0) {
		free(new);
		return err_oom(err);
	}
	c = new;
	r = open_cache(c, err);
	if (r == 0)
		*ret = TAKE_PTR(c);
	return r;
}

struct cache *cache_free(struct cache *c)
{
	if (!c)
		return NULL;
	closep(&c->fd);
	closep(&c->lock_fd);
	pthread_cond_destroy(&c->claim_ended);
	pthread_mutex_destroy(&c->lock);
	free(c->path);
	free(c);
	return NULL;
}

void cache_freep(struct cache **c)
{
	*c = cache_free(*c);
}

const char *cache_path(const struct cache *c)
{
	return c->path;
}

int cache_fail_write(const struct cache *c, int code, const struct digest *tar,
		     uint64_t size, struct err *err)
{
	char hex[DIGEST_HEX_SIZE] = "";

	if (tar)
		digest_hex(tar, hex);
	if (code == -ENOSPC || code == -EDQUOT)
		return err_set(
			err, code,
			"the cache at %s has no room for layer %.16s "
			"(%llu bytes); nothing was lost, free some space "
			"there and run the same command again",
			c->path, tar ? hex : "being sealed",
			(unsigned long long)size);
	return err_errno(err, code, "the cache at %s: cannot write layer %.16s",
			 c->path, tar ? hex : "being sealed");
}

void cache_entry_release(struct cache_entry *e)
{
	closep(&e->dir_fd);
	closep(&e->tar_fd);
	closep(&e->index_fd);
}

static int read_present(int dir_fd, struct present *ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r;

	r = read_file_at(dir_fd, CACHE_PRESENT, PRESENT_SIZE, &b);
	if (r == -ENOENT || r == -EFBIG || r == -EISDIR)
		return -EBADMSG;
	return r < 0 ? r : present_decode(b.data, b.size, ret, NULL);
}

/* The plain file that the marker was made for, as it was then. */
static int open_part(int dir_fd, const char *name, uint64_t size,
		     const struct present_file *want, int *ret)
{
	struct present_file is;
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = openat(dir_fd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? -EBADMSG : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	is = present_file_of(&st);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size ||
	    is.inode != want->inode || is.ctime_ns != want->ctime_ns)
		return -EBADMSG;
	*ret = TAKE_FD(fd);
	return 0;
}

int cache_entry_open(struct cache *c, const struct digest *tar,
		     struct cache_entry *ret)
{
	_cleanup_cache_entry_ struct cache_entry e = CACHE_ENTRY_INIT;
	char hex[DIGEST_HEX_SIZE];
	int r;

	e.dir_fd = openat(c->fd, digest_hex(tar, hex),
			  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (e.dir_fd < 0 && errno == ENOENT)
		return CACHE_E_MISSING;
	if (e.dir_fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? -EBADMSG : -errno;
	r = read_present(e.dir_fd, &e.present);
	if (r < 0)
		return r;
	if (!digest_equal(&e.present.tar, tar) ||
	    !present_believed(&e.present, c->boot_id))
		return -EBADMSG;
	r = open_part(e.dir_fd, CACHE_TAR, e.present.tar_size,
		      &e.present.tar_file, &e.tar_fd);
	if (r == 0)
		r = open_part(e.dir_fd, CACHE_INDEX, e.present.index_size,
			      &e.present.index_file, &e.index_fd);
	if (r < 0)
		return r;
	*ret = e;
	e = CACHE_ENTRY_INIT;
	return 0;
}

void cache_stage_name(struct cache *c, char name[static 64])
{
	pthread_mutex_lock(&c->lock);
	snprintf(name, 64, CACHE_STAGE_PREFIX "%u", c->stages++);
	pthread_mutex_unlock(&c->lock);
}

/* As cache_entry_open(), but takes what cannot be believed out of the way. */
static int open_or_drop(struct cache *c, const struct digest *tar,
			struct cache_entry *ret, struct err *err)
{
	char hex[DIGEST_HEX_SIZE], name[64];
	int r;

	cache_stage_name(c, name);
	digest_hex(tar, hex);
	pthread_mutex_lock(&c->lock);
	r = cache_entry_open(c, tar, ret);
	if (r == -EBADMSG)
		r = renameat(c->fd, hex, c->fd, name) < 0 ? -errno : -EBADMSG;
	pthread_mutex_unlock(&c->lock);
	if (r == -EBADMSG) {
		/* What stays is removed when the cache is opened again. */
		(void)remove_tree_at(c->fd, name);
		return CACHE_E_MISSING;
	}
	if (r < 0)
		return err_errno(err, r,
				 "the cache at %s: cannot open layer %s",
				 c->path, hex);
	return r;
}

void cache_layer_release(struct cache_layer *l)
{
	closep(&l->tar_fd);
	closep(&l->index_fd);
}

int cache_layer_open(struct cache *c, const struct digest *tar,
		     struct cache_layer *ret, struct err *err)
{
	_cleanup_cache_entry_ struct cache_entry e = CACHE_ENTRY_INIT;
	int r;

	r = open_or_drop(c, tar, &e, err);
	if (r)
		return r;
	*ret = (struct cache_layer){
		.tar = *tar,
		.object = e.present.object,
		.tar_size = e.present.tar_size,
		.tar_fd = TAKE_FD(e.tar_fd),
		.index_fd = TAKE_FD(e.index_fd),
	};
	return 0;
}

static int sync_file(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = -1;

	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

/* By way of a stage, which does not outlive a crash. */
static int replace_marker(struct cache *c, const struct cache_entry *e,
			  const uint8_t data[static PRESENT_SIZE])
{
	_cleanup_close_ int fd = -1;
	char name[64];
	int r;

	cache_stage_name(c, name);
	fd = openat(c->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_full(fd, data, PRESENT_SIZE);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0)
		r = fault_point("cache.marked");
	if (r == 0 && renameat(c->fd, name, e->dir_fd, CACHE_PRESENT) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(c->fd, name, 0);
		return r;
	}
	return fsync(e->dir_fd) < 0 ? -errno : 0;
}

/* The marker says so last of all, when all that it speaks of is durable. */
static int sync_entry(struct cache *c, struct cache_entry *e)
{
	uint8_t data[PRESENT_SIZE];
	int r;

	if (fsync(e->tar_fd) < 0 || fsync(e->index_fd) < 0)
		return -errno;
	r = sync_file(e->dir_fd, CACHE_OBJECT);
	if (r < 0)
		return r;
	if (fsync(e->dir_fd) < 0 || fsync(c->fd) < 0)
		return -errno;
	r = fault_point("cache.synced");
	if (r < 0)
		return r;
	e->present.state = PRESENT_SYNCED;
	r = present_encode(&e->present, data);
	return r < 0 ? r : replace_marker(c, e, data);
}

int cache_sync_layer(struct cache *c, const struct digest *tar, struct err *err)
{
	_cleanup_cache_entry_ struct cache_entry e = CACHE_ENTRY_INIT;
	char hex[DIGEST_HEX_SIZE];
	int r;

	r = open_or_drop(c, tar, &e, err);
	if (r < 0)
		return r;
	if (r == CACHE_E_MISSING)
		return err_set(err, ENOENT,
			       "layer %s is not in the cache at %s",
			       digest_hex(tar, hex), c->path);
	if (e.present.state == PRESENT_SYNCED)
		return 0;
	r = sync_entry(c, &e);
	return r < 0 ? cache_fail_write(c, r, tar, e.present.tar_size, err) : 0;
}

static uint64_t disk_size(int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

static uint64_t layer_size(int dir_fd)
{
	return disk_size(dir_fd, CACHE_TAR) + disk_size(dir_fd, CACHE_INDEX) +
	       disk_size(dir_fd, CACHE_OBJECT);
}

int cache_each(struct cache *c, cache_fn fn, void *ctx, struct err *err)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *d;
	int r;

	r = cache_open_dir(c, &dir);
	while (r == 0 && (errno = 0, d = readdir(dir))) {
		_cleanup_close_ int fd = -1;
		struct digest tar;

		if (digest_parse(d->d_name, &tar) < 0)
			continue;
		fd = openat(c->fd, d->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			r = fn(&tar, layer_size(fd), ctx);
	}
	if (r == 0 && errno)
		r = -errno;
	return r < 0 ? err_errno(err, r, "cannot list the cache at %s", c->path)
		     : 0;
}

int cache_remove_layer(struct cache *c, const struct digest *tar,
		       uint64_t *ret_bytes, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char hex[DIGEST_HEX_SIZE], name[64];
	uint64_t bytes = 0;
	int r;

	cache_stage_name(c, name);
	digest_hex(tar, hex);
	pthread_mutex_lock(&c->lock);
	r = renameat(c->fd, hex, c->fd, name) < 0 ? -errno : 0;
	pthread_mutex_unlock(&c->lock);
	if (r == 0) {
		fd = openat(c->fd, name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		bytes = fd < 0 ? 0 : layer_size(fd);
		r = remove_tree_at(c->fd, name);
	}
	if (r < 0 && r != -ENOENT)
		return err_errno(err, r,
				 "the cache at %s: cannot remove layer %s",
				 c->path, hex);
	*ret_bytes = bytes;
	return 0;
}

int cache_totals(struct cache *c, uint64_t *ret_layers, uint64_t *ret_bytes,
		 struct err *err)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	uint64_t layers = 0, bytes = 0;
	struct dirent *d;
	int r;

	r = cache_open_dir(c, &dir);
	while (r == 0 && (errno = 0, d = readdir(dir))) {
		_cleanup_cache_entry_ struct cache_entry e = CACHE_ENTRY_INIT;
		struct digest tar;

		if (digest_parse(d->d_name, &tar) < 0 ||
		    cache_entry_open(c, &tar, &e) != 0)
			continue;
		layers++;
		bytes += layer_size(e.dir_fd);
	}
	if (r == 0 && errno)
		r = -errno;
	if (r < 0)
		return err_errno(err, r, "cannot list the cache at %s",
				 c->path);
	*ret_layers = layers;
	*ret_bytes = bytes;
	return 0;
}
