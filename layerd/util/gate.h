/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A gate that never holds up those who pass it, and at which one may wait until
 * all who were inside have left (as RCU's grace period does: McKenney and
 * Slingwine, PDCS 1998). Whoever takes something out of an index and then waits
 * knows that nobody works with what he took out.
 */

#include <pthread.h>
#include <stdint.h>

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t left;
	unsigned int side; /* on which those who enter now are counted */
	uint64_t inside[2];
};

void gate_init(struct gate *g);
void gate_release(struct gate *g);

/* Returns the side, which gate_leave() must be given. Does not block; may be
 * done again by who is inside. */
unsigned int gate_enter(struct gate *g);
void gate_leave(struct gate *g, unsigned int side);

/*
 * Blocks until everybody has left who had entered before the call. One thread
 * at a time. stop (may be NULL) is called now and then; a negative result ends
 * the waiting and is returned.
 */
int gate_wait(struct gate *g, int (*stop)(void *ctx), void *ctx);
