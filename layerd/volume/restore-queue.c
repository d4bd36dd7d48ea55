/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: whoever waits is woken when the restore is to stop, and no
 * batch is lost, as each holds a directory.
 */
#include "volume/restore-private.h"

#include "util/cleanup.h"

#include <errno.h>

int batch_new(struct batch **ret, struct place *place)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->place = place_hold(place);
	*ret = b;
	return 0;
}

/* Its place is let go of by the caller, who has a writer. */
struct batch *batch_free(struct batch *b)
{
	if (b)
		buf_release(&b->names);
	free(b);
	return NULL;
}

int batch_add(struct batch *b, const struct tree_part *part, const char *name)
{
	int r = buf_add(&b->names, part, sizeof(*part));

	if (r == 0)
		r = buf_add(&b->names, name, strlen(name) + 1);
	b->n += r == 0;
	return r;
}

bool restore_queue_add(struct restore *r, struct batch *b)
{
	bool added;

	pthread_mutex_lock(&r->lock);
	while (r->n == RESTORE_QUEUE && !r->stop)
		pthread_cond_wait(&r->changed, &r->lock);
	added = !r->stop;
	if (added)
		r->queue[(r->first + r->n++) % RESTORE_QUEUE] = b;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return added;
}

struct batch *restore_queue_take(struct restore *r)
{
	struct batch *b = NULL;

	pthread_mutex_lock(&r->lock);
	while (!r->n && !r->walked)
		pthread_cond_wait(&r->changed, &r->lock);
	if (r->n) {
		b = r->queue[r->first];
		r->first = (r->first + 1) % RESTORE_QUEUE;
		r->n--;
	}
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return b;
}
