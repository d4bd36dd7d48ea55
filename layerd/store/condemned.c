/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold:
 *  1. An object is either removed before a writer of it looks whether it is
 *     there, or not removed at all.
 *  2. While the set is held nothing is removed.
 */
#include "store/condemned.h"

#include <stdlib.h>

void condemned_init(struct condemned *c)
{
	*c = (struct condemned){0};
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->done, NULL);
}

void condemned_release(struct condemned *c)
{
	pthread_cond_destroy(&c->done);
	pthread_mutex_destroy(&c->lock);
}

static int compare(const void *a, const void *b)
{
	const struct condemned_item *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return memcmp(x->digest.bytes, y->digest.bytes, DIGEST_SIZE);
}

static struct condemned_item *find(const struct condemned *c,
				   enum store_kind kind, const struct digest *d)
{
	const struct condemned_item key = {.kind = (uint8_t)kind, .digest = *d};

	if (!c->n)
		return NULL;
	return bsearch(&key, c->items, c->n, sizeof(key), compare);
}

void condemned_set(struct condemned *c, struct condemned_item *items, size_t n)
{
	if (n)
		qsort(items, n, sizeof(*items), compare);
	pthread_mutex_lock(&c->lock);
	c->items = items;
	c->n = n;
	pthread_mutex_unlock(&c->lock);
}

bool condemned_has(struct condemned *c, enum store_kind kind,
		   const struct digest *d)
{
	const struct condemned_item *item;
	bool yes;

	pthread_mutex_lock(&c->lock);
	item = find(c, kind, d);
	yes = item && item->state != CONDEMNED_TAKEN_BACK;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

bool condemned_is_empty(struct condemned *c)
{
	bool empty;

	pthread_mutex_lock(&c->lock);
	empty = !c->n;
	pthread_mutex_unlock(&c->lock);
	return empty;
}

bool condemned_keep(struct condemned *c, enum store_kind kind,
		    const struct digest *d)
{
	struct condemned_item *item;
	bool there;

	pthread_mutex_lock(&c->lock);
	while ((item = find(c, kind, d)) && item == c->removing)
		pthread_cond_wait(&c->done, &c->lock);
	there = !item || item->state != CONDEMNED_REMOVED;
	if (item && there)
		item->state = CONDEMNED_TAKEN_BACK;
	pthread_mutex_unlock(&c->lock);
	return there;
}

void condemned_take_back(struct condemned *c, const char *key)
{
	struct condemned_item *item;
	enum store_kind kind;
	struct digest d;

	if (!store_key_parse(key, &kind, &d) || condemned_keep(c, kind, &d))
		return;
	/* Removed: it is about to be there again. */
	pthread_mutex_lock(&c->lock);
	item = find(c, kind, &d);
	if (item)
		item->state = CONDEMNED_TAKEN_BACK;
	pthread_mutex_unlock(&c->lock);
}

bool condemned_is_removed(struct condemned *c, enum store_kind kind,
			  const struct digest *d)
{
	const struct condemned_item *item;
	bool yes;

	pthread_mutex_lock(&c->lock);
	item = find(c, kind, d);
	yes = item && item->state == CONDEMNED_REMOVED;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

void condemned_hold(struct condemned *c)
{
	pthread_mutex_lock(&c->lock);
	c->holders++;
	while (c->removing)
		pthread_cond_wait(&c->done, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

void condemned_let_go(struct condemned *c)
{
	pthread_mutex_lock(&c->lock);
	c->holders--;
	pthread_cond_broadcast(&c->done);
	pthread_mutex_unlock(&c->lock);
}

bool condemned_begin(struct condemned *c, struct condemned_item *item)
{
	bool yes;

	pthread_mutex_lock(&c->lock);
	while (c->holders)
		pthread_cond_wait(&c->done, &c->lock);
	yes = item->state == CONDEMNED_WAITS;
	if (yes)
		c->removing = item;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

void condemned_end(struct condemned *c, struct condemned_item *item,
		   bool removed)
{
	pthread_mutex_lock(&c->lock);
	if (removed)
		item->state = CONDEMNED_REMOVED;
	c->removing = NULL;
	pthread_cond_broadcast(&c->done);
	pthread_mutex_unlock(&c->lock);
}
