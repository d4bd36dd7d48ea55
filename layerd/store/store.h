/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where packs, layers and versions live durably: the contract that every
 * backend keeps. A store is a flat space of keys, relative paths with '/', of
 * the layout in store/layout.h. All functions block and may be called from
 * several threads at once.
 *
 * What a backend promises:
 *  1. What put, create, upload_finish or swap reported as done is durable.
 *  2. An object appears whole or not at all, also after a power cut.
 *  3. create lets one of several racers win; swap is compare-and-swap.
 *
 * Errors besides the usual: -EROFS for a store that cannot be written (with the
 * reason), -ENOSPC/-EDQUOT when it is full, -ENOENT for a missing key without a
 * text in err, -EBADMSG for a store that is not one of ours or too new.
 */

#include "util/buf.h"
#include "util/digest.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_upload;

/* Changes whenever the record does; compare for equality only. */
struct store_tag {
	char text[80];
};

/*
 * Opens the directory store at path. With create, a missing or empty directory
 * becomes a new store (layerd.json with a random id); without, that is -ENOENT.
 */
int store_open_dir(struct store **ret, const char *path, bool create,
		   struct err *err);
struct store *store_free(struct store *s);
void store_freep(struct store **s);

/* Random id of the store (UUID text), fixed at its creation. */
const char *store_id(const struct store *s);
/* For messages: the path or URL. */
const char *store_name(const struct store *s);

/* Whether layerd.json still is what it was when the store was opened. -EBADMSG
 * with a sentence. */
int store_check(struct store *s, struct err *err);

/* Appends the whole object to b; -EFBIG when it is larger than max. */
int store_get(struct store *s, const char *key, size_t max, struct buf *b,
	      struct err *err);
/* Reads exactly length bytes at offset into data; -EBADMSG when the object is
 * shorter. */
int store_get_range(struct store *s, const char *key, uint64_t offset,
		    size_t length, void *data, struct err *err);
int store_size(struct store *s, const char *key, uint64_t *ret,
	       struct err *err);

/* Stores an object whose key names its content: one that is there already with
 * the same size is left alone and counts as done. */
int store_put(struct store *s, const char *key, const void *data, size_t size,
	      struct err *err);
/* Stores an object that must not exist yet; -EEXIST. */
int store_create(struct store *s, const char *key, const void *data,
		 size_t size, struct err *err);
/* Replaces an object, whoever wrote it before (places, traces). */
int store_replace(struct store *s, const char *key, const void *data,
		  size_t size, struct err *err);

/* Reads a record and its tag. */
int store_read_record(struct store *s, const char *key, size_t max,
		      struct buf *b, struct store_tag *ret, struct err *err);
/*
 * Writes a record if it still is as tag says; tag NULL: if it does not exist.
 * STORE_E_CHANGED when it is not. *ret is the new tag (may be NULL).
 */
#define STORE_E_CHANGED 1
int store_swap_record(struct store *s, const char *key,
		      const struct store_tag *tag, const void *data,
		      size_t size, struct store_tag *ret, struct err *err);

/*
 * A large object written piece by piece, whose key is known at the end only.
 * Pieces go towards the disk at once, so that finishing has little to wait for.
 * finish consumes the upload whatever it returns; free drops an unfinished one.
 */
int store_upload_new(struct store *s, uint64_t size_hint,
		     struct store_upload **ret, struct err *err);
int store_upload_add(struct store_upload *u, const void *data, size_t size,
		     struct err *err);
int store_upload_finish(struct store_upload *u, const char *key,
			struct err *err);
struct store_upload *store_upload_free(struct store_upload *u);
void store_upload_freep(struct store_upload **u);

/* Calls fn for each key that begins with prefix (which ends in '/'), in no
 * order; temporary files of unfinished writes are not reported. */
typedef int (*store_key_fn)(const char *key, uint64_t size, void *ctx,
			    struct err *err);
int store_list(struct store *s, const char *prefix, store_key_fn fn, void *ctx,
	       struct err *err);
/*
 * The same for who takes what is not listed as not there: below prefix, which
 * has to be there, keys have so many names. What could hide one, be it
 * something else in the place of a directory or of an object, is -EBADMSG with
 * a sentence that names it. "volumes/" is there from the creation of a store
 * on.
 */
int store_list_all(struct store *s, const char *prefix, unsigned int levels,
		   store_key_fn fn, void *ctx, struct err *err);
/* The names one level below prefix ("volumes/"), each once, without '/'. */
int store_list_names(struct store *s, const char *prefix, store_key_fn fn,
		     void *ctx, struct err *err);

/* Removes an object; a missing one is fine. A power cut may bring it back. */
int store_remove(struct store *s, const char *key, struct err *err);

/* Makes durable what was removed one level below prefix ("volumes/x/"). */
int store_sync_removed(struct store *s, const char *prefix, struct err *err);

/* Nothing is to be below prefix any more ("volumes/x/"): whatever the backend
 * keeps for the place goes, unless something is there. Nobody may be about to
 * create an object there; writers of records are fine. */
int store_drop(struct store *s, const char *prefix, struct err *err);

/* Removes what unfinished writes have left behind that no process is at any
 * more, and adds what that freed to the numbers. */
int store_tidy(struct store *s, uint64_t *files, uint64_t *bytes,
	       struct err *err);
