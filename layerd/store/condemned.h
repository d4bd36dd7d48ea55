/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The objects of a store that a collector is about to remove. They are still
 * there for who reads them, but nothing new may rely on them: whoever found one
 * by another way than writing it asks condemned_has(). Whoever writes one anew,
 * by any function of store/store.h, takes it back, and it stays; when it is
 * just being removed he waits for that and then writes it.
 *
 * One collector at a time has the set. Others find it empty otherwise.
 */

#include "store/layout.h"
#include "store/store.h"

#include <pthread.h>

enum condemned_state {
	CONDEMNED_WAITS,
	CONDEMNED_REMOVED,
	CONDEMNED_TAKEN_BACK,
};

struct condemned_item {
	struct digest digest;
	uint64_t size; /* the collector's own */
	uint8_t kind;  /* enum store_kind */
	uint8_t role;  /* the collector's own */
	uint8_t state;
};

struct condemned {
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct condemned_item *items; /* sorted; borrowed from the collector */
	size_t n;
	const struct condemned_item *removing;
	unsigned int holders;
};

/* For backends. */
void condemned_init(struct condemned *c);
void condemned_release(struct condemned *c);

struct condemned *store_condemned(struct store *s);

/* Sorts items and makes them the set, until they are replaced by none. */
void condemned_set(struct condemned *c, struct condemned_item *items, size_t n);

/* Whether an object is in the set and was not taken back. */
bool condemned_has(struct condemned *c, enum store_kind kind,
		   const struct digest *d);

bool condemned_is_empty(struct condemned *c);

/* For who writes an object anew: takes it, whatever file of it key names, out
 * of the set. Waits while it is being removed. */
void condemned_take_back(struct condemned *c, const char *key);

/* The same for who needs it as it is: false when it was removed. */
bool condemned_keep(struct condemned *c, enum store_kind kind,
		    const struct digest *d);

/* Whether it is in the set and is gone. */
bool condemned_is_removed(struct condemned *c, enum store_kind kind,
			  const struct digest *d);

/* Around the taking back of several objects: between the two none is removed.
 * The first waits for the one that is being removed. */
void condemned_hold(struct condemned *c);
void condemned_let_go(struct condemned *c);

/*
 * Around the removing of one object: false when it was taken back. Between the
 * two nobody writes it. Waits while others hold the set.
 */
bool condemned_begin(struct condemned *c, struct condemned_item *item);
void condemned_end(struct condemned *c, struct condemned_item *item,
		   bool removed);
