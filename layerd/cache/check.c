/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/check.h"

#include "cache/cache-private.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PIECE ((size_t)1 << 20)

DEFINE_CLEANUP(DIR *, closedir)

static int add_digest(struct digest **items, size_t n, const struct digest *d)
{
	struct digest *all = *items;

	if ((n & (n - 1)) == 0) {
		all = reallocarray(all, n ? n * 2 : 1, sizeof(*all));
		if (!all)
			return -ENOMEM;
		*items = all;
	}
	all[n] = *d;
	return 0;
}

int cache_list(struct cache *c, struct digest **ret, size_t *ret_n,
	       struct err *err)
{
	_cleanup_free_ struct digest *items = NULL;
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *d;
	size_t n = 0;
	int r = cache_open_dir(c, &dir);

	while (r == 0 && (errno = 0, d = readdir(dir))) {
		struct digest tar;

		if (digest_parse(d->d_name, &tar) < 0)
			continue;
		r = add_digest(&items, n, &tar);
		n += r == 0;
	}
	if (r == 0 && errno)
		r = -errno;
	if (r < 0)
		return err_errno(err, r, "cannot list the cache at %s",
				 c->path);
	*ret = TAKE_PTR(items);
	*ret_n = n;
	return 0;
}

static int hash_file(int fd, uint64_t size, const atomic_bool *stop,
		     struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *hasher = NULL;
	_cleanup_free_ uint8_t *piece = malloc(PIECE);

	if (!piece || hasher_new(&hasher) < 0)
		return -ENOMEM;
	for (uint64_t at = 0; at < size;) {
		size_t n = (size_t)MIN(size - at, (uint64_t)PIECE);
		int r = stop && *stop ? -ECANCELED
				      : pread_full(fd, piece, n, at);

		if (r < 0)
			return r;
		hasher_add(hasher, piece, n);
		at += n;
	}
	hasher_finish(hasher, ret);
	return 0;
}

static int check_object(const struct cache_entry *e, struct err *err)
{
	_cleanup_layer_object_ struct layer_object object = {0};
	_cleanup_buf_ struct buf raw = BUF_INIT;
	_cleanup_buf_ struct buf index = BUF_INIT;
	struct digest digest;
	int r = read_file_at(e->dir_fd, CACHE_OBJECT, LAYER_OBJECT_MAX, &raw);

	if (r == -ENOMEM || (r == 0 && digest_of(raw.data, raw.size, &digest)))
		return err_oom(err);
	if (r < 0 || !digest_equal(&digest, &e->present.object))
		return err_set(err, EBADMSG,
			       "its copy of the layer object is damaged");
	r = layer_object_decode(raw.data, raw.size, &object, &index,
				LAYER_INDEX_MAX, err);
	if (r < 0)
		return r;
	if (!digest_equal(&object.tar, &e->present.tar) ||
	    object.tar_size != e->present.tar_size)
		return err_set(err, EBADMSG,
			       "its layer object is that of another layer");
	if (file_has(e->index_fd, index.data, index.size) != 1)
		return err_set(err, EBADMSG,
			       "its index is not that of the layer object");
	return 0;
}

/* CACHE_E_MISSING where the marker is of another boot. */
static int explain(struct cache *c, const struct digest *tar, struct err *err)
{
	char hex[DIGEST_HEX_SIZE], path[DIGEST_HEX_SIZE + 16];
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct present present;

	snprintf(path, sizeof(path), "%s/" CACHE_PRESENT, digest_hex(tar, hex));
	if (read_file_at(c->fd, path, PRESENT_SIZE, &b) == 0 &&
	    present_decode(b.data, b.size, &present, NULL) == 0 &&
	    !present_believed(&present, c->boot_id))
		return CACHE_E_MISSING;
	return err_set(err, EBADMSG,
		       "its files are not those that were found whole");
}

static int check_layer(struct cache *c, const struct digest *tar,
		       bool read_data, const atomic_bool *stop, struct err *err)
{
	_cleanup_cache_entry_ struct cache_entry e = CACHE_ENTRY_INIT;
	struct digest actual;
	int r = cache_entry_open(c, tar, &e);

	if (r == -EBADMSG)
		return explain(c, tar, err);
	if (r < 0)
		return err_errno(err, r, "the cache at %s", c->path);
	if (r == 0)
		r = check_object(&e, err);
	if (r || !read_data)
		return r;
	r = hash_file(e.tar_fd, e.present.tar_size, stop, &actual);
	if (r == -ENOMEM || r == -ECANCELED)
		return err_errno(err, r, "the cache at %s", c->path);
	if (r < 0 || !digest_equal(&actual, tar))
		return err_set(err, EBADMSG,
			       "its tarball does not have its digest");
	return 0;
}

/* Whether a layer has another directory, or none, than fd is of. */
static bool is_exchanged(const struct cache *c, const char *name, int fd)
{
	struct stat was, is;

	return fstat(fd, &was) < 0 ||
	       fstatat(c->fd, name, &is, AT_SYMLINK_NOFOLLOW) < 0 ||
	       was.st_dev != is.st_dev || was.st_ino != is.st_ino;
}

/* A directory is emptied only after it has lost its name: what is damaged and
 * still has it was not taken away while it was looked at. */
int cache_check_layer(struct cache *c, const struct digest *tar, bool read_data,
		      const atomic_bool *stop, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(tar, hex);
	for (;;) {
		/* Held, so that its inode is not that of another one. */
		_cleanup_close_ int fd =
			openat(c->fd, hex, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		struct err problem = ERR_INIT;
		int r;

		if (fd < 0 && errno == ENOENT)
			return CACHE_E_MISSING;
		if (fd < 0)
			return err_errno(err, errno, "the cache at %s",
					 c->path);
		r = check_layer(c, tar, read_data, stop, &problem);
		if (r == -EBADMSG && is_exchanged(c, hex, fd))
			continue;
		return r < 0 ? err_set(err, r, "%s", problem.text) : r;
	}
}

bool cache_read_object(struct cache *c, const struct digest *tar,
		       const struct digest *object, struct buf *raw)
{
	char hex[DIGEST_HEX_SIZE], path[DIGEST_HEX_SIZE + 16];
	size_t start = raw->size;
	struct digest actual;

	snprintf(path, sizeof(path), "%s/" CACHE_OBJECT, digest_hex(tar, hex));
	if (read_file_at(c->fd, path, LAYER_OBJECT_MAX, raw) == 0 &&
	    digest_of(raw->data + start, raw->size - start, &actual) == 0 &&
	    digest_equal(&actual, object))
		return true;
	raw->size = start;
	return false;
}

int cache_open_tar(struct cache *c, const struct digest *tar)
{
	char hex[DIGEST_HEX_SIZE], path[DIGEST_HEX_SIZE + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/" CACHE_TAR, digest_hex(tar, hex));
	fd = openat(c->fd, path,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cache_drop(struct cache *c, const struct digest *tar, struct err *err)
{
	char hex[DIGEST_HEX_SIZE], name[64];
	int r = 0;

	cache_stage_name(c, name);
	pthread_mutex_lock(&c->lock);
	if (renameat(c->fd, digest_hex(tar, hex), c->fd, name) < 0)
		r = errno == ENOENT ? CACHE_E_MISSING : -errno;
	pthread_mutex_unlock(&c->lock);
	if (r < 0)
		return err_errno(err, r,
				 "the cache at %s: cannot remove layer %s",
				 c->path, hex);
	/* What stays is removed when the cache is opened again. */
	if (r == 0)
		(void)remove_tree_at(c->fd, name);
	return 0;
}
