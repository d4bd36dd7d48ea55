/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A volume: a name and its line of versions. Its record,
 * volumes/NAME/head.json, changes by compare-and-swap only;
 * volumes/NAME/SEQUENCE objects are created once. DESIGN, "Store layout".
 */

#include "format/manifest.h"
#include "format/reference.h"
#include "volume/host.h"

#include <stdbool.h>
#include <stdint.h>

/* A timestamp as RFC 3339 in UTC with seconds. */
#define TIME_TEXT_SIZE 32
char *time_text(int64_t seconds, char text[static TIME_TEXT_SIZE]);

struct volume_tag {
	char *name;
	struct digest version;
};

/*
 * A label that a version was given after it was sealed, in place of one of its
 * manifest if that has the key too; value NULL: the manifest's is taken away.
 */
struct volume_label {
	struct digest version;
	char *key;
	char *value;
};

struct volume {
	char *name;
	bool removed; /* is being removed: is no volume any more */
	bool has_head;
	struct digest head;
	uint64_t sequence; /* of the head; 0 when there is none */
	int64_t created;
	int64_t modified;
	struct volume_tag *tags; /* sorted by name */
	size_t n_tags;
	struct volume_label *labels; /* sorted by version, then key */
	size_t n_labels;

	/* The right to write: empty when nobody has it. */
	char *lease_host;
	char *lease_session;
	uint64_t lease_epoch;

	/*
	 * A rename that is under way (volume/rename.h): of this volume to
	 * another name, or from another name to this one. moved: all is at the
	 * other name. What volume_load() returns has neither, unless the rename
	 * could not be completed: it is unsettled then, and can only be read.
	 */
	char *moving_to;
	char *moving_from;
	bool moved;
	bool unsettled;

	struct store_tag record; /* what the record was when it was read */
};

struct volume *volume_free(struct volume *v);
void volume_freep(struct volume **v);

/* Creates an empty volume. -EEXIST, -EINVAL for a bad name. */
int volume_create(struct host *h, const char *name, struct err *err);

/* Whether a volume of that name could be made: -EEXIST, -EINVAL. */
int volume_check_new(struct host *h, const char *name, struct err *err);

/* Reads a volume's record, and completes a rename that was cut short first.
 * -ENOENT with a sentence. */
int volume_load(struct host *h, const char *name, struct volume **ret,
		struct err *err);

/* Writes a changed record back. -ESTALE when somebody changed it meanwhile,
 * -EBUSY when it is unsettled. */
int volume_save(struct host *h, struct volume *v, struct err *err);

/*
 * Changes a record: loads it, has fn change it, and writes it back. When others
 * were quicker all of that is done again, some times, before it is -ESTALE. fn
 * returns VOLUME_CHANGED, 0 when there is nothing to write, or an error.
 */
#define VOLUME_CHANGED 1
typedef int (*volume_change_fn)(struct volume *v, void *ctx, struct err *err);
int volume_change(struct host *h, const char *name, volume_change_fn fn,
		  void *ctx, struct err *err);

/* The names below volumes/, sorted; some may be of volumes half made. */
struct volume_names {
	char **items;
	size_t n;
};
#define _cleanup_volume_names_ __attribute__((cleanup(volume_names_release)))
void volume_names_release(struct volume_names *names);
int volume_names_list(struct host *h, struct volume_names *ret,
		      struct err *err);

/* Calls fn for each volume by name. A volume that cannot be read is reported
 * to fn as NULL with its name and err's sentence. */
typedef int (*volume_fn)(const char *name, const struct volume *v,
			 const struct err *problem, void *ctx);
int volume_each(struct host *h, volume_fn fn, void *ctx, struct err *err);

/*
 * Takes or gives up the lease for a session of this host. -EBUSY names the
 * holder. Releasing a lease that is not ours is not an error.
 */
int volume_lease_take(struct host *h, const char *name, const char *session,
		      uint64_t *ret_epoch, struct err *err);
int volume_lease_release(struct host *h, const char *name, const char *session,
			 struct err *err);

/* Whether a lease holds: one of this host without its session does not. */
bool volume_is_leased(const struct volume *v, struct host *h);

/*
 * Makes version the head: the sequence object, then the record, each durable
 * before the next. v->sequence + 1 is the new number. session (may be NULL)
 * must hold the lease with epoch. -ESTALE when the head is not v's any more;
 * tags and labels that were set since v was read are no hindrance to a session,
 * and v has them then.
 */
int volume_advance(struct host *h, struct volume *v,
		   const struct digest *version, const char *session,
		   uint64_t epoch, struct err *err);

/* The number that volume_advance() will give, if nobody else is quicker. */
int volume_next_sequence(struct host *h, const struct volume *v, uint64_t *ret,
			 struct err *err);

/* A new volume whose first version is the one given. -EEXIST. */
int volume_fork(struct host *h, const struct digest *version, const char *name,
		struct err *err);

/* The version that is SEQUENCE of the volume. -ENOENT with a sentence, for one
 * that was removed too. */
int volume_version_at(struct host *h, const struct volume *v, uint64_t sequence,
		      struct digest *ret, struct err *err);

/*
 * What a reference means. volume is NULL for a reference by digest; sequence is
 * 0 then. A volume without versions is -ENOENT with a sentence.
 */
struct resolved {
	struct digest version;
	struct volume *volume;
	uint64_t sequence;
};
#define _cleanup_resolved_ __attribute__((cleanup(resolved_release)))
void resolved_release(struct resolved *r);
int reference_resolve(struct host *h, const char *text, struct resolved *ret,
		      struct err *err);

/* Manifest and config of a version, from and to the store. */
int version_load(struct host *h, const struct digest *digest,
		 struct version **ret, struct err *err);
int version_store(struct host *h, struct version *v, struct err *err);
