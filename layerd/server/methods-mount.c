/* SPDX-License-Identifier: Apache-2.0 */
/* Mount, Unmount, Sessions: what is attached where. */
#include "server/methods.h"

#include "format/reference.h"
#include "mount/apply.h"
#include "server/encode.h"
#include "server/janitor.h"
#include "server/sessions.h"
#include "util/cleanup.h"
#include "util/escape.h"
#include "util/log.h"
#include "volume/gc.h"
#include "volume/mounted.h"
#include "volume/mounting.h"
#include "volume/session.h"

#include <errno.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <time.h>

static int get_path(struct call *c, char **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *text;
	int r = call_need_string(c, "path", &text);

	if (r < 0)
		return r;
	if (unescape_bytes(&b, text) < 0 || !buf_str(&b) || b.data[0] != '/')
		return err_set(&c->err, EINVAL,
			       "the parameter path must be an absolute path");
	*ret = strdup((char *)b.data);
	return *ret ? 0 : err_oom(&c->err);
}

/* One live writer: a session that is attached anywhere is not handed out. */
static int refuse_attached(struct call *c, struct session *s)
{
	_cleanup_mount_places_ struct mount_places places = {0};
	char created[TIME_TEXT_SIZE];
	int r = session_places(c->host, s, c->pid, &places, &c->err);

	if (r < 0 || places.n == 0)
		return r;
	return err_set(&c->err, EBUSY,
		       "volume %s is mounted for writing at %s (session %s, "
		       "since %s); unmount it there, mount it with --ro, or "
		       "fork it to write on your own",
		       s->volume, places.items[0].path, s->id,
		       time_text(s->created, created));
}

static int create_if_missing(struct call *c, const char *volume,
			     struct session **ret)
{
	_cleanup_(session_freep) struct session *other = NULL;
	int r;

	pthread_mutex_lock(&c->host->sessions_lock);
	r = session_find(c->host, volume, false, &other, &c->err);
	if (r == 0)
		r = -EEXIST;
	else if (r == -ENOENT && !c->err.code)
		r = session_create(c->host, volume, ret, &c->err);
	pthread_mutex_unlock(&c->host->sessions_lock);
	return r;
}

static int find_or_create(struct call *c, const char *volume,
			  struct session **ret, bool *ret_resumed)
{
	int r;

	do {
		r = session_find(c->host, volume, true, ret, &c->err);
		*ret_resumed = r == 0;
		if (r == -ENOENT && !c->err.code)
			r = create_if_missing(c, volume, ret);
	} while (r == -EEXIST && !c->err.code);
	if (r == 0)
		r = call_check_caller(c);
	return r < 0 || !*ret_resumed ? r : refuse_attached(c, *ret);
}

/* A session without its own mount and without data is of no use to anybody. */
static void drop_new_session(struct call *c, struct session *s)
{
	if (session_remove(c->host, s, NULL) == 0)
		janitor_wake(c->janitor);
}

static int prepare_session(struct call *c, struct session *s, const char *path)
{
	_cleanup_free_ char *own = session_mount_path(c->host, s);
	_cleanup_close_ int root = -1;
	int r = own ? session_mount(c->host, s, &c->progress, &root, &c->err)
		    : err_oom(&c->err);

	if (r < 0)
		return r;
	free(s->path);
	s->path = strdup(path);
	if (!s->path)
		return err_oom(&c->err);
	r = session_save(c->host, s, &c->err);
	if (r == 0)
		r = mount_copy(own, "/", &c->reply_fd, &c->err);
	if (r == 0 && c->uid != 0)
		r = mount_restrict(c->reply_fd,
				   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
				   &c->err);
	return r;
}

static int mount_session(struct call *c, const char *volume, const char *path)
{
	_cleanup_(session_freep) struct session *s = NULL;
	bool resumed;
	int r;

	r = find_or_create(c, volume, &s, &resumed);
	if (r == 0)
		r = prepare_session(c, s, path);
	if (r < 0) {
		if (s && !resumed)
			drop_new_session(c, s);
		return r;
	}
	c->reply = json_pack(
		"{s:o, s:o, s:s, s:b, s:b}", "source",
		s->has_base ? json_sprintf("%s@%llu", volume,
					   (unsigned long long)s->base_sequence)
			    : json_string(volume),
		"version", s->has_base ? encode_digest(&s->base) : json_null(),
		"session", s->id, "readonly", 0, "resumed", (int)resumed);
	if (!c->reply)
		return err_oom(&c->err);
	log_info("volume %s is mounted at %s, session %s%s", volume, path,
		 s->id, resumed ? ", resumed" : "");
	c->held = TAKE_PTR(s);
	return 0;
}

static int remember_mount(struct call *c, const char *source,
			  const struct digest *version, const char *path)
{
	struct catalog_mount m = {.reference = (char *)source,
				  .version = *version,
				  .path = (char *)path,
				  .boot_id = c->host->boot_id,
				  .created = time(NULL)};
	struct stat st;
	int64_t id;
	int r = gc_keep_version(c->host, version, &c->err);

	if (r < 0)
		return r;
	if (fstat(c->reply_fd, &st) < 0)
		return err_errno(&c->err, errno, "cannot examine a mount");
	m.device = st.st_dev;
	return catalog_add_mount(c->host->catalog, &m, &id, &c->err);
}

static int mount_version(struct call *c, const char *reference,
			 const char *path)
{
	_cleanup_resolved_ struct resolved found = {0};
	_cleanup_(version_freep) struct version *v = NULL;
	char source[DIGEST_HEX_SIZE + 200], hex[DIGEST_HEX_SIZE];
	int r = reference_resolve(c->host, reference, &found, &c->err);

	if (r == 0)
		r = version_load(c->host, &found.version, &v, &c->err);
	if (r < 0)
		return r;
	if (found.sequence)
		snprintf(source, sizeof(source), "%s@%llu", found.volume->name,
			 (unsigned long long)found.sequence);
	else if (found.volume)
		snprintf(source, sizeof(source), "%.190s", reference);
	else
		snprintf(source, sizeof(source), "sha256:%s",
			 digest_hex(&found.version, hex));
	r = mounting_make(c->host, v->layers, v->n_layers, source, NULL, NULL,
			  c->uid != 0, &c->progress, &c->reply_fd, &c->err);
	if (r == 0)
		r = remember_mount(c, source, &found.version, path);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:s, s:o, s:n, s:b, s:b}", "source", source,
			     "version", encode_digest(&found.version),
			     "session", "readonly", 1, "resumed", 0);
	if (!c->reply)
		return err_oom(&c->err);
	log_info("version %s is mounted at %s", source, path);
	return 0;
}

int method_mount(struct call *c)
{
	_cleanup_free_ char *path = NULL;
	struct reference parsed;
	bool readonly = false;
	const char *reference;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = call_get_bool(c, "readonly", &readonly);
	if (r == 0)
		r = get_path(c, &path);
	if (r == 0)
		r = reference_parse(reference, &parsed, &c->err);
	if (r < 0)
		return r;
	return parsed.kind == REFERENCE_NEWEST && !readonly
		       ? mount_session(c, parsed.volume, path)
		       : mount_version(c, reference, path);
}

/* Explains why a mount cannot be unmounted. */
static int report_busy(struct call *c, int code, const char *path, dev_t device)
{
	_cleanup_buf_ struct buf users = BUF_INIT;

	if (code != -EBUSY)
		return err_errno(&c->err, code, "cannot unmount %s", path);
	if (mount_users_describe(device, &users) > 0 && buf_str(&users))
		return err_set(&c->err, EBUSY,
			       "%s is in use by %s; end them, or use --lazy to "
			       "detach it all the same",
			       path, buf_str(&users));
	return err_set(&c->err, EBUSY,
		       "%s is in use, perhaps by a mount below it; unmount "
		       "that first, or use --lazy to detach it all the same",
		       path);
}

static bool is_wanted(const struct mount_place *place, const char *only)
{
	return !only || strcmp(place->path, only) == 0;
}

/* A place may have gone with another one, whose events it received, or with its
 * namespace; one that is locked in a namespace of less privilege stays. */
static int check_detached(struct call *c, struct session *s, const char *only)
{
	_cleanup_mount_places_ struct mount_places left = {0};
	int r = session_places(c->host, s, c->pid, &left, &c->err);

	for (size_t i = 0; r == 0 && i < left.n; i++)
		if (is_wanted(&left.items[i], only))
			r = err_set(&c->err, EBUSY,
				    "%s cannot be unmounted in the mount "
				    "namespace of process %d; end that "
				    "process, or use --lazy to leave it there",
				    left.items[i].path, left.items[i].pid);
	return r;
}

/* Innermost first: a place may be below another. */
static int detach_places(struct call *c, struct session *s, const char *only,
			 bool lazy, const struct mount_places *places)
{
	bool missed = false;
	dev_t device = 0;
	int r = 0;

	(void)session_device(c->host, s, &device);
	for (size_t i = places->n; r == 0 && i-- > 0;) {
		const struct mount_place *place = &places->items[i];

		if (!is_wanted(place, only))
			continue;
		r = mount_detach_in(place->pid, device, place->path, lazy);
		if (r == -EINVAL || r == -ENOENT) {
			missed = true;
			r = 0;
		}
		if (r < 0)
			r = report_busy(c, r, place->path, device);
	}
	return r < 0 || !missed || lazy ? r : check_detached(c, s, only);
}

int unmount_session(struct call *c, struct session *s, const char *only,
		    bool lazy, struct mount_places *ret)
{
	_cleanup_mount_places_ struct mount_places places = {0};
	bool found = !only;
	int r = session_places(c->host, s, c->pid, &places, &c->err);

	if (r < 0)
		return r;
	for (size_t i = 0; !found && i < places.n; i++)
		found = is_wanted(&places.items[i], only);
	if (!found)
		return err_set(&c->err, EINVAL,
			       "%s is inside a mount of volume %s, not its "
			       "mount point; name %s",
			       only, s->volume,
			       places.n ? places.items[0].path : s->volume);
	r = detach_places(c, s, only, lazy, &places);
	if (r < 0) {
		(void)reattach_session(c, s, &places);
		return r;
	}
	*ret = places;
	places = (struct mount_places){0};
	return 0;
}

int refuse_users(struct call *c, struct session *s)
{
	_cleanup_buf_ struct buf users = BUF_INIT;
	dev_t device;
	int r = session_device(c->host, s, &device);

	if (r < 0 && r != -ENOENT)
		return err_errno(&c->err, r,
				 "cannot tell where session %s is mounted",
				 s->id);
	if (r < 0 || mount_users_describe(device, &users) == 0)
		return 0;
	return err_set(&c->err, EBUSY,
		       "volume %s is unmounted but still in use by %s; end "
		       "them, or use --lazy to go on without what they still "
		       "write",
		       s->volume,
		       buf_str(&users) ? buf_str(&users) : "some process");
}

static bool is_attached(struct call *c, struct session *s,
			const struct mount_place *place)
{
	_cleanup_mount_places_ struct mount_places places = {0};
	bool found = false;

	if (session_places(c->host, s, c->pid, &places, NULL) < 0)
		return false;
	for (size_t i = 0; !found && i < places.n; i++)
		found = places.items[i].pid == place->pid &&
			strcmp(places.items[i].path, place->path) == 0;
	return found;
}

int reattach_session(struct call *c, struct session *s,
		     const struct mount_places *places)
{
	_cleanup_free_ char *own = session_mount_path(c->host, s);
	int r = own ? 0 : -ENOMEM;

	for (size_t i = 0; own && i < places->n; i++) {
		const struct mount_place *place = &places->items[i];
		_cleanup_close_ int fd = -1;
		int k;

		/* One place's mount may have brought another's back. */
		if (is_attached(c, s, place))
			continue;
		k = mount_copy(own, place->root, &fd, NULL);
		if (k == 0)
			k = mount_restrict(fd, place->attributes, NULL);
		if (k == 0)
			k = mount_attach_in(place->pid, place->namespace, fd,
					    place->path);
		/* The other places all the same. */
		if (k < 0)
			r = k;
	}
	return r;
}

/* Ends a session that is unmounted at one place, from all the others too: what
 * is still written there would be lost without a word. */
static int discard_session(struct call *c, struct session *s, bool lazy,
			   const struct mount_places *places)
{
	_cleanup_mount_places_ struct mount_places others = {0};
	int r = unmount_session(c, s, NULL, lazy, &others);

	if (r == 0 && !lazy) {
		r = refuse_users(c, s);
		if (r < 0)
			(void)reattach_session(c, s, &others);
	}
	if (r < 0) {
		(void)reattach_session(c, s, places);
		return r;
	}
	r = session_remove(c->host, s, &c->err);
	janitor_wake(c->janitor);
	return r;
}

static int unmount_writable(struct call *c, struct session *s, const char *only,
			    bool lazy, bool discard)
{
	_cleanup_mount_places_ struct mount_places places = {0};
	int r = unmount_session(c, s, only, lazy, &places);

	if (r == 0 && discard)
		r = discard_session(c, s, lazy, &places);
	if (r < 0)
		return r;
	log_info("volume %s is unmounted, session %s %s", s->volume, s->id,
		 discard ? "discarded" : "kept");
	c->reply = json_pack(
		"{s:s, s:s, s:o, s:b}", "session", s->id, "volume", s->volume,
		"path",
		encode_bytes(only ? only
				  : (places.n ? places.items[0].path : NULL)),
		"discarded", (int)discard);
	return c->reply ? 0 : err_oom(&c->err);
}

struct find_mount {
	const struct target *target;
	const char *boot_id;
	int64_t id;
};

static int match_mount(const struct catalog_mount *m, void *ctx)
{
	struct find_mount *f = ctx;

	if (m->device == f->target->device &&
	    strcmp(m->boot_id, f->boot_id) == 0)
		f->id = m->id;
	return 0;
}

static int unmount_readonly(struct call *c, const struct target *t, bool lazy)
{
	struct find_mount find = {.target = t, .boot_id = c->host->boot_id};
	int r;

	r = catalog_each_mount(c->host->catalog, match_mount, &find, &c->err);
	if (r < 0)
		return r;
	if (!find.id)
		return err_set(&c->err, ENOENT,
			       "%s is not a mount of layerd; \"layerctl "
			       "sessions\" lists those there are",
			       t->path);
	r = mount_detach_in(c->pid, (dev_t)t->device, t->path, lazy);
	if (r == -EINVAL)
		return err_set(&c->err, EINVAL,
			       "%s is inside a mount, not its mount point",
			       t->path);
	if (r < 0)
		return report_busy(c, r, t->path, (dev_t)t->device);
	r = catalog_remove_mount(c->host->catalog, find.id, &c->err);
	if (r < 0)
		return r;
	log_info("the version at %s is unmounted", t->path);
	c->reply = json_pack("{s:n, s:n, s:o, s:b}", "session", "volume",
			     "path", encode_bytes(t->path), "discarded", 0);
	return c->reply ? 0 : err_oom(&c->err);
}

int method_unmount(struct call *c)
{
	_cleanup_(session_freep) struct session *s = NULL;
	_cleanup_target_ struct target t = {0};
	bool lazy = false, discard = false;
	int r = call_get_target(c, &t);

	if (r == 0)
		r = call_get_bool(c, "lazy", &lazy);
	if (r == 0)
		r = call_get_bool(c, "discard", &discard);
	if (r < 0)
		return r;
	r = find_target_session(c, &t, &s);
	if (r == 0)
		r = unmount_writable(c, s, t.path, lazy, discard);
	else if (r == -ENOENT && !c->err.code)
		r = unmount_readonly(c, &t, lazy);
	return r;
}

struct list {
	struct call *call;
	json_t *items;
};

static int list_session(const char *id, struct session *s,
			const struct err *problem, void *ctx)
{
	_cleanup_mount_places_ struct mount_places places = {0};
	struct list *list = ctx;
	struct host *h = list->call->host;
	json_t *o;

	if (!s) {
		o = json_pack("{s:s, s:s, s:n, s:s, s:n, s:s, s:n, s:o}", "id",
			      id, "volume", "", "base", "state", "damaged",
			      "path", "created", "", "sealed", "upper",
			      encode_bytes(problem->text));
		return json_array_append_new(list->items, o);
	}
	(void)session_places(h, s, list->call->pid, &places, NULL);
	o = json_pack(
		"{s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "id", id, "volume",
		s->volume, "base",
		s->has_base ? encode_digest(&s->base) : json_null(), "state",
		places.n ? "mounted" : "detached", "path",
		encode_bytes(places.n ? places.items[0].path : s->path),
		"created", encode_time(s->created), "sealed",
		s->has_sealed ? encode_digest(&s->sealed) : json_null(),
		"upper",
		json_sprintf("%s/sessions/%s/upper", h->state_dir, s->id));
	return json_array_append_new(list->items, o);
}

static int list_mount(const struct catalog_mount *m, const char *path,
		      bool attached, void *ctx)
{
	struct list *list = ctx;

	if (!attached)
		return 0;
	return json_array_append_new(
		list->items,
		json_pack("{s:s, s:o, s:o, s:o}", "reference", m->reference,
			  "digest", encode_digest(&m->version), "path",
			  encode_bytes(path), "created",
			  encode_time(m->created)));
}

int method_sessions(struct call *c)
{
	struct list sessions = {.call = c, .items = json_array()};
	struct list mounts = {.call = c, .items = json_array()};
	int r = session_each(c->host, list_session, &sessions, &c->err);

	if (r == 0)
		r = mounted_each(c->host, c->pid, list_mount, &mounts, &c->err);
	c->reply = json_pack("{s:o, s:o}", "sessions", sessions.items, "mounts",
			     mounts.items);
	if (r < 0)
		return c->err.code ? r : err_oom(&c->err);
	return c->reply ? 0 : err_oom(&c->err);
}
