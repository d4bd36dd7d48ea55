/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing of what a daemon works with. What must hold: one daemon a
 * state directory, by a lock that dies with the process; nothing here is
 * mounted or unmounted on close, since mounts outlive the daemon.
 */
#include "volume/host.h"

#include "format/manifest.h"
#include "mount/apply.h"
#include "util/cleanup.h"
#include "util/fd.h"
#include "volume/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>

void host_init_locks(struct host *h)
{
	pthread_mutex_init(&h->sessions_lock, NULL);
	pthread_rwlock_init(&h->volumes_lock, NULL);
	gate_init(&h->gate);
}

struct host *host_free(struct host *h)
{
	if (!h)
		return NULL;
	h->warmer = warmer_free(h->warmer);
	h->catalog = catalog_free(h->catalog);
	h->cache = cache_free(h->cache);
	h->store = store_free(h->store);
	if (h->state_fd >= 0)
		(void)close(h->state_fd);
	if (h->lock_fd >= 0)
		(void)close(h->lock_fd);
	gate_release(&h->gate);
	pthread_rwlock_destroy(&h->volumes_lock);
	pthread_mutex_destroy(&h->sessions_lock);
	free(h->state_dir);
	free(h->runtime_dir);
	free(h->lower_dir);
	free(h->mount_dir);
	free(h->empty_dir);
	free(h);
	return NULL;
}

void host_freep(struct host **h)
{
	*h = host_free(*h);
}

static int make_directory(const char *path, mode_t mode, struct err *err)
{
	int r = mkdir_parents_at(AT_FDCWD, path, mode);

	if (r < 0)
		return err_errno(err, r, "cannot create the directory %s",
				 path);
	return 0;
}

static int read_id(int dirfd, const char *path, char id[static 40],
		   struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = read_file_at(dirfd, path, 64, &b);

	/* Files in /proc have size 0 and are read until they end. */
	if (r == 0 && b.size == 0) {
		_cleanup_close_ int fd =
			openat(dirfd, path, O_RDONLY | O_CLOEXEC);
		ssize_t n;

		r = buf_reserve(&b, 64);
		n = fd < 0 || r < 0 ? 0 : read(fd, b.data, 36);
		b.size = n > 0 ? (size_t)n : 0;
	}
	if (r < 0)
		return r;
	if (b.size < 36)
		return err_set(err, EBADMSG,
			       "%s is not an id of 36 characters; remove it to "
			       "have a new one made",
			       path);
	memcpy(id, b.data, 36);
	id[36] = 0;
	return 0;
}

static int open_ids(struct host *h, struct err *err)
{
	char fresh[40];
	int r;

	if (getrandom(&h->run, sizeof(h->run), 0) != sizeof(h->run))
		return err_errno(err, errno, "cannot get random numbers");
	r = read_id(AT_FDCWD, "/proc/sys/kernel/random/boot_id", h->boot_id,
		    err);
	if (r < 0)
		return err_errno(err, r, "cannot read the kernel's boot id");
	r = read_id(h->state_fd, "host-id", h->id, err);
	if (r != -ENOENT)
		return r;
	r = read_id(AT_FDCWD, "/proc/sys/kernel/random/uuid", fresh, err);
	if (r == 0)
		r = write_file_at(h->state_fd, "host-id", fresh, 36, 0644);
	if (r < 0)
		return err_errno(err, r, "cannot write %s/host-id",
				 h->state_dir);
	memcpy(h->id, fresh, sizeof(fresh));
	return 0;
}

static int refuse_overlay(const char *path, struct err *err)
{
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return err_errno(err, errno, "cannot examine %s", path);
	if (fs.f_type != OVERLAYFS_SUPER_MAGIC)
		return 0;
	return err_set(err, EOPNOTSUPP,
		       "the state directory %s is on overlayfs, which cannot "
		       "hold the upper directory of another overlay; put it on "
		       "a disk file system with LAYERD_STATE_DIR",
		       path);
}

/* Mount options are separated by commas, and EROFS' have no way around it. */
static int refuse_comma(const char *path, struct err *err)
{
	if (!strchr(path, ','))
		return 0;
	return err_set(err, EINVAL,
		       "the state directory %s has a comma in its path, which "
		       "mount options cannot hold; choose another one with "
		       "LAYERD_STATE_DIR",
		       path);
}

static int lock_state(struct host *h, struct err *err)
{
	int r;

	h->lock_fd =
		openat(h->state_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (h->lock_fd < 0)
		return err_errno(err, errno, "cannot open %s/lock",
				 h->state_dir);
	r = lock_fd(h->lock_fd, false);
	if (r == -EWOULDBLOCK)
		return err_set(err, EBUSY,
			       "another layerd uses the state directory %s; "
			       "stop it first, or give this one its own with "
			       "LAYERD_STATE_DIR",
			       h->state_dir);
	return r < 0 ? err_errno(err, r, "cannot lock %s/lock", h->state_dir)
		     : 0;
}

static int open_directories(struct host *h, struct err *err)
{
	const char *const inner[] = {h->empty_dir, h->lower_dir, h->mount_dir};
	int r = refuse_comma(h->state_dir, err);

	if (r == 0)
		r = make_directory(h->state_dir, 0700, err);
	if (r == 0)
		r = refuse_overlay(h->state_dir, err);
	if (r < 0)
		return r;
	h->state_fd = open(h->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->state_fd < 0)
		return err_errno(err, errno, "cannot open %s", h->state_dir);
	r = lock_state(h, err);
	if (r == 0 && mkdirat(h->state_fd, "sessions", 0700) < 0 &&
	    errno != EEXIST)
		r = err_errno(err, errno, "cannot create %s/sessions",
			      h->state_dir);
	if (r == 0)
		r = make_directory(h->runtime_dir, 0755, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(inner); i++)
		r = make_directory(inner[i], 0700, err);
	/* Without the privilege to mount, everything but mounting works. */
	if (r == 0 && geteuid() == 0) {
		r = mount_make_private(h->lower_dir, err);
		if (r == 0)
			r = mount_make_private(h->mount_dir, err);
	}
	return r;
}

static int open_parts(struct host *h, char **ret_notice, struct err *err)
{
	_cleanup_free_ char *store = NULL;
	_cleanup_free_ char *cache = NULL;
	_cleanup_free_ char *catalog = NULL;
	struct rebuilt rebuilt;
	bool other_store;
	int r, state;

	if (asprintf(&store, "%s/store", h->state_dir) < 0 ||
	    asprintf(&cache, "%s/cache", h->state_dir) < 0 ||
	    asprintf(&catalog, "%s/catalog.db", h->state_dir) < 0)
		return err_oom(err);
	r = store_open_dir(&h->store, store, true, err);
	if (r == 0)
		r = cache_open(&h->cache, cache, err);
	if (r < 0)
		return r;
	state = catalog_open(&h->catalog, catalog, err);
	if (state < 0)
		return state;
	if (state == CATALOG_E_CORRUPT && ret_notice)
		*ret_notice = strdup("the catalog was damaged; it was set "
				     "aside as catalog.db.corrupt-* and made "
				     "anew from the store");
	{
		_cleanup_buf_ struct buf id = BUF_INIT;

		r = catalog_get_meta(h->catalog, "store-id", &id, NULL);
		other_store = r < 0 || !buf_str(&id) ||
			      strcmp(buf_str(&id), store_id(h->store)) != 0;
	}
	return other_store ? host_fill_catalog(h, NULL, &rebuilt, err) : 0;
}

int host_open(struct host **ret, const char *state_dir, const char *runtime_dir,
	      char **ret_notice, struct err *err)
{
	_cleanup_(host_freep) struct host *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return err_oom(err);
	h->state_fd = -1;
	h->lock_fd = -1;
	host_init_locks(h);
	h->state_dir = strdup(state_dir);
	h->runtime_dir = strdup(runtime_dir);
	if (asprintf(&h->lower_dir, "%s/lower", runtime_dir) < 0)
		h->lower_dir = NULL;
	if (asprintf(&h->mount_dir, "%s/mounts", runtime_dir) < 0)
		h->mount_dir = NULL;
	if (asprintf(&h->empty_dir, "%s/empty", state_dir) < 0)
		h->empty_dir = NULL;
	if (!h->state_dir || !h->runtime_dir || !h->lower_dir ||
	    !h->mount_dir || !h->empty_dir)
		return err_oom(err);
	r = open_directories(h, err);
	if (r == 0)
		r = open_ids(h, err);
	if (r == 0)
		r = open_parts(h, ret_notice, err);
	if (r == 0)
		r = warmer_new(&h->warmer, h->cache, h->lower_dir, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(h);
	return 0;
}

int progress_report(const struct host *h, const struct progress *p,
		    const char *stage, uint64_t done, uint64_t total,
		    uint64_t files)
{
	if (h->stopping)
		return -ECANCELED;
	if (!p || !p->report)
		return 0;
	return p->report(stage, done, total, files, p->ctx);
}
