/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A host made by hand in a private directory: store, cache and catalog, and
 * nothing mounted. Several hosts of different names share one store. Also the
 * seeded random numbers of the tests that compare with a model.
 */

#include "util/cleanup.h"
#include "util/fd.h"
#include "volume/host.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

struct fixture {
	char top[64];
	struct host *host;
	struct err err;
};

#define assert_ok(f, call)                                                     \
	do {                                                                   \
		(f)->err = ERR_INIT;                                           \
		if ((call) < 0)                                                \
			fail_msg("%s: %s", #call, (f)->err.text);              \
	} while (0)

/* The call must fail with code, and its sentence must have the words. */
#define assert_refused(f, call, error, words)                                  \
	do {                                                                   \
		(f)->err = ERR_INIT;                                           \
		assert_int_equal((call), -(error));                            \
		assert_int_equal((f)->err.code, -(error));                     \
		if (!strstr((f)->err.text, words))                             \
			fail_msg("\"%s\" does not say \"%s\"", (f)->err.text,  \
				 words);                                       \
	} while (0)

static inline void make_top(char top[static 64])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(top, 64, "%.40s/test-volume-XXXXXX",
		 tmp && strlen(tmp) <= 40 ? tmp : "/var/tmp");
	assert_non_null(mkdtemp(top));
}

static inline struct host *make_host(const char *top, const char *name)
{
	struct host *h = calloc(1, sizeof(*h));
	struct err err = ERR_INIT;
	char path[160];

	assert_non_null(h);
	h->lock_fd = -1;
	host_init_locks(h);
	snprintf(h->id, sizeof(h->id), "host-%.30s", name);
	snprintf(h->boot_id, sizeof(h->boot_id), "boot");
	snprintf(path, sizeof(path), "%s/%s", top, name);
	assert_int_equal(mkdir(path, 0700), 0);
	h->state_dir = strdup(path);
	h->state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(h->state_fd >= 0);
	assert_int_equal(mkdirat(h->state_fd, "sessions", 0700), 0);
	snprintf(path, sizeof(path), "%s/store", top);
	if (store_open_dir(&h->store, path, true, &err) < 0)
		fail_msg("%s", err.text);
	snprintf(path, sizeof(path), "%s/%s/cache", top, name);
	if (cache_open(&h->cache, path, &err) < 0)
		fail_msg("%s", err.text);
	snprintf(path, sizeof(path), "%s/%s/catalog.db", top, name);
	assert_int_equal(catalog_open(&h->catalog, path, &err), CATALOG_E_NEW);
	return h;
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	make_top(f->top);
	f->host = make_host(f->top, "one");
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	host_free(f->host);
	assert_int_equal(remove_tree_at(AT_FDCWD, f->top), 0);
	free(f);
	return 0;
}

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): equal seeds, equal tests. */
static inline uint64_t next_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline uint64_t random_below(uint64_t *seed, uint64_t n)
{
	return next_random(seed) % n;
}

static inline void fill_random(uint64_t *seed, void *data, size_t size)
{
	uint8_t *p = data;

	for (size_t i = 0; i < size; i += 8) {
		uint64_t v = next_random(seed);

		memcpy(p + i, &v, MIN(size - i, sizeof(v)));
	}
}
