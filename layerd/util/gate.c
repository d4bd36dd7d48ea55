/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: nobody enters the side that is waited for. A wait that was
 * given up leaves people on the other side; the next one waits for them first.
 */
#include "util/gate.h"

#include <errno.h>
#include <time.h>

#define ASK_EVERY_NS 100000000

void gate_init(struct gate *g)
{
	pthread_condattr_t attr;

	*g = (struct gate){0};
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->left, &attr);
	pthread_condattr_destroy(&attr);
}

void gate_release(struct gate *g)
{
	pthread_cond_destroy(&g->left);
	pthread_mutex_destroy(&g->lock);
}

unsigned int gate_enter(struct gate *g)
{
	unsigned int side;

	pthread_mutex_lock(&g->lock);
	side = g->side;
	g->inside[side]++;
	pthread_mutex_unlock(&g->lock);
	return side;
}

void gate_leave(struct gate *g, unsigned int side)
{
	pthread_mutex_lock(&g->lock);
	if (--g->inside[side] == 0)
		pthread_cond_broadcast(&g->left);
	pthread_mutex_unlock(&g->lock);
}

/* With the lock held, which stop is called without. */
static int wait_side(struct gate *g, unsigned int side, int (*stop)(void *ctx),
		     void *ctx)
{
	struct timespec until;
	int r = 0;

	while (r == 0 && g->inside[side]) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += ASK_EVERY_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		(void)pthread_cond_timedwait(&g->left, &g->lock, &until);
		if (!stop || !g->inside[side])
			continue;
		pthread_mutex_unlock(&g->lock);
		r = stop(ctx);
		pthread_mutex_lock(&g->lock);
	}
	return r;
}

int gate_wait(struct gate *g, int (*stop)(void *ctx), void *ctx)
{
	unsigned int side;
	int r;

	pthread_mutex_lock(&g->lock);
	r = wait_side(g, !g->side, stop, ctx);
	if (r == 0) {
		side = g->side;
		g->side = !side;
		r = wait_side(g, side, stop, ctx);
	}
	pthread_mutex_unlock(&g->lock);
	return r;
}
