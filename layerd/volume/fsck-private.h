/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the parts of a check share. */

#include "format/layer-object.h"
#include "format/manifest.h"
#include "format/pack.h"
#include "format/places.h"
#include "util/digest-set.h"
#include "volume/fsck.h"
#include "volume/volume.h"

struct finding {
	char *object;
	const char *kind;
	char *message;
	enum fsck_state state;
	/* Chunks that are damaged by it, and those of them found elsewhere. */
	uint64_t bad, found;
	/* Versions, or layers with TOUCHED_LAYER; repeated ones count once. */
	uint32_t *touched;
	size_t n_touched;
	size_t touched_alloc;
	char *paths[FSCK_PATHS_MAX];
	size_t n_paths;
	uint64_t paths_total;
	uint64_t last_file; /* fsck.files of the path that was added last */
};

#define TOUCHED_LAYER 0x80000000u

/* What a version is called. A session, and a number whose version nobody knows,
 * are versions without a manifest. */
struct fsck_name {
	char *text;
	uint32_t version;
};

struct fsck_layer {
	struct version_layer pin;
	uint32_t *users; /* versions */
	size_t n_users;
	size_t users_alloc;
	bool object_lost;
	bool object_from_cache; /* is to be put into the store again */
	struct finding *object, *places;
};

enum pack_state {
	PACK_UNKNOWN,
	PACK_READABLE, /* its contents are */
	PACK_MISSING,
	PACK_DAMAGED, /* its contents cannot be read */
};

enum chunk_mark {
	CHUNK_UNREAD,
	CHUNK_GOOD,
	CHUNK_BAD,
};

struct fsck_pack {
	enum pack_state state;
	bool marked;	     /* as damaged, by an earlier repair */
	bool needed;	     /* some layer has chunks there */
	bool restored;	     /* by this repair, under its own name */
	struct pack_toc toc; /* of a readable one, when it is loaded */
	bool loaded;
	uint32_t n;
	uint8_t *marks; /* enum chunk_mark, by number in toc; NULL: all unread
			 */
	struct finding *finding;
};

/* A chunk that is to get another place. */
enum chunk_source {
	SOURCE_NONE,
	SOURCE_PACK,
	SOURCE_CACHE,
};

struct wanted {
	uint32_t size;
	uint32_t length; /* of the frame */
	enum chunk_source source;
	bool placed; /* pack, offset and length are where it is to be read */
	/* The pack; or the tarball in the cache. */
	struct digest from;
	uint64_t offset;
};

struct fsck {
	struct host *host;
	const struct fsck_options *options;
	struct err *err;
	struct fsck_totals totals;

	struct finding **findings;
	size_t n_findings, findings_alloc;

	struct digest_set versions;
	bool *no_manifest; /* or none that can be read; by number in versions */
	size_t no_manifest_alloc;
	struct fsck_name *names;
	size_t n_names, names_alloc;
	struct digest_set blobs; /* manifests, configs, layer objects */
	struct digest_set tars;	 /* of layers, whose places are theirs */

	struct fsck_layer *layers;
	size_t n_layers, layers_alloc;
	struct table layer_table;

	struct digest_set packs;
	struct fsck_pack *pack; /* by number in packs */
	size_t pack_alloc;
	size_t toc_bytes; /* of all loaded contents */

	uint64_t read_total;
	uint64_t files; /* walked for their paths; counts up */
	bool hurt;	/* some chunk cannot be had from its place */

	struct digest_set wanted_set;
	struct wanted *wanted;
	size_t wanted_alloc;
};

/* A layer that is being looked at. */
struct fsck_loaded {
	struct fsck_layer *layer;
	struct layer_object object;
	struct buf index;
	struct places places;
	bool has_places;
	/* By chunk: the entry in its pack's contents; what is wrong or NULL. */
	uint32_t *entries;
	struct finding **why;
};
#define _cleanup_loaded_ __attribute__((cleanup(fsck_loaded_release)))
void fsck_loaded_release(struct fsck_loaded *l);

/* Room for one more item in the array that items points to, with zeros in what
 * is new. -ENOMEM with a sentence. */
int fsck_room(struct fsck *f, void *items, size_t n, size_t *alloc,
	      size_t size);

/* Makes progress known, and whether to go on. */
int fsck_progress(struct fsck *f, const char *stage, uint64_t done,
		  uint64_t total, uint64_t files);

/* fsck-report.c: NULL when memory ran out, which err says. object is copied. */
struct finding *fsck_found(struct fsck *f, const char *object, const char *kind,
			   const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int fsck_touch(struct fsck *f, struct finding *finding, uint32_t version);
/* All versions that the layer will be found to be part of. */
int fsck_touch_layer(struct fsck *f, struct finding *finding,
		     const struct fsck_layer *layer);
int fsck_add_path(struct fsck *f, struct finding *finding, const char *path);
int fsck_report(struct fsck *f, fsck_fn fn, void *ctx);
void fsck_report_release(struct fsck *f);

/* fsck-versions.c: fills versions and layers. */
int fsck_collect(struct fsck *f);
/* An object that its digest names. 1 with a finding in *ret (may be NULL). */
int fsck_read_blob(struct fsck *f, const struct digest *digest,
		   const char *what, size_t max, struct buf *b,
		   struct finding **ret);
/* Called NAME@SEQUENCE, or NAME where that is 0. */
int fsck_add_version(struct fsck *f, const struct digest *digest,
		     const char *name, uint64_t sequence, uint32_t *ret);
/* One without a manifest; name is copied. */
int fsck_add_name(struct fsck *f, const char *name, uint32_t *ret);
int fsck_add_layer(struct fsck *f, const struct version_layer *pin,
		   uint32_t user);

/* For who only wants to know whether a listing goes well. */
int fsck_ignore_key(const char *key, uint64_t size, void *ctx, struct err *err);

/* fsck-volumes.c */
int fsck_volume(struct fsck *f, const char *name, const struct volume *v,
		const struct err *problem);

/* One without a record that has versions; nothing is found of what is only half
 * made. */
int fsck_lost_volume(struct fsck *f, const char *name);

/* fsck-packs.c: the number of a pack that something names. */
int fsck_pack(struct fsck *f, const struct digest *digest, uint32_t *ret);
/* Its contents, valid until the next call; NULL when they cannot be read, then
 * its finding says why. */
int fsck_pack_toc(struct fsck *f, uint32_t pack, const struct pack_toc **ret);
/* What reading has shown of a chunk, by its number in the contents. */
enum chunk_mark fsck_pack_known(const struct fsck *f, uint32_t pack,
				uint32_t entry);
int fsck_pack_mark(struct fsck *f, uint32_t pack, uint32_t entry,
		   enum chunk_mark mark);
/* What is wrong with it as a whole or in part: one finding for all. */
int fsck_pack_finding(struct fsck *f, uint32_t pack, struct finding **ret);
/* The pack was written anew, under the name that it has. */
int fsck_pack_restored(struct fsck *f, const struct digest *pack);
int fsck_list_packs(struct fsck *f);
void fsck_packs_release(struct fsck *f);

/* fsck-layers.c: 0, or 1 where there is nothing to look at. */
int fsck_load(struct fsck *f, struct fsck_layer *layer, bool index,
	      struct fsck_loaded *ret);
/* Fills entries and why from what is known by now. */
int fsck_judge(struct fsck *f, struct fsck_loaded *l);
int fsck_layers(struct fsck *f);

/* fsck-data.c */
struct fsck_reader {
	struct pack_codec *codec;
	struct buf frame; /* as it was read last */
};
#define _cleanup_reader_ __attribute__((cleanup(fsck_reader_release)))
void fsck_reader_release(struct fsck_reader *r);
/* Reads and checks one chunk into data (CHUNK_MAX). -EBADMSG without a
 * sentence for whatever keeps it from being had, or -ENOMEM. */
int fsck_read_chunk(struct fsck *f, struct fsck_reader *reader,
		    const struct digest *pack, const struct pack_entry *e,
		    uint8_t *data);
int fsck_read_layer(struct fsck *f, struct fsck_loaded *l);
int fsck_read_rest(struct fsck *f);

/* fsck-sources.c: where else the chunks are that packs with a finding have, or
 * should have. */
int fsck_find_sources(struct fsck *f);
struct wanted *fsck_wanted(struct fsck *f, const struct digest *chunk);
/* Each finding about data gets the state when all of its chunks can be had;
 * after a repair, when none is damaged any more. */
int fsck_settle(struct fsck *f, enum fsck_state state);
/* Whether a row is to change. */
bool fsck_row_hurt(struct fsck *f, const struct fsck_loaded *l, size_t i);

/* fsck-repair.c */
/* The result of writing to the store: something that is no file in the place of
 * an object makes it impossible to repair, and is no error. */
int fsck_written(struct fsck *f, int r, const struct err *problem);
int fsck_repair_data(struct fsck *f);
int fsck_repair_object(struct fsck *f, struct fsck_layer *layer);

/* fsck-host.c */
int fsck_cache(struct fsck *f);
int fsck_catalog(struct fsck *f);
int fsck_orphans(struct fsck *f);
