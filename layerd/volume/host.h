/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What one daemon works with: its directories, store, cache and catalog. */

#include "cache/cache.h"
#include "catalog/catalog.h"
#include "store/store.h"
#include "util/error.h"
#include "util/gate.h"
#include "volume/warmer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct host {
	char *state_dir;
	char *runtime_dir;
	char *lower_dir; /* RUNTIME/lower: EROFS mounts */
	char *mount_dir; /* RUNTIME/mounts: each session's own mount */
	/* STATE/empty, for overlays with nothing below. overlayfs ties an upper
	 * directory to it, so it must be the same one after a reboot. */
	char *empty_dir;
	char id[40]; /* of this host, random, kept in the state directory */
	char boot_id[40];
	uint64_t run; /* random, of this process alone */
	int state_fd;
	int lock_fd;

	struct store *store;
	struct cache *cache;
	struct catalog *catalog;
	struct warmer *warmer;

	/*
	 * Held while a session is made, and while layers are mounted or
	 * unmounted below overlays: short times. Whoever needs a session's lock
	 * as well takes that first.
	 */
	pthread_mutex_t sessions_lock;
	/* A layer came into the cache: an image that nothing uses may be of
	 * files that were there before. */
	atomic_bool refilled;

	/*
	 * Held for reading while a volume gets a version: its sequence object
	 * and then its record. Held for writing while versions are taken away,
	 * so that nobody fills up what is being emptied.
	 */
	pthread_rwlock_t volumes_lock;

	/* Whoever may make something new rely on what the store has is inside;
	 * volume/gc.h waits for them. */
	struct gate gate;
	atomic_bool collecting;

	/* See host_complete_catalog(). */
	atomic_bool completed;

	/* Set when the daemon is to stop: long work ends with -ECANCELED. */
	atomic_bool stopping;
};

/*
 * Opens everything below the two directories, creating what is missing, and
 * rebuilds the catalog's index where that is needed. -EBUSY when another daemon
 * uses the state directory; -EOPNOTSUPP when that is on overlayfs.
 * *ret_notice (may be NULL) is a sentence to log, owned by the caller, or NULL.
 */
int host_open(struct host **ret, const char *state_dir, const char *runtime_dir,
	      char **ret_notice, struct err *err);
/* The locks of a host, for who makes one by hand. */
void host_init_locks(struct host *h);
struct host *host_free(struct host *h);
void host_freep(struct host **h);

/* Progress of a long call; a negative result ends it. */
struct progress {
	int (*report)(const char *stage, uint64_t done, uint64_t total,
		      uint64_t files, void *ctx);
	void *ctx;
};

/* Reports, and ends the work when the daemon is to stop. p may be NULL. */
int progress_report(const struct host *h, const struct progress *p,
		    const char *stage, uint64_t done, uint64_t total,
		    uint64_t files);
