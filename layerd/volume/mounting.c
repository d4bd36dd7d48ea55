/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: a layer is mounted from the cache only when it is complete
 * there and its index says that it is of this layer; a session is always
 * mounted on the layers it was made on.
 */
#include "volume/mounting.h"

#include "format/erofs-reader.h"
#include "mount/apply.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/fd.h"
#include "volume/captured.h"
#include "volume/contents.h"
#include "volume/source.h"
#include "volume/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

struct fill {
	const struct host *host;
	const struct progress *progress;
};

static int report_fill(uint64_t done, uint64_t total, void *ctx)
{
	const struct fill *f = ctx;

	return progress_report(f->host, f->progress, "fetch", done, total, 0);
}

static int open_layer(struct host *h, const struct version_layer *layer,
		      const struct progress *progress, struct cache_layer *ret,
		      struct err *err)
{
	struct fill fill = {.host = h, .progress = progress};
	int r = cache_layer_open(h->cache, &layer->tar, ret, err);

	/* Another version may name another index for the same tarball. */
	if (r == 0 && !digest_equal(&ret->object, &layer->object)) {
		cache_layer_release(ret);
		r = CACHE_E_MISSING;
	}
	if (r != CACHE_E_MISSING)
		return r;
	r = cache_fill(h->cache, h->store, &layer->tar, &layer->object,
		       report_fill, &fill, err);
	if (r == -EBADMSG)
		contents_forget_layer(h, &layer->tar);
	if (r == 0) {
		h->refilled = true;
		r = cache_layer_open(h->cache, &layer->tar, ret, err);
	}
	if (r == CACHE_E_MISSING)
		return err_set(err, EIO,
			       "a layer left the cache while it was to be "
			       "mounted; mount again");
	return r;
}

int mounting_open_layer(struct host *h, const struct version_layer *layer,
			const struct progress *progress,
			struct cache_layer *ret, struct err *err)
{
	unsigned int side = gate_enter(&h->gate);
	int r = open_layer(h, layer, progress, ret, err);

	gate_leave(&h->gate, side);
	return r;
}

static int check_layer(struct host *h, const struct version_layer *layer,
		       const struct progress *progress, struct err *err)
{
	_cleanup_cache_layer_ struct cache_layer cached = CACHE_LAYER_INIT;
	_cleanup_(erofs_reader_freep) struct erofs_reader *reader = NULL;
	char hex[DIGEST_HEX_SIZE];
	int r = mounting_open_layer(h, layer, progress, &cached, err);

	if (r == 0)
		r = erofs_reader_open_fd(&reader, cached.index_fd, err);
	if (r < 0)
		return r;
	if (!digest_equal(erofs_reader_tar(reader), &layer->tar) ||
	    cached.tar_size != layer->tar_size)
		return err_set(err, EBADMSG,
			       "the cache holds another layer under "
			       "sha256:%s; remove %s/%s and mount again",
			       digest_hex(&layer->tar, hex),
			       cache_path(h->cache), hex);
	return 0;
}

static int make_plan(struct host *h, const struct version_layer *layers,
		     size_t n, struct plan_request *request,
		     struct mount_plan *ret, struct err *err)
{
	_cleanup_free_ struct plan_source *sources = NULL;
	_cleanup_buf_ struct buf paths = BUF_INIT;
	const char *cache = cache_path(h->cache);
	size_t size = strlen(cache) + DIGEST_HEX_SIZE + 16;

	sources = calloc(n + 1, sizeof(*sources));
	/* Reserved at once, so that the addresses stay. */
	if (!sources || buf_reserve(&paths, n * 2 * size + 1) < 0)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		char *index = (char *)paths.data + i * 2 * size;
		char hex[DIGEST_HEX_SIZE];

		digest_hex(&layers[i].tar, hex);
		snprintf(index, size, "%s/%s/index", cache, hex);
		snprintf(index + size, size, "%s/%s/tar", cache, hex);
		sources[i] = (struct plan_source){.object = layers[i].object,
						  .index = index,
						  .data = index + size};
	}
	request->layers = sources;
	request->n_layers = n;
	request->lower_root = h->lower_dir;
	request->empty = h->empty_dir;
	return mount_plan_make(request, ret, err);
}

struct used {
	struct host *host;
	struct digest *items;
	size_t n;
};

static int use_layers(struct used *u, const struct version_layer *layers,
		      size_t n)
{
	struct digest *items;

	items = reallocarray(u->items, u->n + n + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	u->items = items;
	for (size_t i = 0; i < n; i++)
		items[u->n++] = layers[i].object;
	return 0;
}

static int use_session(const char *id, struct session *s,
		       const struct err *problem, void *ctx)
{
	(void)id;
	if (s)
		return use_layers(ctx, s->layers, s->n_layers);
	return problem->code == -EBADMSG ? 0 : problem->code;
}

static int use_mount(const struct catalog_mount *m, void *ctx)
{
	_cleanup_(version_freep) struct version *v = NULL;
	struct used *u = ctx;
	int r = version_load(u->host, &m->version, &v, NULL);

	if (r == 0)
		return use_layers(u, v->layers, v->n_layers);
	return r == -ENOMEM ? r : 0;
}

static bool is_used(const struct used *u, const char *name)
{
	struct digest object;

	if (digest_parse(name, &object) < 0)
		return true;
	for (size_t i = 0; i < u->n; i++)
		if (digest_equal(&u->items[i], &object))
			return true;
	return false;
}

/* With the lock held. */
static int sweep(struct host *h, struct err *err)
{
	struct used used = {.host = h};
	struct dirent *d;
	DIR *dir = NULL;
	int r = session_each(h, use_session, &used, err);

	if (r == 0)
		r = catalog_each_mount(h->catalog, use_mount, &used, err);
	if (r == 0)
		dir = opendir(h->lower_dir);
	while (dir && (d = readdir(dir))) {
		_cleanup_free_ char *path = NULL;

		if (is_used(&used, d->d_name) ||
		    asprintf(&path, "%s/%s", h->lower_dir, d->d_name) < 0)
			continue;
		/* What cannot be removed now is tried again next time. */
		if (mount_drop(path, NULL) == 0)
			(void)rmdir(path);
	}
	if (dir)
		(void)closedir(dir);
	free(used.items);
	if (r < 0 && err && !err->code)
		return err_errno(err, r, "cannot tell which layers are in use");
	return r;
}

int mounting_sweep(struct host *h, struct err *err)
{
	int r;

	pthread_mutex_lock(&h->sessions_lock);
	r = sweep(h, err);
	pthread_mutex_unlock(&h->sessions_lock);
	return r;
}

/* The topmost first: it has what was written last. */
static void warm_images(struct host *h, struct mount_plan *plan,
			const struct version_layer *layers, size_t n)
{
	for (size_t i = n; i-- > 0;)
		for (size_t k = 0; k < plan->n_images; k++) {
			struct plan_image *image = &plan->images[k];

			if (!image->mounted ||
			    !digest_equal(&image->object, &layers[i].object))
				continue;
			image->mounted = false;
			warmer_add(h->warmer, &layers[i].tar,
				   &layers[i].object);
		}
}

/* With the lock held. */
static int apply(struct host *h, struct mount_plan *plan, int *ret_fd,
		 struct err *err)
{
	int r = 0;

	if (atomic_exchange(&h->refilled, false)) {
		r = sweep(h, err);
		if (r < 0)
			h->refilled = true;
	}
	return r < 0 ? r : mount_plan_apply(plan, ret_fd, err);
}

int mounting_make(struct host *h, const struct version_layer *layers, size_t n,
		  const char *source, const char *upper, const char *work,
		  bool restricted, const struct progress *progress, int *ret_fd,
		  struct err *err)
{
	_cleanup_mount_plan_ struct mount_plan plan = MOUNT_PLAN_INIT;
	struct plan_request request = {.source = source,
				       .upper = upper,
				       .work = work,
				       .restricted = restricted};
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_layer(h, &layers[i], progress, err);
	if (r == 0)
		r = make_plan(h, layers, n, &request, &plan, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&h->sessions_lock);
	r = apply(h, &plan, ret_fd, err);
	pthread_mutex_unlock(&h->sessions_lock);
	if (r == 0)
		warm_images(h, &plan, layers, n);
	return r;
}

/* to is the root of the overlay: overlayfs escapes xattrs of a nested one, and
 * goes by what it knows of the owner and mode, not by the upper directory's. */
static int copy_root(int from, int to, struct err *err)
{
	struct source source = {0};
	struct entry root = {0};
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;
	int r = 0;

	if (fstat(from, &st) < 0)
		r = -errno;
	if (r == 0)
		r = source_read(&source, from, -1, "", &st, true, &root);
	for (size_t i = 0; r == 0 && i < root.n_xattrs; i++)
		if (fsetxattr(to, root.xattrs[i].name, root.xattrs[i].value,
			      root.xattrs[i].size, 0) < 0)
			r = -errno;
	times[1] = st.st_mtim;
	if (r == 0 &&
	    (fchown(to, st.st_uid, st.st_gid) < 0 ||
	     fchmod(to, st.st_mode & 07777) < 0 || futimens(to, times) < 0))
		r = -errno;
	source_release(&source);
	return r < 0 ? err_errno(err, r,
				 "cannot copy the root's attributes to the "
				 "mount")
		     : 0;
}

/* The first capture: an upper directory with nothing in it. */
static int capture_empty(struct session *s, int upper, struct err *err)
{
	_cleanup_(captured_writer_freep) struct captured_writer *w = NULL;
	_cleanup_close_ int fd = -1;
	struct timespec now;
	struct captured root = {.name = ""};
	struct stat st;
	uint64_t offset;
	int r;

	if (fstat(upper, &st) < 0)
		return err_errno(err, errno,
				 "cannot examine an upper "
				 "directory");
	root.mode = st.st_mode;
	root.uid = st.st_uid;
	root.gid = st.st_gid;
	root.inode = st.st_ino;
	root.ctime_ns =
		(int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
	clock_gettime(CLOCK_REALTIME, &now);
	fd = openat(s->dir_fd, "captured.1",
		    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : captured_writer_new(&w, fd);
	if (r == 0)
		r = captured_add(w, &root, &offset);
	if (r == 0)
		r = captured_finish(w, (int64_t)now.tv_sec * 1000000000 +
					       now.tv_nsec);
	if (r < 0)
		return err_errno(err, r, "cannot write a session's capture");
	s->capture = 1;
	return 0;
}

/*
 * Gives a new session's mount the root of the version below. overlayfs marks
 * the upper root when it is mounted, so the capture comes after the mount.
 */
static int prepare_upper(struct host *h, struct session *s, int mount_fd,
			 struct err *err)
{
	_cleanup_free_ char *base = NULL;
	_cleanup_close_ int from = -1;
	_cleanup_close_ int merged = -1;
	_cleanup_close_ int upper = -1;
	char hex[DIGEST_HEX_SIZE];
	int r;

	if (s->capture || !s->n_layers)
		return 0;
	/* A version's root is in every layer that has changes at all, so the
	 * topmost layer has the newest. */
	if (asprintf(&base, "%s/%s", h->lower_dir,
		     digest_hex(&s->layers[s->n_layers - 1].object, hex)) < 0)
		return err_oom(err);
	from = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	upper = openat(s->dir_fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0 || upper < 0)
		return err_errno(err, errno, "cannot open the root of %s",
				 from < 0 ? base : "an upper directory");
	merged = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (merged < 0)
		return err_errno(err, errno, "cannot open the new mount");
	r = copy_root(from, merged, err);
	if (r == 0)
		r = capture_empty(s, upper, err);
	return r < 0 ? r : session_save(h, s, err);
}

static int attach_own(struct host *h, struct session *s, const char *path,
		      const struct progress *progress, struct err *err)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *upper = NULL;
	_cleanup_free_ char *work = NULL;
	char source[192];
	int r;

	if (s->has_base)
		snprintf(source, sizeof(source), "%s@%llu", s->volume,
			 (unsigned long long)s->base_sequence);
	else
		snprintf(source, sizeof(source), "%s", s->volume);
	if (asprintf(&upper, "%s/sessions/%s/upper", h->state_dir, s->id) < 0 ||
	    asprintf(&work, "%s/sessions/%s/work", h->state_dir, s->id) < 0)
		return err_oom(err);
	r = mounting_make(h, s->layers, s->n_layers, source, upper, work, false,
			  progress, &fd, err);
	if (r == 0)
		r = prepare_upper(h, s, fd, err);
	if (r < 0)
		return r;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot create %s", path);
	r = fault_point("mount.prepared");
	if (r == 0)
		r = mount_attach(fd, path, err);
	return r == 0 ? fault_point("mount.attached") : r;
}

int session_mount(struct host *h, struct session *s,
		  const struct progress *progress, int *ret_root_fd,
		  struct err *err)
{
	_cleanup_free_ char *path = session_mount_path(h, s);
	int r = 0;

	if (!path)
		return err_oom(err);
	if (mount_is_root(path) <= 0)
		r = attach_own(h, s, path, progress, err);
	if (r < 0)
		return r;
	*ret_root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_root_fd < 0 ? err_errno(err, errno, "cannot open %s", path)
				: 0;
}
