/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of a volume. What must hold for a repair, as nothing else proves
 * what a number stood for:
 *  1. The head's number stands for the head (volume.c, 2).
 *  2. A version that was sealed here as N and names as its parent one that was
 *     sealed here as N - 1 proves that number, as long as both can be read.
 * A number whose version was removed says so, and is no proof of others.
 * A number above the head's was given out for a seal that did not finish; that
 * it looks like the head's successor proves nothing, as nobody was told so.
 *
 * A record that is lost is made anew with the highest number as its head, be it
 * one of these: the number is not given out twice then, and what it stands for
 * was complete before it was there. Tags and labels are lost.
 */
#include "volume/fsck-private.h"

#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "volume/gc.h"
#include "volume/session.h"
#include "volume/volume-private.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

struct number {
	uint64_t n;
	bool known;
	bool removed; /* with its version, on purpose */
	struct digest version;
	char *problem; /* why it is not known */
};

struct numbers {
	struct fsck *fsck;
	const char *name;
	const struct volume *volume; /* NULL: its record cannot be read */
	struct finding *record;	     /* that it cannot, or could not */
	struct number *all;
	size_t n;
	size_t alloc;
};

static void numbers_release(struct numbers *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->all[i].problem);
	free(s->all);
}

static int add_number(const char *key, uint64_t size, void *ctx,
		      struct err *err)
{
	const char *text = strrchr(key, '/');
	struct numbers *s = ctx;
	char again[STORE_KEY_MAX];
	uint64_t n;
	int r;

	(void)size;
	(void)err;
	if (!text || sequence_parse(text + 1, &n) < 0 ||
	    strcmp(store_key_sequence(again, s->name, n), key) != 0)
		return 0;
	r = fsck_room(s->fsck, &s->all, s->n, &s->alloc, sizeof(*s->all));
	if (r == 0)
		s->all[s->n++] = (struct number){.n = n};
	return r;
}

/* The highest first. */
static int compare_numbers(const void *a, const void *b)
{
	const struct number *x = a, *y = b;

	return (x->n < y->n) - (x->n > y->n);
}

static int read_number(struct numbers *s, struct number *number)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct err problem = ERR_INIT;
	char key[STORE_KEY_MAX];
	int r;

	store_key_sequence(key, s->name, number->n);
	r = store_get(s->fsck->host->store, key, DIGEST_HEX_SIZE + 8, &b,
		      &problem);
	if (r == -ENOMEM || (r == 0 && !buf_str(&b)))
		return err_oom(s->fsck->err);
	if (r == 0 && strlen((char *)b.data) == b.size &&
	    digest_parse((char *)b.data, &number->version) == 0) {
		number->known = true;
		return 0;
	}
	number->removed =
		r == 0 && strcmp((char *)b.data, VOLUME_NUMBER_REMOVED) == 0;
	if (number->removed && !(s->volume && number->n == s->volume->sequence))
		return 0;
	number->problem =
		strdup(r < 0 && problem.code ? problem.text
					     : "it does not hold a digest");
	return number->problem ? 0 : err_oom(s->fsck->err);
}

/* Whether version was sealed here as n. */
static bool sealed_as(struct numbers *s, const struct digest *digest,
		      uint64_t n, struct digest *ret_parent)
{
	_cleanup_(version_freep) struct version *v = NULL;
	struct err problem = ERR_INIT;

	if (version_load(s->fsck->host, digest, &v, &problem) < 0 ||
	    strcmp(v->volume, s->name) != 0 || v->sequence != n)
		return false;
	if (ret_parent && !v->has_parent)
		return false;
	if (ret_parent)
		*ret_parent = v->parent;
	return true;
}

static int write_number(struct numbers *s, uint64_t n,
			const struct digest *version, bool replace,
			struct err *err)
{
	char key[STORE_KEY_MAX], text[DIGEST_HEX_SIZE + 8],
		hex[DIGEST_HEX_SIZE];
	struct store *store = s->fsck->host->store;
	size_t size;

	size = (size_t)snprintf(text, sizeof(text), "sha256:%s",
				digest_hex(version, hex));
	store_key_sequence(key, s->name, n);
	return replace ? store_replace(store, key, text, size, err)
		       : store_create(store, key, text, size, err);
}

/* The volume may have been removed or renamed meanwhile. */
static bool is_there(struct numbers *s)
{
	_cleanup_(volume_freep) struct volume *now = NULL;
	struct err problem = ERR_INIT;

	return volume_read(s->fsck->host, s->name, &now, &problem) == 0 &&
	       !now->removed && !now->moving_to && !now->moving_from &&
	       now->sequence >= s->volume->sequence;
}

/* 1 when it was written. */
static int publish_number(struct numbers *s, uint64_t n,
			  const struct digest *version, bool replace,
			  struct err *err)
{
	struct host *h = s->fsck->host;
	int r = 0;

	pthread_rwlock_rdlock(&h->volumes_lock);
	if (is_there(s)) {
		r = gc_keep_version(h, version, err);
		if (r == 0)
			r = write_number(s, n, version, replace, err);
		/* It is too late. */
		if (r == -ENOENT)
			r = -EBADMSG;
		r = r == 0 ? 1 : r;
	}
	pthread_rwlock_unlock(&h->volumes_lock);
	return r;
}

/* number, or a missing one, stands for version, as why proves. */
static int restore_number(struct numbers *s, uint64_t n,
			  const struct number *number,
			  const struct digest *version, const char *why)
{
	struct err problem = ERR_INIT;
	struct fsck *f = s->fsck;
	struct finding *found;
	char key[STORE_KEY_MAX];
	uint32_t v;
	int r;

	store_key_sequence(key, s->name, n);
	found = number ? fsck_found(f, key, "damaged",
				    "the number: %s; %s proves its version",
				    number->problem, why)
		       : fsck_found(f, key, "missing",
				    "the number is not in the store; %s "
				    "proves its version",
				    why);
	if (!found)
		return -ENOMEM;
	r = fsck_add_version(f, version, s->name, n, &v);
	if (r == 0)
		r = fsck_touch(f, found, v);
	found->state = FSCK_REPAIRABLE;
	if (r < 0 || !f->options->repair)
		return r;
	r = publish_number(s, n, version, number, &problem);
	if (r == 0)
		return 0;
	found->state = r > 0 ? FSCK_REPAIRED : FSCK_LOST;
	return r > 0 ? fault_point("fsck.sequence")
		     : fsck_written(f, r, &problem);
}

static struct number *find_number(struct numbers *s, uint64_t n)
{
	const struct number key = {.n = n};

	if (!s->n)
		return NULL;
	return bsearch(&key, s->all, s->n, sizeof(*s->all), compare_numbers);
}

/* From a known number down, as far as parents prove those that are not. */
static int prove_below(struct numbers *s, uint64_t n, struct digest version)
{
	int r = 0;

	while (r == 0 && n > 1) {
		struct number *below = find_number(s, n - 1);
		struct digest parent;

		if (below && (below->known || below->removed))
			return 0;
		if (!sealed_as(s, &version, n, &parent) ||
		    !sealed_as(s, &parent, n - 1, NULL))
			return 0;
		r = restore_number(s, n - 1, below, &parent,
				   "the version after it");
		if (below) {
			below->known = true;
			below->version = parent;
		}
		version = parent;
		n--;
	}
	return r;
}

static int lost_number(struct numbers *s, const struct number *number)
{
	_cleanup_free_ char *name = NULL;
	struct fsck *f = s->fsck;
	struct finding *found;
	char key[STORE_KEY_MAX];
	uint32_t v;
	int r;

	store_key_sequence(key, s->name, number->n);
	found = fsck_found(f, key, "damaged", "the number: %s",
			   number->problem);
	if (!found || asprintf(&name, "%s@%" PRIu64, s->name, number->n) < 0)
		return err_oom(f->err);
	r = fsck_add_name(f, name, &v);
	return r < 0 ? r : fsck_touch(f, found, v);
}

/* The head and its number. */
static int check_head(struct numbers *s)
{
	const struct volume *v = s->volume;
	struct number *number = find_number(s, v->sequence);
	struct fsck *f = s->fsck;
	struct finding *found;
	char key[STORE_KEY_MAX];
	uint32_t version;
	int r;

	if (!number || !number->known) {
		r = restore_number(s, v->sequence, number, &v->head,
				   "the volume's head");
		if (number) {
			number->known = true;
			number->version = v->head;
		}
		return r;
	}
	if (digest_equal(&number->version, &v->head))
		return 0;
	found = fsck_found(f, store_key_head(key, s->name), "wrong",
			   "the head has number %" PRIu64
			   ", which stands for another version",
			   v->sequence);
	if (!found)
		return -ENOMEM;
	r = fsck_add_version(f, &v->head, s->name, 0, &version);
	return r < 0 ? r : fsck_touch(f, found, version);
}

static int add_tags(struct numbers *s)
{
	const struct volume *v = s->volume;
	struct fsck *f = s->fsck;
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->n_tags; i++) {
		const struct volume_tag *tag = &v->tags[i];
		_cleanup_free_ char *name = NULL;
		uint32_t version;

		if (digest_set_find(&f->versions, &tag->version) != TABLE_NONE)
			continue;
		if (asprintf(&name, "%s:%s", v->name, tag->name) < 0)
			return err_oom(f->err);
		r = fsck_add_version(f, &tag->version, name, 0, &version);
	}
	return r;
}

static int name_version(struct numbers *s, const struct number *number)
{
	uint32_t version;
	int r = fsck_add_version(s->fsck, &number->version, s->name, number->n,
				 &version);

	return r < 0 || !s->record ? r
				   : fsck_touch(s->fsck, s->record, version);
}

static int add_versions(struct numbers *s)
{
	const struct volume *v = s->volume;
	struct fsck *f = s->fsck;
	int r = 0;

	for (size_t i = s->n; r == 0 && i-- > 0;) {
		const struct number *number = &s->all[i];

		if (v && number->n > v->sequence)
			f->totals.unfinished++;
		/* Those that were restored have their names already. */
		else if (number->known && !number->problem)
			r = name_version(s, number);
		else if (!number->known && !number->removed)
			r = lost_number(s, number);
	}
	return r;
}

static int prove_numbers(struct numbers *s)
{
	const struct volume *v = s->volume;
	int r = 0;

	if (!v->has_head)
		return 0;
	r = check_head(s);
	if (r == 0 && !find_number(s, v->sequence))
		r = prove_below(s, v->sequence, v->head);
	for (size_t i = 0; r == 0 && i < s->n; i++)
		if (s->all[i].known && s->all[i].n <= v->sequence)
			r = prove_below(s, s->all[i].n, s->all[i].version);
	return r;
}

static int load_numbers(struct numbers *s)
{
	char prefix[STORE_KEY_MAX];
	int r;

	snprintf(prefix, sizeof(prefix), "volumes/%.128s/", s->name);
	r = store_list(s->fsck->host->store, prefix, add_number, s,
		       s->fsck->err);
	if (r == 0 && s->n)
		qsort(s->all, s->n, sizeof(*s->all), compare_numbers);
	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = read_number(s, &s->all[i]);
	return r;
}

static int check_numbers(struct numbers *s)
{
	int r = s->volume ? prove_numbers(s) : 0;

	if (r == 0)
		r = add_versions(s);
	return r == 0 && s->volume ? add_tags(s) : r;
}

int fsck_volume(struct fsck *f, const char *name, const struct volume *v,
		const struct err *problem)
{
	_cleanup_(numbers_release) struct numbers s = {
		.fsck = f, .name = name, .volume = v};
	char key[STORE_KEY_MAX];
	int r;

	if (!v && problem->code == -ENOMEM)
		return err_oom(f->err);
	if (!v) {
		s.record = fsck_found(f, store_key_head(key, name), "damaged",
				      "%s", problem->text);
		if (!s.record)
			return -ENOMEM;
		/* A directory with such a name is nothing of ours. */
		if (volume_name_check(name, NULL) < 0)
			return 0;
	}
	r = load_numbers(&s);
	return r == 0 ? check_numbers(&s) : r;
}

/* A session of this host goes on with what it has. */
static int give_lease(struct numbers *s, struct volume *v, struct err *err)
{
	_cleanup_(session_freep) struct session *session = NULL;
	struct host *h = s->fsck->host;
	int r = session_find(h, s->name, false, &session, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	v->lease_host = strdup(h->id);
	v->lease_session = strdup(session->id);
	v->lease_epoch = session->epoch;
	return v->lease_host && v->lease_session ? 0 : err_oom(err);
}

/* With host->volumes_lock held for writing. */
static int make_record(struct numbers *s, struct volume **ret, struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = calloc(1, sizeof(*v));
	int r;

	if (!v || !(v->name = strdup(s->name)))
		return err_oom(err);
	v->has_head = true;
	v->head = s->all[0].version;
	v->sequence = s->all[0].n;
	v->created = v->modified = time(NULL);
	r = give_lease(s, v, err);
	if (r == 0)
		r = volume_write_new(s->fsck->host, v, err);
	if (r == 0)
		*ret = TAKE_PTR(v);
	return r;
}

static struct finding *record_found(struct numbers *s)
{
	char key[STORE_KEY_MAX];

	store_key_head(key, s->name);
	if (s->all[0].known)
		return fsck_found(s->fsck, key, "missing",
				  "the record is not in the store; restore it "
				  "from a copy, or have the numbers make up "
				  "for it, which know no tags and labels");
	return fsck_found(s->fsck, key, "missing",
			  "the record is not in the store, nor does the "
			  "highest number tell a version; restore one of them "
			  "from a copy");
}

/* With host->volumes_lock held for writing, so that nobody is just making or
 * removing the volume. */
static int find_record(struct numbers *s, struct volume **ret)
{
	_cleanup_(volume_freep) struct volume *there = NULL;
	struct err problem = ERR_INIT;
	struct fsck *f = s->fsck;
	char prefix[STORE_KEY_MAX];
	int r = volume_read(f->host, s->name, &there, &problem);

	if (r != -ENOENT)
		return 0;
	r = load_numbers(s);
	if (r < 0 || s->n == 0)
		return r;
	/* No head is made of numbers of which a higher one may be hidden. */
	r = store_list_all(f->host->store, store_prefix_volume(prefix, s->name),
			   1, fsck_ignore_key, NULL, f->err);
	if (r < 0)
		return r;
	s->record = record_found(s);
	if (!s->record)
		return -ENOMEM;
	if (!s->all[0].known)
		return 0;
	s->record->state = FSCK_REPAIRABLE;
	if (!f->options->repair)
		return 0;
	problem = ERR_INIT;
	r = make_record(s, ret, &problem);
	/* Another host may have been quicker. */
	if (r == 0 || r == -EEXIST)
		s->record->state = FSCK_REPAIRED;
	return r == -EEXIST ? 0 : fsck_written(f, r, &problem);
}

int fsck_lost_volume(struct fsck *f, const char *name)
{
	_cleanup_(numbers_release) struct numbers s = {.fsck = f, .name = name};
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r;

	pthread_rwlock_wrlock(&f->host->volumes_lock);
	r = find_record(&s, &v);
	pthread_rwlock_unlock(&f->host->volumes_lock);
	s.volume = v;
	return r == 0 && s.record ? check_numbers(&s) : r;
}
