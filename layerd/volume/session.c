/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a session's directory. What must hold:
 *  1. A session directory with a session.json is a session; one without is an
 *     unfinished creation and is removed.
 *  2. Nothing is removed before it was renamed to trash-<id>, so that a crash
 * in the middle of a removal never leaves half a session.
 *  3. The lease is taken before the session becomes visible and given up after
 *     it is gone.
 */
#include "volume/session.h"

#include "mount/apply.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/fd.h"
#include "volume/captured.h"
#include "volume/gc.h"
#include "volume/session-file.h"
#include "volume/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define SESSION_FILE_MAX (1u << 20)

struct session *session_free(struct session *s)
{
	if (!s)
		return NULL;
	closep(&s->dir_fd);
	closep(&s->lock_fd);
	free(s->layers);
	free(s->sealed_layers);
	free(s->volume);
	free(s->path);
	free(s);
	return NULL;
}

void session_freep(struct session **s)
{
	*s = session_free(*s);
}

static struct session *session_new(const char *id)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	snprintf(s->id, sizeof(s->id), "%s", id);
	s->dir_fd = -1;
	s->lock_fd = -1;
	return s;
}

/* Whether the directory that is open is the session's still: 1 or 0. */
static int is_current(struct host *h, const struct session *s)
{
	struct stat now, ours;
	char path[64];

	snprintf(path, sizeof(path), "sessions/%s", s->id);
	if (fstatat(h->state_fd, path, &now, 0) < 0)
		return errno == ENOENT ? 0 : -errno;
	return fstat(s->dir_fd, &ours) < 0 ? -errno : now.st_ino == ours.st_ino;
}

static int open_lock(struct host *h, struct session *s, bool wait,
		     struct err *err)
{
	int r;

	s->lock_fd =
		openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return err_errno(err, errno, "cannot lock session %s", s->id);
	r = lock_fd(s->lock_fd, wait);
	if (r == 0)
		r = is_current(h, s);
	/* It may have ended while we waited: its directory is elsewhere. */
	if (r == 0)
		return -ENOENT;
	if (r == -EWOULDBLOCK)
		return err_set(err, EBUSY,
			       "session %s is being sealed or changed by "
			       "somebody else; try again when that is done",
			       s->id);
	return r < 0 ? err_errno(err, r, "cannot lock session %s", s->id) : 0;
}

int session_open(struct host *h, const char *id, bool lock, bool wait,
		 struct session **ret, struct err *err)
{
	_cleanup_(session_freep) struct session *s = session_new(id);
	_cleanup_buf_ struct buf b = BUF_INIT;
	char path[64];
	int r;

	if (!s)
		return err_oom(err);
	snprintf(path, sizeof(path), "sessions/%s", s->id);
	s->dir_fd =
		openat(h->state_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return errno == ENOENT
			       ? -ENOENT
			       : err_errno(err, errno, "cannot open session %s",
					   id);
	if (lock) {
		r = open_lock(h, s, wait, err);
		if (r < 0)
			return r;
	}
	r = read_file_at(s->dir_fd, "session.json", SESSION_FILE_MAX, &b);
	if (r == -ENOENT)
		return r;
	if (r == 0)
		r = session_decode(b.data, b.size, s);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r < 0)
		return err_errno(err, r,
				 "cannot read %s/%s/session.json; its unsealed "
				 "data is in %s/%s/upper",
				 h->state_dir, path, h->state_dir, path);
	*ret = TAKE_PTR(s);
	return 0;
}

int session_save(struct host *h, struct session *s, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = session_encode(s, &b);

	if (r == 0)
		r = write_file_at(s->dir_fd, "session.json", b.data, b.size,
				  0600);
	return r < 0 ? err_errno(err, r, "cannot write %s/sessions/%s",
				 h->state_dir, s->id)
		     : 0;
}

static bool is_id(const char *name)
{
	return strlen(name) == SESSION_ID_SIZE - 1 &&
	       strspn(name, "0123456789abcdef") == SESSION_ID_SIZE - 1;
}

typedef int (*name_fn)(struct host *h, int dir, const char *name, void *ctx,
		       struct err *err);

/* What is in the directory of the sessions, sessions or not. */
static int each_name(struct host *h, name_fn fn, void *ctx, struct err *err)
{
	struct dirent *d;
	int fd, r = 0;
	DIR *dir;

	fd = openat(h->state_fd, "sessions",
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = err_errno(err, errno, "cannot read %s/sessions",
			      h->state_dir);
		closep(&fd);
		return r;
	}
	while (r == 0 && (errno = 0, d = readdir(dir)))
		r = fn(h, fd, d->d_name, ctx, err);
	if (r == 0 && errno)
		r = err_errno(err, errno, "cannot read %s/sessions",
			      h->state_dir);
	(void)closedir(dir);
	return r;
}

struct each {
	session_fn fn;
	void *ctx;
};

static int on_session(struct host *h, int dir, const char *name, void *ctx,
		      struct err *err)
{
	_cleanup_(session_freep) struct session *s = NULL;
	struct err problem = ERR_INIT;
	const struct each *each = ctx;
	int r;

	(void)dir;
	(void)err;
	if (!is_id(name))
		return 0;
	r = session_open(h, name, false, false, &s, &problem);
	return r == -ENOENT ? 0 : each->fn(name, s, &problem, each->ctx);
}

int session_each(struct host *h, session_fn fn, void *ctx, struct err *err)
{
	struct each each = {.fn = fn, .ctx = ctx};

	return each_name(h, on_session, &each, err);
}

struct find {
	struct host *host;
	const char *volume;
	uint64_t device;
	char id[SESSION_ID_SIZE];
	struct err *err;
};

static int match(const char *id, struct session *s, const struct err *problem,
		 void *ctx)
{
	struct find *f = ctx;
	dev_t device;
	int r;

	/* Whose a damaged one was, nobody can tell. */
	if (!s)
		return problem->code == -EBADMSG
			       ? 0
			       : err_set(f->err, problem->code, "%s",
					 problem->text);
	if (f->volume) {
		if (strcmp(s->volume, f->volume) != 0)
			return 0;
	} else {
		r = session_device(f->host, s, &device);
		if (r < 0 && r != -ENOENT)
			return err_errno(f->err, r,
					 "cannot tell where session %s is "
					 "mounted",
					 id);
		if (r < 0 || device != f->device)
			return 0;
	}
	snprintf(f->id, sizeof(f->id), "%s", id);
	return 1;
}

static int find(struct find *f, bool lock, struct session **ret,
		struct err *err)
{
	int r;

	f->err = err;
	r = session_each(f->host, match, f, err);
	if (r == 0)
		return -ENOENT;
	return r < 0 ? r : session_open(f->host, f->id, lock, true, ret, err);
}

int session_find(struct host *h, const char *volume, bool lock,
		 struct session **ret, struct err *err)
{
	struct find f = {.host = h, .volume = volume};

	return find(&f, lock, ret, err);
}

int session_find_device(struct host *h, uint64_t device, bool lock,
			struct session **ret, struct err *err)
{
	struct find f = {.host = h, .device = device};

	return find(&f, lock, ret, err);
}

static int new_id(char id[static SESSION_ID_SIZE])
{
	uint64_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		return -errno;
	snprintf(id, SESSION_ID_SIZE, "%016llx", (unsigned long long)v);
	return 0;
}

static int copy_layers(const struct version *v, struct version_layer **ret)
{
	*ret = calloc(v->n_layers + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	if (v->n_layers)
		memcpy(*ret, v->layers, v->n_layers * sizeof(**ret));
	return 0;
}

static int take_base(struct host *h, struct session *s,
		     const struct volume *volume, struct err *err)
{
	_cleanup_(version_freep) struct version *v = NULL;
	int r;

	if (!volume->has_head)
		return 0;
	r = gc_keep_version(h, &volume->head, err);
	if (r == 0)
		r = version_load(h, &volume->head, &v, err);
	if (r < 0)
		return r;
	if (copy_layers(v, &s->layers) < 0 ||
	    copy_layers(v, &s->sealed_layers) < 0)
		return err_oom(err);
	s->n_layers = v->n_layers;
	s->n_sealed_layers = v->n_layers;
	s->has_base = true;
	s->base = volume->head;
	s->base_sequence = volume->sequence;
	s->has_sealed = true;
	s->sealed = volume->head;
	return 0;
}

static int make_directories(struct host *h, struct session *s, struct err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "sessions/%s", s->id);
	if (mkdirat(h->state_fd, path, 0700) < 0)
		return err_errno(err, errno, "cannot create %s/%s",
				 h->state_dir, path);
	s->dir_fd =
		openat(h->state_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0 || mkdirat(s->dir_fd, "upper", 0755) < 0 ||
	    mkdirat(s->dir_fd, "work", 0700) < 0 ||
	    fsync_parent_at(h->state_fd, path) < 0)
		return err_errno(err, errno, "cannot fill %s/%s", h->state_dir,
				 path);
	return 0;
}

static int discard(struct host *h, const char *id, struct err *err)
{
	char from[64], to[64];
	int r;

	snprintf(from, sizeof(from), "sessions/%s", id);
	snprintf(to, sizeof(to), "sessions/trash-%s", id);
	if (renameat(h->state_fd, from, h->state_fd, to) < 0)
		r = errno == ENOENT ? 0 : -errno;
	else
		r = fsync_parent_at(h->state_fd, to);
	return r < 0 ? err_errno(err, r, "cannot remove %s/%s", h->state_dir,
				 from)
		     : 0;
}

char *session_capture_name(uint64_t n, char name[static SESSION_CAPTURE_MAX])
{
	snprintf(name, SESSION_CAPTURE_MAX, "captured.%llu",
		 (unsigned long long)n);
	return name;
}

/* Captures that session.json does not name, and a session.json that did not
 * get its name. What stays only takes room. */
static void remove_leftovers(const struct session *s)
{
	char capture[SESSION_CAPTURE_MAX];
	struct dirent *d;
	DIR *dir;
	int fd;

	(void)session_capture_name(s->capture, capture);
	fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		closep(&fd);
		return;
	}
	while ((d = readdir(dir)))
		if (strncmp(d->d_name, "session.json.", 13) == 0 ||
		    (strncmp(d->d_name, "captured.", 9) == 0 &&
		     strcmp(d->d_name, capture) != 0))
			(void)unlinkat(fd, d->d_name, 0);
	(void)closedir(dir);
}

static int tidy(struct host *h, int dir, const char *name, void *ctx,
		struct err *err)
{
	_cleanup_(session_freep) struct session *s = NULL;
	int opened;

	(void)dir;
	(void)ctx;
	if (!is_id(name))
		return 0;
	opened = session_open(h, name, false, false, &s, NULL);
	if (opened == 0)
		remove_leftovers(s);
	return opened == -ENOENT ? discard(h, name, err) : 0;
}

int session_tidy(struct host *h, struct err *err)
{
	return each_name(h, tidy, NULL, err);
}

/* What cannot be removed keeps nothing else. */
static int collect(struct host *h, int dir, const char *name, void *ctx,
		   struct err *err)
{
	int *result = ctx;
	int r;

	if (h->stopping)
		return -ECANCELED;
	if (strncmp(name, "trash-", 6) != 0)
		return 0;
	r = fault_point("session.trash");
	if (r == 0)
		r = remove_tree_until(dir, name, &h->stopping);
	if (r < 0 && r != -ECANCELED)
		*result = err_errno(err, r, "cannot remove %s/sessions/%s",
				    h->state_dir, name);
	return 0;
}

int session_collect_trash(struct host *h, struct err *err)
{
	int result = 0;
	int r = each_name(h, collect, &result, err);

	return r < 0 && r != -ECANCELED ? r : result;
}

int session_create(struct host *h, const char *volume, struct session **ret,
		   struct err *err)
{
	_cleanup_(session_freep) struct session *s = NULL;
	_cleanup_(volume_freep) struct volume *v = NULL;
	char id[SESSION_ID_SIZE];
	int r = new_id(id);

	if (r < 0)
		return err_errno(err, r, "cannot get random bytes");
	s = session_new(id);
	if (!s)
		return err_oom(err);
	s->volume = strdup(volume);
	s->created = time(NULL);
	if (!s->volume)
		return err_oom(err);
	/* A lease without a directory of its session is stale. */
	r = make_directories(h, s, err);
	if (r == 0)
		r = fault_point("session.directories");
	if (r == 0)
		r = open_lock(h, s, true, err);
	if (r == 0)
		r = volume_lease_take(h, volume, id, &s->epoch, err);
	if (r == 0)
		r = fault_point("session.leased");
	if (r == 0)
		r = volume_load(h, volume, &v, err);
	if (r == 0)
		r = take_base(h, s, v, err);
	if (r == 0)
		r = session_save(h, s, err);
	if (r == 0)
		r = fault_point("session.created");
	if (r < 0) {
		/* The first failure is the one to report. */
		(void)discard(h, s->id, NULL);
		(void)volume_lease_release(h, volume, id, NULL);
		return r;
	}
	*ret = TAKE_PTR(s);
	return 0;
}

char *session_mount_path(const struct host *h, const struct session *s)
{
	char *path;

	return asprintf(&path, "%s/%s", h->mount_dir, s->id) < 0 ? NULL : path;
}

int session_remove(struct host *h, struct session *s, struct err *err)
{
	_cleanup_free_ char *path = session_mount_path(h, s);
	int r;

	if (!path)
		return err_oom(err);
	r = mount_drop(path, err);
	if (r < 0)
		return r;
	/* Left behind empty it does no harm. */
	(void)rmdir(path);
	r = fault_point("session.unmounted");
	if (r == 0)
		r = discard(h, s->id, err);
	if (r == 0)
		r = fault_point("session.discarded");
	if (r < 0)
		return r;
	/* The session has ended, whether the store can be written to or not: a
	 * lease of it is stale from now on, and the next session takes it. */
	(void)volume_lease_release(h, s->volume, s->id, NULL);
	return fault_point("session.ended");
}

int session_device(struct host *h, const struct session *s, dev_t *ret)
{
	_cleanup_free_ char *path = session_mount_path(h, s);
	struct stat st;

	if (!path)
		return -ENOMEM;
	if (mount_is_root(path) <= 0 || stat(path, &st) < 0)
		return -ENOENT;
	*ret = st.st_dev;
	return 0;
}

int session_places(struct host *h, const struct session *s, pid_t caller,
		   struct mount_places *ret, struct err *err)
{
	dev_t device;
	int r;

	*ret = (struct mount_places){0};
	r = session_device(h, s, &device);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_errno(err, r,
				 "cannot tell where session %s is mounted",
				 s->id);
	return mount_places_find(device, caller, h->mount_dir, ret, err);
}
