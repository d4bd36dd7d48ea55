/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Allocations that fail on demand, each place of the program once. A place is
 * where in the code an allocation is made and how it was reached: a hash of the
 * innermost callers. The program is linked with --wrap for the functions below,
 * so that what the C library allocates for itself does not count.
 */

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MAX 8192
#define CALLERS 10

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_asprintf(char **ret, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static struct {
	pthread_mutex_t lock;
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
		fputs("failing-malloc.h: PLACES_MAX is too small\n", stderr);
		_exit(1);
	}
	failing.places[failing.n++] = place;
}

static bool must_fail(void)
{
	bool fail = false;
	uint64_t place;

	if (__atomic_load_n(&failing.mode, __ATOMIC_RELAXED) == FAIL_NOTHING)
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
		errno = ENOMEM;
	return fail;
}

void *__wrap_malloc(size_t size)
{
	return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return must_fail() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return must_fail() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
	return must_fail() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return must_fail() ? NULL : __real_strndup(s, n);
}

int __wrap_asprintf(char **ret, const char *format, ...)
{
	va_list args;
	int n = -1;

	/* *ret stays as it was, as with the C libraries of Linux. */
	if (must_fail())
		return n;
	va_start(args, format);
	n = vasprintf(ret, format, args);
	va_end(args);
	return n;
}

/* From now on places are noted, those known already once. */
static inline void failing_record(void)
{
	failing.n = 0;
	__atomic_store_n(&failing.mode, FAIL_RECORD, __ATOMIC_SEQ_CST);
}

/* From now on the first allocation of the i-th place fails. */
static inline void failing_arm(size_t i)
{
	pthread_mutex_lock(&failing.lock);
	failing.armed = failing.places[i];
	failing.failed = false;
	__atomic_store_n(&failing.mode, FAIL_ONCE, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&failing.lock);
}

/* Ends either; whether an allocation has failed. */
static inline bool failing_stop(void)
{
	bool failed = failing.mode == FAIL_ONCE && failing.failed;

	__atomic_store_n(&failing.mode, FAIL_NOTHING, __ATOMIC_SEQ_CST);
	return failed;
}
