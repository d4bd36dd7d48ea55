/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a volume goes.
 *
 *   record --(marked as removed)--> sequence objects --> record --> nothing
 *
 * Invariants
 *  1. From the mark on there is no volume, whatever else is still there: nobody
 *     ever sees one with a part of its versions. The mark is a
 *     compare-and-swap, so a session that begins meanwhile prevents it or does
 *     not begin.
 *  2. The record goes last and durably after the others, so that a new volume
 *     of that name never finds the old one's numbers.
 *  3. All is done under host->volumes_lock: no number is given out, and none is
 *     moved to another name, between the look at what there is and its removal.
 *     A rename that was cut short is completed before; whoever completes one
 *     takes that lock.
 *  4. A version goes as its number says that it was removed. That is durable
 *     before the call returns, as the collector deletes what it was made of.
 *  5. A tag that a version was named by goes after it, and only while it still
 *     stands for that version: tags are moved without the lock.
 */
#include "volume/remove.h"

#include "catalog/entries.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "volume/mounted.h"
#include "volume/session.h"
#include "volume/tag.h"
#include "volume/volume-private.h"

#include <errno.h>

/* So often somebody else may change the record, or rename the volume, first. */
#define TRIES 16
/* So many tags are named in a sentence. */
#define TAGS_NAMED 5

struct numbers {
	uint64_t *items;
	size_t n, alloc;
	size_t removed; /* of them, before */
};

static void numbers_release(struct numbers *n)
{
	free(n->items);
}

static int add_number(const char *key, uint64_t size, void *ctx,
		      struct err *err)
{
	struct numbers *n = ctx;
	uint64_t sequence;

	if (sequence_parse(strrchr(key, '/') + 1, &sequence) < 0)
		return 0;
	if (n->n == n->alloc) {
		size_t alloc = n->alloc ? n->alloc * 2 : 64;
		uint64_t *items;

		items = reallocarray(n->items, alloc, sizeof(*items));
		if (!items)
			return err_oom(err);
		n->items = items;
		n->alloc = alloc;
	}
	n->items[n->n++] = sequence;
	n->removed += size == sizeof(VOLUME_NUMBER_REMOVED) - 1;
	return 0;
}

static int list_numbers(struct host *h, const char *name, struct numbers *ret,
			struct err *err)
{
	char prefix[STORE_KEY_MAX];

	return store_list(h->store, store_prefix_volume(prefix, name),
			  add_number, ret, err);
}

static int sync_volume(struct host *h, const char *name, struct err *err)
{
	char prefix[STORE_KEY_MAX];

	return store_sync_removed(h->store, store_prefix_volume(prefix, name),
				  err);
}

/* Of a volume that stays. */
static int remove_number(struct host *h, const char *name, uint64_t sequence,
			 struct err *err)
{
	static const char text[] = VOLUME_NUMBER_REMOVED;
	char key[STORE_KEY_MAX];
	int r = store_replace(h->store, store_key_sequence(key, name, sequence),
			      text, sizeof(text) - 1, err);

	return r == 0 ? fault_point("rm.sequence") : r;
}

int volume_remove_all(struct host *h, const char *name, uint64_t *ret_versions,
		      struct err *err)
{
	_cleanup_(numbers_release) struct numbers numbers = {0};
	char key[STORE_KEY_MAX], prefix[STORE_KEY_MAX];
	int r = list_numbers(h, name, &numbers, err);

	for (size_t i = 0; r == 0 && i < numbers.n; i++) {
		store_key_sequence(key, name, numbers.items[i]);
		r = store_remove(h->store, key, err);
	}
	if (r == 0)
		r = sync_volume(h, name, err);
	if (r == 0)
		r = fault_point("rm.emptied");
	if (r == 0)
		r = store_remove(h->store, store_key_head(key, name), err);
	if (r == 0)
		r = sync_volume(h, name, err);
	if (r == 0)
		r = store_drop(h->store, store_prefix_volume(prefix, name),
			       err);
	if (r == 0)
		*ret_versions = numbers.n - numbers.removed;
	return r == 0 ? fault_point("rm.removed") : r;
}

struct removal {
	const struct reference *ref;
	bool force;
	pid_t caller;
	struct digest tagged; /* the version that the tag stood for */
	uint64_t versions;
};

struct needed {
	const struct volume *volume;
	const struct digest *version; /* NULL: the volume as a whole */
	char *path;
};

static int is_mounted(const struct catalog_mount *m, const char *path,
		      bool attached, void *ctx)
{
	struct needed *needed = ctx;
	struct reference ref;
	bool named;

	(void)attached;
	named = reference_parse(m->reference, &ref, NULL) == 0 &&
		ref.kind != REFERENCE_DIGEST &&
		ref.kind != REFERENCE_DIGEST_PREFIX;
	/* Another volume has a number of its own for it. */
	if (named && strcmp(ref.volume, needed->volume->name) != 0)
		return 0;
	if (needed->version ? !digest_equal(&m->version, needed->version)
			    : !named)
		return 0;
	needed->path = strdup(path);
	return needed->path ? 1 : -ENOMEM;
}

/* Where it is mounted read-only, in *ret, or NULL. */
static int find_mount(struct host *h, const struct volume *v,
		      const struct digest *version, pid_t caller, char **ret,
		      struct err *err)
{
	struct needed needed = {.volume = v, .version = version};
	int r = mounted_each(h, caller, is_mounted, &needed, err);

	*ret = needed.path;
	return r == -ENOMEM ? err_oom(err) : MIN(r, 0);
}

static int refuse_session(struct host *h, const struct volume *v,
			  struct err *err)
{
	if (!volume_is_leased(v, h))
		return 0;
	return err_set(err, EBUSY,
		       "volume %s has session %s, whose data would be lost; "
		       "finalize it, or end it with \"layerctl unmount %s "
		       "--discard\"",
		       v->name, v->lease_session, v->name);
}

static int refuse_volume(struct host *h, const struct volume *v, bool force,
			 pid_t caller, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = refuse_session(h, v, err);

	if (r == 0)
		r = find_mount(h, v, NULL, caller, &path, err);
	if (r < 0)
		return r;
	if (path)
		return err_set(err, EBUSY,
			       "volume %s is mounted read-only at %s; unmount "
			       "it first",
			       v->name, path);
	if (v->n_tags && !force)
		return err_set(err, EBUSY,
			       "volume %s has %zu tag%s, the first is %s; use "
			       "--force to remove it all the same",
			       v->name, v->n_tags, v->n_tags == 1 ? "" : "s",
			       v->tags[0].name);
	return 0;
}

/* Writes the mark. -ESTALE when somebody else changed the record meanwhile. */
static int mark_removed(struct host *h, const char *name, bool force,
			pid_t caller, struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r = volume_read(h, name, &v, err);

	/* Half made or half removed: no more to ask. */
	if (r == -ENOENT || (r == 0 && v->removed))
		return 0;
	if (r == 0 && (v->moving_to || v->moving_from))
		return -ESTALE;
	if (r == 0)
		r = refuse_volume(h, v, force, caller, err);
	if (r < 0)
		return r;
	v->removed = true;
	r = volume_write(h, v, err);
	return r == 0 ? fault_point("rm.marked") : r;
}

/* 0 also when there is only a part of it. -ENOENT without a sentence. */
static int check_there(struct host *h, const char *name, struct err *err)
{
	_cleanup_(numbers_release) struct numbers numbers = {0};
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r = volume_read(h, name, &v, err);

	if (r != -ENOENT)
		return r;
	r = list_numbers(h, name, &numbers, err);
	return r == 0 && !numbers.n ? -ENOENT : r;
}

static int remove_volume(struct host *h, struct removal *removal,
			 struct err *err)
{
	const char *name = removal->ref->volume;
	int r = check_there(h, name, err);

	if (r == 0)
		r = mark_removed(h, name, removal->force, removal->caller, err);
	return r < 0 ? r : volume_remove_all(h, name, &removal->versions, err);
}

/* Tags of the version but the one that it was named by, if any. */
static int refuse_tagged(const struct volume *v, const struct digest *version,
			 const char *but, struct err *err)
{
	_cleanup_buf_ struct buf names = BUF_INIT;
	const char *first = NULL;
	size_t n = 0;

	for (size_t i = 0; i < v->n_tags; i++) {
		const char *name = v->tags[i].name;

		if (!digest_equal(&v->tags[i].version, version) ||
		    (but && strcmp(name, but) == 0))
			continue;
		first = first ? first : name;
		if (n++ < TAGS_NAMED &&
		    buf_printf(&names, "%s%s", n > 1 ? ", " : "", name) < 0)
			return err_oom(err);
	}
	if (!n)
		return 0;
	if (!buf_str(&names))
		return err_oom(err);
	return err_set(err, EBUSY,
		       "the version has the tag%s %s%s of volume %s; take %s "
		       "away first with \"layerctl tag -d %s:%s\"",
		       n == 1 ? "" : "s", (char *)names.data,
		       n > TAGS_NAMED ? ", ..." : "", v->name,
		       n == 1 ? "it" : "them", v->name, first);
}

static int refuse_version(struct host *h, const struct volume *v,
			  const struct digest *version, const char *tag,
			  pid_t caller, struct err *err)
{
	_cleanup_(session_freep) struct session *s = NULL;
	_cleanup_free_ char *path = NULL;
	int r = refuse_tagged(v, version, tag, err);

	if (r == 0)
		r = session_find(h, v->name, false, &s, err);
	if (r == -ENOENT && !(err && err->code))
		r = 0;
	if (r < 0)
		return r;
	if (s && ((s->has_base && digest_equal(&s->base, version)) ||
		  (s->has_sealed && digest_equal(&s->sealed, version))))
		return err_set(err, EBUSY,
			       "session %s of volume %s is on top of that "
			       "version; finalize it, or end it with "
			       "\"layerctl unmount %s --discard\"",
			       s->id, v->name, v->name);
	r = find_mount(h, v, version, caller, &path, err);
	if (r == 0 && path)
		r = err_set(err, EBUSY,
			    "the version is mounted read-only at %s; unmount "
			    "it first",
			    path);
	return r;
}

static int refuse_newest(const struct volume *v, uint64_t sequence,
			 struct err *err)
{
	if (sequence != v->sequence)
		return 0;
	return err_set(err, EBUSY,
		       "%s@%llu is the newest version of its volume; go on "
		       "from another one first (\"layerctl reset %s "
		       "%s@NUMBER\"), or remove all of it (\"layerctl rm "
		       "%s\")",
		       v->name, (unsigned long long)sequence, v->name, v->name,
		       v->name);
}

static int remove_at(struct host *h, const struct volume *v,
		     const struct reference *ref, pid_t caller, struct err *err)
{
	struct digest version;
	int r = volume_version_at(h, v, ref->sequence, &version, err);

	if (r == 0)
		r = refuse_newest(v, ref->sequence, err);
	if (r == 0)
		r = refuse_version(h, v, &version, NULL, caller, err);
	return r < 0 ? r : remove_number(h, v->name, ref->sequence, err);
}

/* Keeps the numbers that version has; none of them may be the newest. */
static int select_numbers(struct host *h, const struct volume *v,
			  const struct digest *version, struct numbers *numbers,
			  struct err *err)
{
	size_t kept = 0;
	int r = list_numbers(h, v->name, numbers, err);

	for (size_t i = 0; r == 0 && i < numbers->n; i++) {
		uint64_t sequence = numbers->items[i];
		struct err problem = ERR_INIT;
		struct digest other;

		/* Of a seal that did not finish. */
		if (sequence > v->sequence)
			continue;
		r = volume_version_at(h, v, sequence, &other, &problem);
		if (r < 0 && r != -ENOENT)
			return err_set(err, r, "%s", problem.text);
		if (r < 0 || !digest_equal(&other, version)) {
			r = 0;
			continue;
		}
		numbers->items[kept++] = sequence;
		r = refuse_newest(v, sequence, err);
	}
	numbers->n = kept;
	return r;
}

static const struct digest *tagged(const struct volume *v, const char *tag)
{
	for (size_t i = 0; i < v->n_tags; i++)
		if (strcmp(v->tags[i].name, tag) == 0)
			return &v->tags[i].version;
	return NULL;
}

/* All but the tag. */
static int remove_tagged(struct host *h, const struct volume *v,
			 struct removal *removal, struct err *err)
{
	_cleanup_(numbers_release) struct numbers numbers = {0};
	const char *tag = removal->ref->tag;
	const struct digest *version = tagged(v, tag);
	int r;

	if (!version)
		return volume_no_tag(v, tag, err);
	r = select_numbers(h, v, version, &numbers, err);
	if (r == 0)
		r = refuse_version(h, v, version, tag, removal->caller, err);
	for (size_t i = 0; r == 0 && i < numbers.n; i++)
		r = remove_number(h, v->name, numbers.items[i], err);
	removal->tagged = *version;
	removal->versions = numbers.n;
	return r;
}

/* -ENOENT without a sentence when there is no such volume. */
static int remove_version(struct host *h, struct removal *removal,
			  struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r = volume_read(h, removal->ref->volume, &v, err);

	if (r < 0)
		return r;
	if (v->removed)
		return -ENOENT;
	if (v->moving_to || v->moving_from)
		return -ESTALE;
	if (removal->ref->kind == REFERENCE_TAG)
		return remove_tagged(h, v, removal, err);
	removal->versions = 1;
	return remove_at(h, v, removal->ref, removal->caller, err);
}

/* Completes a rename, of either name, that was cut short. *missing says when
 * there is no such volume, of which there may be a part all the same. */
static int settle(struct host *h, const char *name, struct err *missing,
		  struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r = volume_load(h, name, &v, missing);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_set(err, r, "%s", missing->text);
	/* It says why not. */
	return v->unsettled ? volume_save(h, v, err) : 0;
}

static int try_remove(struct host *h, struct removal *removal, struct err *err)
{
	const struct reference *ref = removal->ref;
	struct err missing = ERR_INIT;
	int r = settle(h, ref->volume, &missing, err);

	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&h->volumes_lock);
	if (ref->kind == REFERENCE_NEWEST)
		r = remove_volume(h, removal, err);
	else
		r = remove_version(h, removal, err);
	pthread_rwlock_unlock(&h->volumes_lock);
	if (r != -ENOENT || err->code)
		return r;
	return missing.code ? err_set(err, r, "%s", missing.text)
			    : volume_not_found(h, ref->volume, err);
}

/* The tag goes last: until then the command can be repeated. */
static int untag(struct host *h, const struct removal *removal, struct err *err)
{
	const struct reference *ref = removal->ref;
	struct digest previous;
	int r = volume_untag(h, ref->volume, ref->tag, &removal->tagged,
			     &previous, err);

	return r == 0 ? fault_point("rm.untagged") : r;
}

int volume_remove(struct host *h, const struct reference *ref, bool force,
		  pid_t caller, uint64_t *ret_versions, struct err *err)
{
	struct removal removal = {.ref = ref, .force = force, .caller = caller};
	struct err problem = ERR_INIT;
	int r = -ESTALE;

	if (ref->kind == REFERENCE_DIGEST ||
	    ref->kind == REFERENCE_DIGEST_PREFIX)
		return err_set(err, EINVAL,
			       "a digest says no volume, and versions are "
			       "removed from one; name it as NAME@SEQUENCE "
			       "(\"layerctl show\" tells where it was sealed)");
	for (int i = 0; r == -ESTALE && i < TRIES; i++) {
		problem = ERR_INIT;
		r = try_remove(h, &removal, &problem);
	}
	if (r == -ESTALE)
		return err_set(err, r,
			       "volume %s was changed by others each of the %d "
			       "times that it was to be removed; run the "
			       "command again",
			       ref->volume, TRIES);
	if (r < 0)
		return problem.code ? err_set(err, r, "%s", problem.text) : r;
	/* Nobody is told of what is in the catalog alone. */
	(void)catalog_forget_entries(h->catalog, ref->volume, NULL);
	if (ref->kind == REFERENCE_TAG)
		r = untag(h, &removal, err);
	if (r == 0)
		*ret_versions = removal.versions;
	return r;
}

/* With the lock held. */
static int finish_removal(struct host *h, const char *name, struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	uint64_t versions;
	int r = volume_read(h, name, &v, err);

	if (r == -ENOENT || (r == 0 && v->removed))
		return volume_remove_all(h, name, &versions, err);
	return r;
}

/* Nothing of ours leaves numbers without a record. */
static int check_leftovers(struct host *h, const char *name, struct err *err)
{
	_cleanup_(numbers_release) struct numbers numbers = {0};
	_cleanup_(volume_freep) struct volume *now = NULL;
	struct err problem = ERR_INIT;
	int r = list_numbers(h, name, &numbers, err);

	if (r < 0 || numbers.n == 0)
		return r;
	/* Others may have made it since the record was looked for. */
	r = volume_read(h, name, &now, &problem);
	if (r == 0)
		return 0;
	if (r != -ENOENT)
		return err_set(err, r, "%s", problem.text);
	return err_set(err, EBADMSG,
		       "volume %s has versions but no record volumes/%s/"
		       "head.json, and is left as it is; restore the record "
		       "from a copy of the store, have it made anew with "
		       "\"layerctl fsck --repair\", or give the versions up "
		       "with \"layerctl rm %s\"",
		       name, name, name);
}

int volume_finish_removal(struct host *h, const char *name, struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r = volume_read(h, name, &v, err);

	if (r == -ENOENT)
		return check_leftovers(h, name, err);
	if (r < 0 || !v->removed)
		return r;
	pthread_rwlock_wrlock(&h->volumes_lock);
	r = finish_removal(h, name, err);
	pthread_rwlock_unlock(&h->volumes_lock);
	return r;
}

static int finish_name(const char *key, uint64_t size, void *ctx,
		       struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct err problem = ERR_INIT;
	struct host *h = ctx;
	int r;

	(void)size;
	/* Nobody can have made a volume of what is no name for one. */
	if (volume_name_check(key, NULL) < 0)
		return 0;
	r = volume_read(h, key, &v, &problem);
	if (r < 0 && r != -ENOENT)
		return err_set(err, r, "%s", problem.text);
	if (r == 0 && (v->moving_to || v->moving_from))
		return settle(h, key, &problem, err);
	if (r == 0 && !v->removed)
		return 0;
	if (r == -ENOENT)
		r = check_leftovers(h, key, err);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&h->volumes_lock);
	r = finish_removal(h, key, err);
	pthread_rwlock_unlock(&h->volumes_lock);
	return r;
}

int volume_finish_removals(struct host *h, struct err *err)
{
	return store_list_names(h->store, "volumes/", finish_name, h, err);
}
