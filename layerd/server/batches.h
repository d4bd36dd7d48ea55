/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A result that may be too long for one message: an array that goes out in
 * batches to a caller who said "more", and in one reply to others, who are told
 * to say it when the result is long.
 */

#include "server/call.h"

struct batches {
	struct call *call;
	const char *key; /* of the array in a reply */
	json_t *common;	 /* other members of every reply, or NULL; owned */
	json_t *items;
	size_t n; /* of all items */
	size_t bytes;
};

/* common (may be NULL) is taken over. -ENOMEM. */
int batches_init(struct batches *b, struct call *call, const char *key,
		 json_t *common);

/* Takes item over; NULL is memory that ran out. */
int batches_add(struct batches *b, json_t *item, struct err *err);

/* Makes the last batch the call's reply, if r is 0; returns r. */
int batches_finish(struct batches *b, int r);
