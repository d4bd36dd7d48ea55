/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a volume and what changes it. What must hold:
 *  1. The record is written by compare-and-swap against the bytes it was read
 *     from, so no change of somebody else is lost.
 *  2. The sequence object exists, durably, before a record names its number. A
 *     number whose object exists while the record is still behind belongs to a
 *     seal that did not finish; the next one takes it over when it holds the
 *     same version, and goes on to the number after it when it does not.
 *  3. A number that the record has passed is never given out again. The object
 *     of a version that was removed says so in place of its digest; the head is
 *     not removed.
 */
#include "volume/volume.h"

#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/nearest.h"
#include "volume/gc.h"
#include "volume/record.h"
#include "volume/remove.h"
#include "volume/rename.h"
#include "volume/volume-private.h"

#include <errno.h>
#include <time.h>

/* So often somebody else may change a record first. */
#define CHANGE_TRIES 16

/* Of so many names one is looked for that is like another. */
#define NAMES_COMPARED 10000

static struct volume *volume_new(const char *name)
{
	struct volume *v = calloc(1, sizeof(*v));

	if (v)
		v->name = strdup(name);
	if (v && !v->name)
		return volume_free(v);
	return v;
}

struct volume *volume_free(struct volume *v)
{
	if (!v)
		return NULL;
	for (size_t i = 0; i < v->n_tags; i++)
		free(v->tags[i].name);
	free(v->tags);
	for (size_t i = 0; i < v->n_labels; i++) {
		free(v->labels[i].key);
		free(v->labels[i].value);
	}
	free(v->labels);
	free(v->lease_host);
	free(v->lease_session);
	free(v->moving_to);
	free(v->moving_from);
	free(v->name);
	free(v);
	return NULL;
}

void volume_freep(struct volume **v)
{
	*v = volume_free(*v);
}

int volume_write_new(struct host *h, struct volume *v, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char key[STORE_KEY_MAX];
	int r = volume_record_encode(v, &b);

	if (r < 0)
		return err_oom(err);
	r = store_swap_record(h->store, store_key_head(key, v->name), NULL,
			      b.data, b.size, &v->record, err);
	return r == STORE_E_CHANGED ? -EEXIST : r;
}

static int exists(const char *name, struct err *err)
{
	return err_set(err, EEXIST,
		       "there is a volume %s already; choose another name, or "
		       "mount it with \"layerctl mount %s\"",
		       name, name);
}

static int create_record(struct host *h, struct volume *v, struct err *err)
{
	int r;

	v->created = time(NULL);
	v->modified = v->created;
	r = volume_write_new(h, v, err);
	return r == -EEXIST ? exists(v->name, err) : r;
}

int volume_create(struct host *h, const char *name, struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r = volume_check_new(h, name, err);

	if (r == 0)
		r = volume_finish_removal(h, name, err);
	if (r < 0)
		return r;
	v = volume_new(name);
	if (!v)
		return err_oom(err);
	pthread_rwlock_rdlock(&h->volumes_lock);
	r = create_record(h, v, err);
	pthread_rwlock_unlock(&h->volumes_lock);
	return r == 0 ? fault_point("volume.created") : r;
}

int volume_read(struct host *h, const char *name, struct volume **ret,
		struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	char key[STORE_KEY_MAX];
	int r = volume_name_check(name, err);

	if (r < 0)
		return r;
	v = volume_new(name);
	if (!v)
		return err_oom(err);
	r = store_read_record(h->store, store_key_head(key, name),
			      VOLUME_RECORD_MAX, &b, &v->record, err);
	if (r == 0)
		r = volume_record_decode(b.data, b.size, v, err);
	if (r == 0)
		*ret = TAKE_PTR(v);
	return r;
}

static int refuse_changed(const struct volume *v, struct err *err)
{
	return err_set(err, ESTALE,
		       "volume %s was changed by somebody else at the same "
		       "time; run the command again",
		       v->name);
}

/* The volume of that name, settled if it can be. -ENOENT, perhaps without a
 * text, also when it is being removed. */
static int load(struct host *h, const char *name, struct volume **ret,
		struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r = volume_read(h, name, &v, err);

	if (r == 0 && (v->moving_to || v->moving_from))
		r = rename_settle(h, &v, err);
	if (r == 0 && v->removed)
		return -ENOENT;
	if (r == 0)
		*ret = TAKE_PTR(v);
	return r;
}

void volume_names_release(struct volume_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->items[i]);
	free(names->items);
	*names = (struct volume_names){0};
}

static int collect_name(const char *key, uint64_t size, void *ctx,
			struct err *err)
{
	struct volume_names *names = ctx;
	char **items;

	(void)size;
	items = reallocarray(names->items, names->n + 1, sizeof(*items));
	if (!items)
		return err_oom(err);
	names->items = items;
	items[names->n] = strdup(key);
	return items[names->n++] ? 0 : err_oom(err);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int volume_names_list(struct host *h, struct volume_names *ret, struct err *err)
{
	_cleanup_volume_names_ struct volume_names names = {0};
	int r = store_list_names(h->store, "volumes/", collect_name, &names,
				 err);

	if (r < 0)
		return r;
	if (names.n)
		qsort(names.items, names.n, sizeof(*names.items),
		      compare_names);
	*ret = names;
	names = (struct volume_names){0};
	return 0;
}

int volume_not_found(struct host *h, const char *name, struct err *err)
{
	_cleanup_(volume_freep) struct volume *meant = NULL;
	_cleanup_volume_names_ struct volume_names names = {0};
	struct err problem = ERR_INIT;
	struct nearest nearest;

	nearest_init(&nearest, name);
	if (err && !err->code && volume_names_list(h, &names, &problem) == 0)
		for (size_t i = 0; i < MIN(names.n, NAMES_COMPARED); i++)
			nearest_offer(&nearest, names.items[i]);
	/* A name may be left of a volume that is there no more. */
	if (nearest.found &&
	    (volume_read(h, nearest.found, &meant, NULL) < 0 || meant->removed))
		nearest.found = NULL;
	return err_set(err, ENOENT,
		       "there is no volume %s;%s%s%s \"layerctl ls\" lists "
		       "those there are, \"layerctl new %s\" makes it",
		       name, nearest.found ? " did you mean " : "",
		       nearest.found ? nearest.found : "",
		       nearest.found ? "?" : "", name);
}

int volume_load(struct host *h, const char *name, struct volume **ret,
		struct err *err)
{
	int r = load(h, name, ret, err);

	return r == -ENOENT ? volume_not_found(h, name, err) : r;
}

int volume_write(struct host *h, struct volume *v, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char key[STORE_KEY_MAX];
	int r;

	r = volume_record_encode(v, &b);
	if (r < 0)
		return err_oom(err);
	r = store_swap_record(h->store, store_key_head(key, v->name),
			      &v->record, b.data, b.size, &v->record, err);
	return r == STORE_E_CHANGED ? refuse_changed(v, err) : r;
}

int volume_save(struct host *h, struct volume *v, struct err *err)
{
	if (!v->unsettled)
		return volume_write(h, v, err);
	return err_set(err, EBUSY,
		       "volume %s is half renamed, %s %s, and the rename could "
		       "not be completed; see to it that the store %s has "
		       "space and can be written to",
		       v->name, v->moving_to ? "to" : "from",
		       v->moving_to ? v->moving_to : v->moving_from,
		       store_name(h->store));
}

/* -ESTALE without a text: somebody was quicker. */
static int try_change(struct host *h, const char *name, volume_change_fn fn,
		      void *ctx, struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	struct err problem = ERR_INIT;
	int r = volume_load(h, name, &v, err);

	if (r == 0)
		r = fn(v, ctx, err);
	if (r <= 0)
		return r;
	r = volume_save(h, v, &problem);
	if (r < 0 && r != -ESTALE && err)
		*err = problem;
	return r;
}

int volume_change(struct host *h, const char *name, volume_change_fn fn,
		  void *ctx, struct err *err)
{
	int r = -ESTALE;

	for (int i = 0; r == -ESTALE && i < CHANGE_TRIES; i++)
		r = try_change(h, name, fn, ctx, err);
	if (r == -ESTALE)
		return err_set(err, r,
			       "volume %s was changed by others each of the %d "
			       "times that its record was to be written; run "
			       "the command again",
			       name, CHANGE_TRIES);
	return r;
}

static bool has_name(const struct volume_names *names, const char *name)
{
	return names->n && bsearch(&name, names->items, names->n,
				   sizeof(*names->items), compare_names);
}

/* A volume is missing in a list when it was renamed while that was made: the
 * names are listed again until there are no new ones. */
int volume_each(struct host *h, volume_fn fn, void *ctx, struct err *err)
{
	_cleanup_volume_names_ struct volume_names before = {0};
	bool found = true;
	int r = 0;

	while (r == 0 && found) {
		_cleanup_volume_names_ struct volume_names names = {0};

		r = volume_names_list(h, &names, err);
		found = false;
		for (size_t i = 0; r == 0 && i < names.n; i++) {
			_cleanup_(volume_freep) struct volume *v = NULL;
			struct err problem = ERR_INIT;

			if (has_name(&before, names.items[i]))
				continue;
			found = true;
			/* A directory without a record is one half made. */
			r = load(h, names.items[i], &v, &problem);
			r = r == -ENOENT ? 0
					 : fn(names.items[i], v, &problem, ctx);
		}
		volume_names_release(&before);
		before = names;
		names = (struct volume_names){0};
	}
	return r;
}

/* Creates the object for a number, or finds it already holding version. */
static int create_sequence(struct host *h, const char *name, uint64_t sequence,
			   const struct digest *version, struct err *err)
{
	char key[STORE_KEY_MAX], text[DIGEST_HEX_SIZE + 8],
		hex[DIGEST_HEX_SIZE];
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct err problem = ERR_INIT;
	int n, r;

	n = snprintf(text, sizeof(text), "sha256:%s", digest_hex(version, hex));
	store_key_sequence(key, name, sequence);
	r = store_create(h->store, key, text, (size_t)n, &problem);
	if (r != -EEXIST) {
		if (r < 0 && err)
			*err = problem;
		return r;
	}
	r = store_get(h->store, key, sizeof(text), &b, err);
	if (r < 0)
		return r;
	return b.size == (size_t)n && memcmp(b.data, text, b.size) == 0
		       ? 0
		       : -EEXIST;
}

int volume_next_sequence(struct host *h, const struct volume *v, uint64_t *ret,
			 struct err *err)
{
	uint64_t sequence = v->sequence, size;
	char key[STORE_KEY_MAX];
	int r;

	do {
		struct err problem = ERR_INIT;

		sequence++;
		store_key_sequence(key, v->name, sequence);
		r = store_size(h->store, key, &size, &problem);
		if (r < 0 && r != -ENOENT) {
			if (err)
				*err = problem;
			return r;
		}
	} while (r == 0);
	*ret = sequence;
	return 0;
}

/* Whether now is what v was but for its tags, its labels and its times. */
static bool is_same_line(const struct volume *v, const struct volume *now)
{
	return !now->removed && !now->moving_to && !now->moving_from &&
	       now->sequence == v->sequence && now->has_head == v->has_head &&
	       (!v->has_head || digest_equal(&now->head, &v->head));
}

/*
 * Makes v what it is now. A session that still has its lease goes on when
 * others have set tags or labels meanwhile. -ESTALE for all else: a volume that
 * was removed, for one, must not get a number.
 */
static int refresh(struct host *h, struct volume *v, const char *session,
		   uint64_t epoch, struct err *err)
{
	_cleanup_(volume_freep) struct volume *now = NULL;
	struct volume was = *v;
	int r = volume_read(h, v->name, &now, err);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && strcmp(now->record.text, v->record.text) == 0)
		return 0;
	if (r == -ENOENT || !session || !volume_lease_is(now, h, session) ||
	    now->lease_epoch != epoch || !is_same_line(v, now))
		return refuse_changed(v, err);
	*v = *now;
	*now = was;
	return 0;
}

static int save_head(struct host *h, struct volume *v,
		     const struct digest *version, uint64_t sequence,
		     struct err *err)
{
	const struct volume was = *v;
	int r;

	v->has_head = true;
	v->head = *version;
	v->sequence = sequence;
	v->modified = time(NULL);
	r = volume_save(h, v, err);
	if (r < 0)
		*v = was;
	return r;
}

/* The sequence object, then the record. -ESTALE when that was changed. */
static int advance(struct host *h, struct volume *v,
		   const struct digest *version, struct err *err)
{
	uint64_t sequence = v->sequence;
	int r;

	r = gc_keep_version(h, version, err);
	/* That of a fork may be missing. */
	if (r == 0 && v->sequence == 1 && v->has_head)
		r = create_sequence(h, v->name, 1, &v->head, err);
	if (r < 0 && r != -EEXIST)
		return r;
	do {
		sequence++;
		r = create_sequence(h, v->name, sequence, version, err);
	} while (r == -EEXIST);
	if (r == 0)
		r = fault_point("publish.sequence");
	return r < 0 ? r : save_head(h, v, version, sequence, err);
}

int volume_advance(struct host *h, struct volume *v,
		   const struct digest *version, const char *session,
		   uint64_t epoch, struct err *err)
{
	struct err problem = ERR_INIT;
	bool current = true;
	int r = -ESTALE;

	if (session &&
	    (!volume_lease_is(v, h, session) || v->lease_epoch != epoch))
		return err_set(err, ESTALE,
			       "session %s lost the right to write volume %s; "
			       "its data is kept: fork the session's base and "
			       "finalize into the fork",
			       session, v->name);
	pthread_rwlock_rdlock(&h->volumes_lock);
	for (int i = 0; r == -ESTALE && current && i < CHANGE_TRIES; i++) {
		problem = ERR_INIT;
		r = refresh(h, v, session, epoch, &problem);
		current = r == 0;
		if (current)
			r = advance(h, v, version, &problem);
	}
	pthread_rwlock_unlock(&h->volumes_lock);
	if (r < 0 && err)
		*err = problem;
	return r == 0 ? fault_point("publish.head") : r;
}

int volume_check_new(struct host *h, const char *name, struct err *err)
{
	_cleanup_(volume_freep) struct volume *other = NULL;
	struct err problem = ERR_INIT;
	int r = volume_name_check(name, err);

	if (r < 0)
		return r;
	r = load(h, name, &other, &problem);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? err_set(err, r, "%s", problem.text) : exists(name, err);
}

/* The record comes first: numbers without one are always those of a volume that
 * has lost it. */
static int create_forked(struct host *h, struct volume *v,
			 const struct digest *version, struct err *err)
{
	int r = gc_keep_version(h, version, err);

	if (r < 0)
		return r;
	v->sequence = 1;
	v->has_head = true;
	v->head = *version;
	r = create_record(h, v, err);
	if (r == 0)
		r = fault_point("fork.record");
	/* The record says as much. */
	if (r == 0)
		(void)create_sequence(h, v->name, v->sequence, version, NULL);
	return r;
}

int volume_fork(struct host *h, const struct digest *version, const char *name,
		struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r = volume_check_new(h, name, err);

	if (r == 0)
		r = volume_finish_removal(h, name, err);
	if (r < 0)
		return r;
	v = volume_new(name);
	if (!v)
		return err_oom(err);
	pthread_rwlock_rdlock(&h->volumes_lock);
	r = create_forked(h, v, version, err);
	pthread_rwlock_unlock(&h->volumes_lock);
	if (r == 0)
		r = fault_point("fork.head");
	if (r < 0)
		return r;
	return catalog_add_version(h->catalog, version, name, v->sequence, err);
}

int volume_version_at(struct host *h, const struct volume *v, uint64_t sequence,
		      struct digest *ret, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char key[STORE_KEY_MAX];
	int r;

	if (sequence > v->sequence || sequence == 0)
		return err_set(err, ENOENT,
			       "volume %s has no version %llu, its newest is "
			       "%llu; \"layerctl log %s\" lists them",
			       v->name, (unsigned long long)sequence,
			       (unsigned long long)v->sequence, v->name);
	store_key_sequence(key, v->name, sequence);
	r = store_get(h->store, key, DIGEST_HEX_SIZE + 8, &b, err);
	/* Half renamed, some numbers are there and some here. */
	if (r == -ENOENT && v->unsettled) {
		store_key_sequence(key,
				   v->moving_to ? v->moving_to : v->moving_from,
				   sequence);
		r = store_get(h->store, key, DIGEST_HEX_SIZE + 8, &b, err);
	}
	/* The number of a fork is written after the record. */
	if (r == -ENOENT && sequence == v->sequence && v->has_head) {
		*ret = v->head;
		return 0;
	}
	if (r == -ENOENT)
		return err_set(err, r,
			       "volume %s has no version %llu: its number was "
			       "given out for a seal that did not finish",
			       v->name, (unsigned long long)sequence);
	if (r < 0)
		return r;
	if (!buf_str(&b))
		return err_oom(err);
	if (strcmp(buf_str(&b), VOLUME_NUMBER_REMOVED) == 0)
		return err_set(err, ENOENT,
			       "version %llu of volume %s was removed; "
			       "\"layerctl log %s\" lists those there are",
			       (unsigned long long)sequence, v->name, v->name);
	if (digest_parse(buf_str(&b), ret) < 0)
		return err_set(err, EBADMSG, "%s/%s does not hold a digest",
			       store_name(h->store), key);
	return 0;
}
