/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rename in steps, each durable before the next:
 *
 *      OLD                     NEW
 *   1. moving to NEW                               rename.marked
 *   2.                         moving from OLD     rename.reserved
 *   3.                         its numbers         rename.copied
 *   4. moved                                       rename.moved
 *   5.                         a volume like any   rename.released
 *   6. its numbers removed, then its record        rename.ended
 *
 * What must hold:
 *  1. Step 1 is a compare-and-swap on a record without a lease: a session, a
 *     seal or a tag comes before it or fails. From then on nobody writes OLD.
 *  2. Step 2 creates the record: when NEW is somebody else's by then, the mark
 *     is taken back. From then on nobody else makes NEW.
 *  3. All of OLD is at NEW before any of it is removed. A record that is marked
 *     tells the other name, so whoever finds one can go on from there; nobody
 *     uses one as it is.
 *  4. OLD is never created again by what is left of it: a power cut that brings
 *     its record back brings it back as moved, which is only ever removed.
 *  5. From step 2 on host->volumes_lock is held for reading: what others remove
 *     of either name, they remove before that or when all is done.
 *  6. Whoever completes a rename is inside host->gate, and takes each version
 *     back from a collector before the other name has it: that may have looked
 *     for versions at NEW before they were there, and at OLD after they went.
 *
 * Readers of format 1 refuse marked records, whose format is 2.
 */
#include "volume/rename.h"

#include "catalog/entries.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "volume/gc.h"
#include "volume/remove.h"
#include "volume/session.h"
#include "volume/volume-private.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

/* So often somebody else may be at the same rename. */
#define SETTLE_TRIES 16

/* More than a digest takes, of one that may be damaged. */
#define SEQUENCE_OBJECT_MAX 4096

/* One at a time in this process, with host->volumes_lock held; others are told
 * apart by compare-and-swap. */
static pthread_mutex_t settling = PTHREAD_MUTEX_INITIALIZER;

static bool is_name(const char *name, const char *other)
{
	return name && strcmp(name, other) == 0;
}

static int taken(const char *from, const char *to, struct err *err)
{
	return err_set(err, EEXIST,
		       "there is a volume %s already; volume %s keeps its name",
		       to, from);
}

static int keep(struct host *h, const struct digest *version, const char *name,
		struct err *err)
{
	int r = gc_keep_version(h, version, err);

	/* The volume is there. */
	return r == -ENOENT ? err_prefix(err, -EBADMSG, "volume %s", name) : r;
}

/* What a record names. */
static int keep_named(struct host *h, const struct volume *v, struct err *err)
{
	int r = v->has_head ? keep(h, &v->head, v->name, err) : 0;

	for (size_t i = 0; r == 0 && i < v->n_tags; i++)
		r = keep(h, &v->tags[i].version, v->name, err);
	return r;
}

/* Step 2, or the way back from step 1: -EEXIST. */
static int reserve(struct host *h, struct volume *old, struct err *err)
{
	_cleanup_(volume_freep) struct volume *new = NULL;
	char *name = old->name, *to = old->moving_to;
	struct store_tag record = old->record;
	int r = keep_named(h, old, err);

	if (r < 0)
		return r;
	/* The record is the old one's under the other name. */
	old->name = to;
	old->moving_from = name;
	old->moving_to = NULL;
	r = volume_write_new(h, old, err);
	old->name = name;
	old->moving_from = NULL;
	old->moving_to = to;
	old->record = record;
	if (r != -EEXIST)
		return r;
	r = volume_read(h, to, &new, err);
	if (r == -ENOENT)
		return -ESTALE;
	if (r < 0 || is_name(new->moving_from, name))
		return r;
	freep(&old->moving_to);
	r = volume_write(h, old, err);
	return r < 0 ? r : taken(old->name, new->name, err);
}

/* As it is, whatever it holds; where a volume half made has left a number
 * under the new name, which is reserved now, this one takes its place. */
static int copy_number(struct host *h, const struct volume *old,
		       uint64_t sequence, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT, other = BUF_INIT;
	char from[STORE_KEY_MAX], to[STORE_KEY_MAX];
	struct err problem = ERR_INIT;
	struct digest version;
	int r;

	store_key_sequence(from, old->name, sequence);
	store_key_sequence(to, old->moving_to, sequence);
	r = store_get(h->store, from, SEQUENCE_OBJECT_MAX, &b, err);
	/* A number that was given out for nothing has no object. */
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!buf_str(&b))
		return err_oom(err);
	if (digest_parse(buf_str(&b), &version) == 0)
		r = keep(h, &version, old->name, err);
	if (r < 0)
		return r;
	r = store_create(h->store, to, b.data, b.size, &problem);
	if (r < 0 && r != -EEXIST && err)
		*err = problem;
	if (r != -EEXIST)
		return r;
	r = store_get(h->store, to, SEQUENCE_OBJECT_MAX, &other, NULL);
	if (r == 0 && other.size == b.size &&
	    memcmp(other.data, b.data, b.size) == 0)
		return 0;
	return store_replace(h->store, to, b.data, b.size, err);
}

/* Step 3. */
static int copy_numbers(struct host *h, const struct volume *old,
			struct err *err)
{
	int r = 0;

	for (uint64_t i = 1; r == 0 && i <= old->sequence; i++)
		r = copy_number(h, old, i, err);
	return r;
}

/* Steps 2 to 4. */
static int move(struct host *h, struct volume *old, struct err *err)
{
	int r = reserve(h, old, err);

	if (r == 0)
		r = fault_point("rename.reserved");
	if (r == 0)
		r = copy_numbers(h, old, err);
	if (r == 0)
		r = fault_point("rename.copied");
	if (r < 0)
		return r;
	old->moved = true;
	r = volume_write(h, old, err);
	return r == 0 ? fault_point("rename.moved") : r;
}

/* Step 5; done already when the mark is not there. */
static int release(struct host *h, const char *from, const char *to,
		   struct err *err)
{
	_cleanup_(volume_freep) struct volume *new = NULL;
	int r = volume_read(h, to, &new, err);

	if (r == -ENOENT || (r == 0 && !is_name(new->moving_from, from)))
		return 0;
	if (r < 0)
		return r;
	freep(&new->moving_from);
	new->modified = time(NULL);
	r = volume_write(h, new, err);
	return r == 0 ? fault_point("rename.released") : r;
}

/* Step 6: numbers that seals cut short have left, too. */
static int remove_old(struct host *h, const struct volume *old, struct err *err)
{
	uint64_t versions;
	int r = volume_remove_all(h, old->name, &versions, err);

	return r == 0 ? fault_point("rename.ended") : r;
}

/* What is left to do of a rename, perhaps nothing. -ESTALE: look again. */
static int complete_locked(struct host *h, const char *from, const char *to,
			   struct err *err)
{
	_cleanup_(volume_freep) struct volume *old = NULL;
	_cleanup_(volume_freep) struct volume *new = NULL;
	int r = volume_read(h, from, &old, err);

	if (r == -ENOENT)
		return release(h, from, to, err);
	if (r == 0 && is_name(old->moving_to, to)) {
		if (!old->moved)
			r = move(h, old, err);
		if (r == 0)
			r = release(h, from, to, err);
		return r == 0 ? remove_old(h, old, err) : r;
	}
	if (r == 0)
		r = volume_read(h, to, &new, err);
	if (r == 0 && is_name(new->moving_from, from))
		return err_set(
			err, EBADMSG,
			"the record volumes/%s/head.json is damaged: it "
			"is to become that of volume %s, which is not "
			"being renamed; remove it, nothing else is in it",
			to, from);
	return r == -ENOENT ? 0 : r;
}

static int complete(struct host *h, const char *from, const char *to,
		    struct err *err)
{
	struct err problem = ERR_INIT;
	unsigned int side = gate_enter(&h->gate);
	int r = -ESTALE;

	pthread_rwlock_rdlock(&h->volumes_lock);
	pthread_mutex_lock(&settling);
	for (int i = 0; r == -ESTALE && i < SETTLE_TRIES; i++) {
		problem = ERR_INIT;
		r = complete_locked(h, from, to, &problem);
	}
	pthread_mutex_unlock(&settling);
	pthread_rwlock_unlock(&h->volumes_lock);
	gate_leave(&h->gate, side);
	if (r < 0 && err)
		*err = problem;
	return r;
}

int rename_settle(struct host *h, struct volume **v, struct err *err)
{
	struct err problem = ERR_INIT;
	struct volume *now = NULL;
	bool away = (*v)->moving_to;
	int r;

	if (away)
		r = complete(h, (*v)->name, (*v)->moving_to, &problem);
	else
		r = complete(h, (*v)->moving_from, (*v)->name, &problem);
	if (r == 0 || r == -EEXIST)
		r = volume_read(h, (*v)->name, &now, err);
	if (r == -ENOENT && away)
		return err_set(err, r,
			       "there is no volume %s any more, its name is %s "
			       "now",
			       (*v)->name, (*v)->moving_to);
	if (r == -ENOENT || r == -ENOMEM)
		return r;
	/* A store that is full or cannot be written to is still read. */
	if (!now || now->moving_to || now->moving_from) {
		volume_free(now);
		(*v)->unsettled = true;
		return 0;
	}
	volume_free(*v);
	*v = now;
	return 0;
}

struct mark {
	struct host *host;
	const char *to;
};

/* Step 1. */
static int mark(struct volume *v, void *ctx, struct err *err)
{
	_cleanup_(session_freep) struct session *s = NULL;
	struct mark *m = ctx;
	int r = session_find(m->host, v->name, false, &s, err);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 || volume_is_leased(v, m->host))
		return err_set(err, EBUSY,
			       "volume %s has session %s of host %s; end it "
			       "with \"layerctl finalize %s\", or without its "
			       "changes with \"layerctl unmount %s "
			       "--discard\", then rename the volume",
			       v->name, s ? s->id : v->lease_session,
			       s ? m->host->id : v->lease_host, v->name,
			       v->name);
	r = volume_check_new(m->host, m->to, err);
	if (r < 0)
		return r;
	v->moving_to = strdup(m->to);
	return v->moving_to ? VOLUME_CHANGED : err_oom(err);
}

int volume_rename(struct host *h, const char *from, const char *to,
		  struct err *err)
{
	struct mark m = {.host = h, .to = to};
	int r = volume_name_check(to, err);

	if (r == 0 && strcmp(from, to) == 0)
		return err_set(err, EINVAL, "volume %s has that name already",
			       from);
	/* One of that name that is half removed is in the way. */
	if (r == 0)
		r = volume_finish_removal(h, to, err);
	if (r == 0)
		r = volume_change(h, from, mark, &m, err);
	if (r < 0)
		return r;
	r = fault_point("rename.marked");
	if (r == 0)
		r = complete(h, from, to, err);
	if (r < 0 && r != -EEXIST)
		return err_prefix(err, r,
				  "volume %s is not %s yet, the next command "
				  "that uses it goes on",
				  from, to);
	/* They are made anew under the new name. */
	if (r == 0)
		(void)catalog_forget_entries(h->catalog, from, NULL);
	return r;
}
