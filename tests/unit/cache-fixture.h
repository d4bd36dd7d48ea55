/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A store with the sample layer, an empty cache, and what both are checked
 * with. */

#include "cache/cache.h"
#include "sample-layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

struct fixture {
	char top[64];
	char path[128];
	struct store *store;
	struct cache *cache;
	struct sample sample;
	struct err err;
};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");
	char store[128];

	assert_non_null(f);
	snprintf(f->top, sizeof(f->top), "%.40s/test-cache-XXXXXX",
		 tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->top));
	snprintf(store, sizeof(store), "%s/store", f->top);
	snprintf(f->path, sizeof(f->path), "%s/state/cache", f->top);
	assert_int_equal(store_open_dir(&f->store, store, true, &f->err), 0);
	assert_int_equal(cache_open(&f->cache, f->path, &f->err), 0);
	sample_make(&f->sample, f->store, 1);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	sample_release(&f->sample);
	cache_free(f->cache);
	store_free(f->store);
	assert_int_equal(remove_tree_at(AT_FDCWD, f->top), 0);
	free(f);
	return 0;
}

static inline int fill(struct fixture *f)
{
	f->err = ERR_INIT;
	return cache_fill(f->cache, f->store, &f->sample.object.tar,
			  &f->sample.object_digest, NULL, NULL, &f->err);
}

/* A path in the sample's directory of the cache, in a static buffer. */
static inline const char *in_layer(struct fixture *f, const char *name)
{
	static char path[400];
	char hex[DIGEST_HEX_SIZE];

	snprintf(path, sizeof(path), "%s/%s/%s", f->path,
		 digest_hex(&f->sample.object.tar, hex), name);
	return path;
}

static inline void assert_missing(struct fixture *f)
{
	struct cache_layer l = CACHE_LAYER_INIT;

	assert_int_equal(
		cache_layer_open(f->cache, &f->sample.object.tar, &l, &f->err),
		CACHE_E_MISSING);
	assert_int_not_equal(access(in_layer(f, ""), F_OK), 0);
}

static inline void assert_file(int fd, const struct buf *want)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, want->size);
	assert_int_equal(buf_reserve(&b, want->size), 0);
	assert_int_equal(pread_full(fd, b.data, want->size, 0), 0);
	assert_memory_equal(b.data, want->data, want->size);
}

static inline void assert_whole(struct fixture *f)
{
	_cleanup_cache_layer_ struct cache_layer l = CACHE_LAYER_INIT;

	assert_int_equal(
		cache_layer_open(f->cache, &f->sample.object.tar, &l, &f->err),
		0);
	assert_int_equal(l.tar_size, f->sample.tar.size);
	assert_true(digest_equal(&l.object, &f->sample.object_digest));
	assert_int_equal(fcntl(l.tar_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_file(l.tar_fd, &f->sample.tar);
	assert_file(l.index_fd, &f->sample.index);
}

static inline void assert_nothing_staged(struct fixture *f)
{
	char command[200];

	snprintf(command, sizeof(command), "! ls '%s' | grep -q stage",
		 f->path);
	assert_int_equal(system(command), 0);
}

static inline void reopen(struct fixture *f)
{
	cache_free(TAKE_PTR(f->cache));
	assert_int_equal(cache_open(&f->cache, f->path, &f->err), 0);
}
