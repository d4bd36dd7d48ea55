/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Calls that fail on demand, each place of the program once: allocations with
 * ENOMEM (failing-malloc.h), system calls with EIO (failing-io.h). A place is
 * where in the code a call is made and how it was reached: a hash of the
 * innermost callers. The program is linked with --wrap for each function, so
 * that what libraries call themselves does not count.
 */

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define PLACES_MAX 8192
#define CALLERS 10

static struct {
	pthread_mutex_t lock;
	int error; /* of the calls that count: ENOMEM or EIO */
	enum {
		FAIL_NOTHING,
		FAIL_RECORD,
		FAIL_ONCE,
	} mode;
	uint64_t armed;
	bool failed;
	uint64_t places[PLACES_MAX]; /* in the order in which they came */
	size_t n;
} failing = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t this_place(void)
{
	void *callers[CALLERS];
	int n = backtrace(callers, CALLERS);
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	for (int i = 0; i < n; i++)
		hash = (hash ^ (uintptr_t)callers[i]) * 0x100000001b3;
	return hash;
}

static void record_place(uint64_t place)
{
	for (size_t i = 0; i < failing.n; i++)
		if (failing.places[i] == place)
			return;
	if (failing.n == PLACES_MAX) {
		fputs("failing.h: PLACES_MAX is too small\n", stderr);
		_exit(1);
	}
	failing.places[failing.n++] = place;
}

/* Whether the call at hand, which can fail with error, has to; with errno. */
static bool must_fail(int error)
{
	bool fail = false;
	uint64_t place;

	if (__atomic_load_n(&failing.mode, __ATOMIC_RELAXED) == FAIL_NOTHING ||
	    error != failing.error)
		return false;
	place = this_place();
	pthread_mutex_lock(&failing.lock);
	if (failing.mode == FAIL_RECORD) {
		record_place(place);
	} else if (failing.mode == FAIL_ONCE && !failing.failed &&
		   place == failing.armed) {
		failing.failed = true;
		fail = true;
	}
	pthread_mutex_unlock(&failing.lock);
	if (fail)
		errno = error;
	return fail;
}

/* From now on places are noted, those known already once. */
static inline void failing_record(void)
{
	failing.n = 0;
	__atomic_store_n(&failing.mode, FAIL_RECORD, __ATOMIC_SEQ_CST);
}

/* From now on the first call of the i-th place fails. */
static inline void failing_arm(size_t i)
{
	pthread_mutex_lock(&failing.lock);
	failing.armed = failing.places[i];
	failing.failed = false;
	__atomic_store_n(&failing.mode, FAIL_ONCE, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&failing.lock);
}

/* Ends either; whether a call has failed. */
static inline bool failing_stop(void)
{
	bool failed = failing.mode == FAIL_ONCE && failing.failed;

	__atomic_store_n(&failing.mode, FAIL_NOTHING, __ATOMIC_SEQ_CST);
	return failed;
}
