/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What this host remembers, in SQLite (WAL). All of it can be lost: the index
 * over the store is rebuilt from the store, cache accounting from the cache,
 * and mounts from the mount table. Sessions are not here but beside their upper
 * directories, so that deleting the catalog loses no unsealed data.
 *
 * One struct catalog may be used by several threads; calls are serialised.
 */

#include "format/pack.h"
#include "util/buf.h"
#include "util/digest.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

struct catalog;

/*
 * Opens or creates the database at path (a file name) and migrates its schema.
 * CATALOG_E_NEW: it was just created and is empty. CATALOG_E_CORRUPT: it was
 * damaged or not ours and has been renamed to PATH.corrupt-TIME (*ret is a new
 * empty one). In both cases the caller rebuilds the index. A schema newer than
 * this program is -EBADMSG.
 */
#define CATALOG_E_NEW 1
#define CATALOG_E_CORRUPT 2
int catalog_open(struct catalog **ret, const char *path, struct err *err);
struct catalog *catalog_free(struct catalog *c);
void catalog_freep(struct catalog **c);

/* Small facts, e.g. "store-id". get appends to value; -ENOENT. */
int catalog_get_meta(struct catalog *c, const char *key, struct buf *value,
		     struct err *err);
int catalog_set_meta(struct catalog *c, const char *key, const char *value,
		     struct err *err);

/* Chunk places. */
struct catalog_place {
	struct digest pack;
	uint64_t offset;
	uint32_t length;
	uint32_t size;
};
/* 0, -ENOENT without text. */
int catalog_find_chunk(struct catalog *c, const struct digest *chunk,
		       struct catalog_place *ret, struct err *err);
/* Records all chunks of a pack in one transaction; repeating it is fine. */
int catalog_add_pack(struct catalog *c, const struct digest *pack,
		     const struct pack_toc *toc, struct err *err);
int catalog_has_pack(struct catalog *c, const struct digest *pack, bool *ret,
		     struct err *err);
/* Forgets a pack that the store has lost, with its chunks. */
int catalog_remove_pack(struct catalog *c, const struct digest *pack,
			struct err *err);
/* The bytes of all packs that are known, and how many there are. */
int catalog_pack_totals(struct catalog *c, uint64_t *ret_packs,
			uint64_t *ret_chunks, uint64_t *ret_bytes,
			struct err *err);

/* Versions and layers, to find them by digest or by the start of one. */
int catalog_add_version(struct catalog *c, const struct digest *version,
			const char *volume, uint64_t sequence, struct err *err);
int catalog_add_layer(struct catalog *c, const struct digest *tar,
		      const struct digest *object, uint64_t tar_size,
		      struct err *err);
int catalog_remove_version(struct catalog *c, const struct digest *version,
			   struct err *err);
int catalog_remove_layer(struct catalog *c, const struct digest *tar,
			 struct err *err);
/* By the first hex digits (at least 8): -ENOENT, -EEXIST if several match;
 * both without text. */
int catalog_find_version(struct catalog *c, const char *hex, struct digest *ret,
			 struct err *err);
int catalog_find_layer(struct catalog *c, const char *hex,
		       struct digest *ret_tar, struct digest *ret_object,
		       uint64_t *ret_size, struct err *err);

/* The index against the store, and the index as a whole. */
enum catalog_table {
	CATALOG_PACKS,
	CATALOG_VERSIONS,
	CATALOG_LAYERS, /* by their tarballs */
};
/* Reads all of the file. -EBADMSG when it is damaged. */
int catalog_check(struct catalog *c, struct err *err);
/* The digests that a table has, in no order; *ret is the caller's. */
int catalog_digests(struct catalog *c, enum catalog_table table,
		    struct digest **ret, size_t *ret_n, struct err *err);
/* Whether the rows of a pack are what its contents say: each chunk has a row,
 * here or in another pack, and no row says what the pack does not. */
int catalog_check_pack(struct catalog *c, const struct digest *pack,
		       const struct pack_toc *toc, bool *ret, struct err *err);
/*
 * Empties the index, and forgets "store-id" so that a rebuild that is cut short
 * is made again at the next start. A damaged file is put aside as by
 * catalog_open() and a new one takes its place (CATALOG_E_CORRUPT); mounts that
 * can still be read are taken along.
 */
int catalog_clear(struct catalog *c, struct err *err);

/* Read-only mounts that were handed out, so that a restarted daemon can list
 * them. Writable ones are sessions. */
struct catalog_mount {
	int64_t id;
	char *reference;       /* as mounted, e.g. my-data@3 */
	struct digest version; /* manifest */
	char *path;	       /* where the caller attached it */
	uint64_t device;       /* st_dev of the overlay, this boot */
	char *boot_id;
	int64_t created;
};
/* Takes the place of one that had the same st_dev in this boot. */
int catalog_add_mount(struct catalog *c, const struct catalog_mount *m,
		      int64_t *ret_id, struct err *err);
int catalog_remove_mount(struct catalog *c, int64_t id, struct err *err);
typedef int (*catalog_mount_fn)(const struct catalog_mount *m, void *ctx);
int catalog_each_mount(struct catalog *c, catalog_mount_fn fn, void *ctx,
		       struct err *err);

/* Cache accounting: bytes on disk and last use of a cached layer. */
int catalog_touch_cache(struct catalog *c, const struct digest *tar,
			uint64_t bytes, struct err *err);
int catalog_remove_cache(struct catalog *c, const struct digest *tar,
			 struct err *err);
