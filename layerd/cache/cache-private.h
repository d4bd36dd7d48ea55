/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What cache.c, stage.c and fill.c share. */

#include "cache/cache.h"
#include "cache/present.h"

#include <dirent.h>
#include <pthread.h>

#define CACHE_TAR "tar"
#define CACHE_INDEX "index"
#define CACHE_OBJECT "layer"
#define CACHE_PRESENT "present"
#define CACHE_STAGE_PREFIX "stage-"

/* Bounds for what a store may make us hold in memory. An index of 2 GiB has
 * some fifteen million names. */

/* A layer that is being filled; on the stack of the thread that does it. */
struct cache_claim {
	struct digest tar;
	struct cache_claim *next;
};

struct cache {
	int fd;
	int lock_fd;
	char *path;
	uint8_t boot_id[PRESENT_BOOT_ID_SIZE];

	/* Guards the names in fd, and what follows. */
	pthread_mutex_t lock;
	pthread_cond_t claim_ended;
	struct cache_claim *claims;
	unsigned int stages; /* counts up, for their names */
};

/* A layer's directory, opened and found whole. */
struct cache_entry {
	int dir_fd;
	int tar_fd;
	int index_fd;
	struct present present;
};

#define CACHE_ENTRY_INIT                                                       \
	(struct cache_entry)                                                   \
	{                                                                      \
		.dir_fd = -1, .tar_fd = -1, .index_fd = -1                     \
	}
#define _cleanup_cache_entry_ __attribute__((cleanup(cache_entry_release)))
void cache_entry_release(struct cache_entry *e);

/* 0, CACHE_E_MISSING, -EBADMSG for what cannot be believed, other errors for
 * what could not be looked at. No sentences, no lock. */
int cache_entry_open(struct cache *c, const struct digest *tar,
		     struct cache_entry *ret);

/* The cache's directory, to be listed. */
int cache_open_dir(const struct cache *c, DIR **ret);

/* A name for a new directory under fd. Takes the lock. */
void cache_stage_name(struct cache *c, char name[static 64]);

/* The sentence for a layer that could not be written to the cache. */
int cache_fail_write(const struct cache *c, int code, const struct digest *tar,
		     uint64_t size, struct err *err);
