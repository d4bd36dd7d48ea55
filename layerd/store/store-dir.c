/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A store in a directory: keys are paths below it.
 *
 *   object   O_TMPFILE -> write -> fsync -> link    -> fsync of its directory
 *   record   lock      -> compare -> as above, but rename over the old one
 *
 * What must hold besides what store/durable.c says of the steps above:
 *  1. No call leaves the directory or follows a link in it, whoever filled it:
 *     all opening goes through store/beneath.h.
 *  2. A record changes only under the lock of its directory, ".lock".
 *
 * Names that begin with a dot are ours and never listed.
 */

#include "store/beneath.h"
#include "store/directory.h"
#include "store/durable.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define RECORD_MAX (16u << 20)
#define WRITE_BACK_SIZE (4u << 20)

struct store_dir {
	struct store store;
	int fd;
	struct durable durable; /* of fd */
};

struct dir_upload {
	struct store_upload upload;
	struct staged file;
	uint64_t size;
	uint64_t started; /* write-back has begun up to here */
};

static struct store_dir *as_dir(struct store *s)
{
	return (struct store_dir *)s;
}

static int fail_place(struct store_dir *d, const char *key, struct err *err)
{
	return err_set(err, EBADMSG,
		       "the store at %s is damaged: %s is no plain file inside "
		       "of it; look at what stands in its way",
		       d->store.name, key);
}

static int fail_read(struct store_dir *d, int r, const char *key,
		     struct err *err)
{
	switch (-r) {
	case ENOENT:
		return r;
	case ENOMEM:
		return err_oom(err);
	case ELOOP:
	case EXDEV:
	case ENOTDIR:
	case EISDIR:
	case EBADMSG:
	case ENXIO:
		return fail_place(d, key, err);
	case ENODATA:
		return err_set(err, EBADMSG,
			       "the store at %s is damaged: %s is shorter than "
			       "it has to be",
			       d->store.name, key);
	default:
		return err_errno(err, r, "the store at %s: cannot read %s",
				 d->store.name, key);
	}
}

static int fail_write(struct store_dir *d, int r, const char *key,
		      uint64_t size, struct err *err)
{
	switch (-r) {
	case ENOSPC:
	case EDQUOT:
		return err_set(err, r,
			       "the store at %s is full: %s (%llu bytes) could "
			       "not be written; nothing was lost, free some "
			       "space there and run the same command again",
			       d->store.name, key, (unsigned long long)size);
	case EROFS:
		return err_set(err, r,
			       "the store at %s is read-only: %s (%llu bytes) "
			       "could not be written; nothing was lost, make "
			       "it writable and run the same command again",
			       d->store.name, key, (unsigned long long)size);
	case EACCES:
	case EPERM:
		return err_set(err, r,
			       "no permission to write %s into the store at "
			       "%s; run as the owner of that directory",
			       key, d->store.name);
	case ENOENT:
		return err_set(err, EIO,
			       "the store at %s was removed while %s was being "
			       "written",
			       d->store.name, key);
	case ENOMEM:
		return err_oom(err);
	case ELOOP:
	case EXDEV:
	case ENOTDIR:
	case EISDIR:
	case EBADMSG:
		return fail_place(d, key, err);
	default:
		return err_errno(err, r,
				 "the store at %s: cannot write %s "
				 "(%llu bytes)",
				 d->store.name, key, (unsigned long long)size);
	}
}

static int dir_write(struct store *s, const char *key, const void *data,
		     size_t size, enum store_write how, struct err *err)
{
	struct store_dir *d = as_dir(s);
	bool same = false;
	int r = 0;

	if (how == STORE_WRITE_PUT)
		r = durable_settle(&d->durable, key, size, &same);
	if (r == 0 && !same)
		r = durable_write(&d->durable, key, data, size, how);
	if (r == -EEXIST)
		return err_set(err, r, "the store at %s has %s already",
			       s->name, key);
	return r < 0 ? fail_write(d, r, key, size, err) : 0;
}

static int dir_get(struct store *s, const char *key, size_t max, struct buf *b,
		   struct err *err)
{
	struct store_dir *d = as_dir(s);
	_cleanup_close_ int fd = -1;
	uint64_t size;
	int r;

	r = beneath_open_file(d->fd, key, &fd, &size);
	if (r < 0)
		return fail_read(d, r, key, err);
	if (size > max)
		return err_set(err, EFBIG,
			       "the store at %s: %s has %llu bytes, more than "
			       "the %zu that are allowed for it",
			       s->name, key, (unsigned long long)size, max);
	if (buf_reserve(b, size) < 0)
		return err_oom(err);
	r = pread_full(fd, b->data + b->size, size, 0);
	if (r < 0)
		return fail_read(d, r, key, err);
	b->size += size;
	return 0;
}

static int dir_get_range(struct store *s, const char *key, uint64_t offset,
			 size_t length, void *data, struct err *err)
{
	struct store_dir *d = as_dir(s);
	_cleanup_close_ int fd = -1;
	uint64_t size;
	int r;

	r = beneath_open_file(d->fd, key, &fd, &size);
	if (r == 0 && (offset > size || length > size - offset))
		r = -ENODATA;
	if (r == 0)
		r = pread_full(fd, data, length, offset);
	return r < 0 ? fail_read(d, r, key, err) : 0;
}

static int dir_size(struct store *s, const char *key, uint64_t *ret,
		    struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r = beneath_open_file(as_dir(s)->fd, key, &fd, ret);

	return r < 0 ? fail_read(as_dir(s), r, key, err) : 0;
}

static int tag_of(const void *data, size_t size, struct store_tag *ret)
{
	struct digest d;
	int r = digest_of(data, size, &d);

	if (r == 0)
		digest_hex(&d, ret->text);
	return r;
}

static int dir_read_record(struct store *s, const char *key, size_t max,
			   struct buf *b, struct store_tag *ret,
			   struct err *err)
{
	size_t before = b->size;
	int r = dir_get(s, key, max, b, err);

	if (r < 0)
		return r;
	if (tag_of(b->data + before, b->size - before, ret) < 0)
		return err_oom(err);
	return 0;
}

/* 0 or STORE_E_CHANGED. */
static int compare_record(struct store *s, const char *key,
			  const struct store_tag *tag, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct store_tag now;
	int r;

	r = dir_read_record(s, key, RECORD_MAX, &b, &now, err);
	if (r == -ENOENT)
		return tag ? STORE_E_CHANGED : 0;
	if (r < 0)
		return r;
	if (!tag || strcmp(tag->text, now.text) != 0)
		return STORE_E_CHANGED;
	return 0;
}

static int dir_swap_record(struct store *s, const char *key,
			   const struct store_tag *tag, const void *data,
			   size_t size, struct store_tag *ret, struct err *err)
{
	struct store_dir *d = as_dir(s);
	_cleanup_close_ int lock = -1;
	char dir[STORE_KEY_MAX];
	struct store_tag made;
	int r;

	if (tag_of(data, size, &made) < 0)
		return err_oom(err);
	(void)durable_split(key, dir);
	r = directory_lock(&d->durable, dir, &lock);
	if (r < 0)
		return fail_write(d, r, key, size, err);
	r = compare_record(s, key, tag, err);
	if (r)
		return r;
	r = durable_write(&d->durable, key, data, size, STORE_WRITE_REPLACE);
	if (r < 0)
		return fail_write(d, r, key, size, err);
	if (ret)
		*ret = made;
	return 0;
}

static int dir_upload_new(struct store *s, uint64_t size_hint,
			  struct store_upload **ret, struct err *err)
{
	struct dir_upload *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return err_oom(err);
	u->upload.store = s;
	r = staged_open(&u->file, as_dir(s)->fd);
	if (r < 0) {
		free(u);
		return fail_write(as_dir(s), r, "a new object", size_hint, err);
	}
	*ret = &u->upload;
	return 0;
}

static int dir_upload_add(struct store_upload *upload, const void *data,
			  size_t size, struct err *err)
{
	struct dir_upload *u = (struct dir_upload *)upload;
	int r;

	r = write_full(u->file.fd, data, size);
	if (r < 0)
		return fail_write(as_dir(upload->store), r, "a new object",
				  u->size + size, err);
	u->size += size;
	if (u->size - u->started >= WRITE_BACK_SIZE) {
		/* Only a head start for the fsync, which reports errors. */
		(void)sync_file_range(u->file.fd, (off_t)u->started,
				      (off_t)(u->size - u->started),
				      SYNC_FILE_RANGE_WRITE);
		u->started = u->size;
	}
	return 0;
}

static int dir_upload_finish(struct store_upload *upload, const char *key,
			     struct err *err)
{
	struct dir_upload *u = (struct dir_upload *)upload;
	struct store_dir *d = as_dir(upload->store);
	bool same = false;
	int r;

	r = durable_settle(&d->durable, key, u->size, &same);
	if (r == 0 && !same)
		r = durable_publish(&d->durable, &u->file, key, u->size,
				    STORE_WRITE_PUT);
	return r < 0 ? fail_write(d, r, key, u->size, err) : 0;
}

static void dir_upload_free(struct store_upload *upload)
{
	struct dir_upload *u = (struct dir_upload *)upload;

	staged_release(&u->file);
	free(u);
}

static int dir_list(struct store *s, const char *prefix, unsigned int levels,
		    store_key_fn fn, void *ctx, struct err *err)
{
	struct beneath_walk w = {.fd = as_dir(s)->fd,
				 .top = s->name,
				 .fn = fn,
				 .ctx = ctx,
				 .levels = levels};

	return beneath_walk(&w, prefix, err);
}

static int dir_list_names(struct store *s, const char *prefix, store_key_fn fn,
			  void *ctx, struct err *err)
{
	struct beneath_walk w = {
		.fd = as_dir(s)->fd, .top = s->name, .fn = fn, .ctx = ctx};

	return beneath_names(&w, prefix, err);
}

static int dir_remove(struct store *s, const char *key, struct err *err)
{
	_cleanup_close_ int dir_fd = -1;
	char dir[STORE_KEY_MAX];
	const char *name = durable_split(key, dir);
	int r;

	dir_fd = beneath_open(as_dir(s)->fd, *dir ? dir : ".",
			      O_RDONLY | O_DIRECTORY);
	if (dir_fd == -ENOENT)
		return 0;
	if (dir_fd < 0)
		return fail_read(as_dir(s), dir_fd, key, err);
	r = fault_point("store-remove");
	if (r == 0 && unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		r = -errno;
	return r < 0 ? err_errno(err, r, "the store at %s: cannot remove %s",
				 s->name, key)
		     : 0;
}

static int dir_sync_removed(struct store *s, const char *prefix,
			    struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r = fault_point("store-sync-removed");

	if (r == 0)
		fd = beneath_open(as_dir(s)->fd, prefix,
				  O_RDONLY | O_DIRECTORY);
	if (fd == -ENOENT)
		return 0;
	if (r == 0 && fd < 0)
		return fail_read(as_dir(s), fd, prefix, err);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? err_errno(err, r, "the store at %s: cannot sync %s",
				 s->name, prefix)
		     : 0;
}

static int dir_drop(struct store *s, const char *prefix, struct err *err)
{
	int r = fault_point("store-drop");

	if (r == 0)
		r = directory_drop(&as_dir(s)->durable, prefix);
	return r < 0 ? err_errno(err, r, "the store at %s: cannot remove %s",
				 s->name, prefix)
		     : 0;
}

static int dir_tidy(struct store *s, uint64_t *files, uint64_t *bytes,
		    struct err *err)
{
	(void)err;
	staged_collect(as_dir(s)->fd, STAGED_ENDED_SECONDS, files, bytes);
	return 0;
}

static void dir_free(struct store *s)
{
	struct store_dir *d = as_dir(s);

	condemned_release(&s->condemned);
	durable_release(&d->durable);
	closep(&d->fd);
	free(s->name);
	free(d);
}

static const struct store_ops dir_ops = {
	.free = dir_free,
	.get = dir_get,
	.get_range = dir_get_range,
	.size = dir_size,
	.write = dir_write,
	.read_record = dir_read_record,
	.swap_record = dir_swap_record,
	.upload_new = dir_upload_new,
	.upload_add = dir_upload_add,
	.upload_finish = dir_upload_finish,
	.upload_free = dir_upload_free,
	.list = dir_list,
	.list_names = dir_list_names,
	.remove = dir_remove,
	.sync_removed = dir_sync_removed,
	.drop = dir_drop,
	.tidy = dir_tidy,
};

static int open_top(const char *path, bool create, int *ret_fd, struct err *err)
{
	int fd, r;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && create) {
		r = directory_make(path);
		if (r < 0)
			return err_errno(err, r, "cannot create a store at %s",
					 path);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno == ENOENT)
		return err_set(err, ENOENT, "there is no store at %s", path);
	return err_errno(err, errno, "cannot open the store at %s", path);
}

/* What mkfs and our own unfinished writes leave behind. */
static bool is_no_object(const char *name)
{
	return strcmp(name, "lost+found") == 0 ||
	       strncmp(name, STAGED_PREFIX, strlen(STAGED_PREFIX)) == 0;
}

static int create_config(struct store_dir *d, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r;

	r = store_config_encode(&b, err);
	if (r < 0)
		return r;
	r = durable_write(&d->durable, STORE_CONFIG_KEY, b.data, b.size,
			  STORE_WRITE_CREATE);
	/* Somebody else may have created the store meanwhile. */
	if (r < 0 && r != -EEXIST)
		return fail_write(d, r, STORE_CONFIG_KEY, b.size, err);
	return 0;
}

static int read_config(struct store_dir *d, struct buf *b, bool create,
		       struct err *err)
{
	bool empty;
	int r;

	r = dir_get(&d->store, STORE_CONFIG_KEY, STORE_CONFIG_MAX, b, err);
	if (r != -ENOENT)
		return r;
	r = directory_is_empty(d->fd, is_no_object, &empty);
	if (r < 0)
		return err_errno(err, r, "cannot list %s", d->store.name);
	if (empty && !create)
		return err_set(err, ENOENT, "there is no store at %s",
			       d->store.name);
	if (empty) {
		r = create_config(d, err);
		if (r < 0)
			return r;
	}
	r = dir_get(&d->store, STORE_CONFIG_KEY, STORE_CONFIG_MAX, b, err);
	if (r == -ENOENT)
		return err_set(err, EBADMSG,
			       "%s is not a store: it has no " STORE_CONFIG_KEY
			       " and is not empty; name another directory",
			       d->store.name);
	return r;
}

static bool is_no_content(const char *name)
{
	return strcmp(name, STORE_CONFIG_KEY) == 0 || is_no_object(name);
}

/*
 * The place of volumes is there before anything else, so that its lack is told
 * from a loss. Durable, as all that comes after it is.
 */
static int make_volumes(struct store_dir *d, struct err *err)
{
	_cleanup_close_ int fd = -1;
	bool empty;
	int r = directory_is_empty(d->fd, is_no_content, &empty);

	if (r < 0)
		return err_errno(err, r, "cannot list %s", d->store.name);
	if (!empty)
		return 0;
	fd = durable_open_dir(&d->durable, "volumes");
	/* Of what cannot be written nothing is deleted either. */
	if (fd == -EROFS)
		return 0;
	return fd < 0 ? fail_write(d, fd, "volumes", 0, err) : 0;
}

static int dir_new(struct store_dir **ret, const char *path, int fd)
{
	struct store_dir *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->store.ops = &dir_ops;
	d->store.name = strdup(path);
	if (!d->store.name || durable_init(&d->durable, fd) < 0) {
		free(d->store.name);
		free(d);
		return -ENOMEM;
	}
	condemned_init(&d->store.condemned);
	d->fd = fd;
	*ret = d;
	return 0;
}

int store_open_dir(struct store **ret, const char *path, bool create,
		   struct err *err)
{
	_cleanup_(store_freep) struct store *s = NULL;
	_cleanup_buf_ struct buf config = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct store_dir *d;
	int r;

	r = open_top(path, create, &fd, err);
	if (r < 0)
		return r;
	r = dir_new(&d, path, fd);
	if (r < 0)
		return err_oom(err);
	(void)TAKE_FD(fd);
	s = &d->store;
	r = read_config(d, &config, create, err);
	if (r == 0)
		r = store_config_decode(&config, path, s->id, err);
	if (r == 0 && create)
		r = make_volumes(d, err);
	if (r < 0)
		return r;
	staged_collect(d->fd, STAGED_STALE_SECONDS, NULL, NULL);
	*ret = TAKE_PTR(s);
	return 0;
}
