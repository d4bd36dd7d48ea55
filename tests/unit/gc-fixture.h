/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Volumes that are sealed, removed and looked at, in a store by hand. */

#include "store/layout.h"
#include "volume-fixture.h"
#include "volume/remove.h"
#include "volume/seal.h"
#include "volume/verify.h"
#include "volume/volume.h"

static const struct timespec long_ago[2] = {{1}, {1}};

static inline void make_file(struct fixture *f, const char *path,
			     uint64_t *seed, size_t size)
{
	_cleanup_free_ uint8_t *data = malloc(size);
	_cleanup_close_ int fd = openat(f->host->state_fd, path,
					O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(data && fd >= 0);
	fill_random(seed, data, size);
	assert_int_equal(write_full(fd, data, size), 0);
	assert_int_equal(futimens(fd, long_ago), 0);
}

/* Equal seeds make equal layers; others have no chunk in common, as what is
 * before and behind the large file differs as well. */
static inline void make_tree(struct fixture *f, uint64_t seed)
{
	assert_int_equal(remove_tree_at(f->host->state_fd, "tree"), 0);
	assert_int_equal(mkdirat(f->host->state_fd, "tree", 0755), 0);
	make_file(f, "tree/a", &seed, 8);
	make_file(f, "tree/large", &seed, 400000);
	make_file(f, "tree/z", &seed, 8);
	assert_int_equal(utimensat(f->host->state_fd, "tree", long_ago, 0), 0);
}

static inline void seal_tree(struct fixture *f, const char *name,
			     struct digest *ret)
{
	static const struct seal_options options;
	struct seal_result result = {0};
	_cleanup_close_ int fd = -1;

	fd = openat(f->host->state_fd, "tree",
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(f, seal_directory(f->host, name, fd, &options, &result,
				    &f->err));
	*ret = result.version->digest;
	seal_result_release(&result);
}

static inline void seal(struct fixture *f, const char *name, uint64_t seed,
			struct digest *ret)
{
	make_tree(f, seed);
	seal_tree(f, name, ret);
}

static inline void assert_whole(struct fixture *f, const char *reference)
{
	_cleanup_(version_freep) struct version *v = NULL;
	_cleanup_resolved_ struct resolved found = {0};

	assert_ok(f, reference_resolve(f->host, reference, &found, &f->err));
	assert_ok(f, version_load(f->host, &found.version, &v, &f->err));
	for (size_t i = 0; i < v->n_layers; i++) {
		struct verified verified;

		assert_ok(f, layer_verify(f->host, &v->layers[i].tar,
					  &v->layers[i].object, NULL, &verified,
					  &f->err));
	}
}

static inline void rm(struct fixture *f, const char *text)
{
	struct reference ref;
	uint64_t n;

	assert_ok(f, reference_parse(text, &ref, &f->err));
	assert_ok(f,
		  volume_remove(f->host, &ref, false, getpid(), &n, &f->err));
}

static inline int count_key(const char *key, uint64_t size, void *ctx,
			    struct err *err)
{
	(void)key;
	(void)size;
	(void)err;
	++*(size_t *)ctx;
	return 0;
}

static inline size_t count_below(struct fixture *f, const char *const *prefixes,
				 size_t n_prefixes)
{
	size_t n = 0;

	for (size_t i = 0; i < n_prefixes; i++)
		assert_ok(f, store_list(f->host->store, prefixes[i], count_key,
					&n, &f->err));
	return n;
}

/* What versions are made of. */
static inline size_t count_data(struct fixture *f)
{
	static const char *const prefixes[] = {"blobs/", "layers/", "packs/"};

	return count_below(f, prefixes, ARRAY_SIZE(prefixes));
}

static inline size_t count_objects(struct fixture *f)
{
	static const char *const prefixes[] = {"volumes/", "gc/"};

	return count_data(f) + count_below(f, prefixes, ARRAY_SIZE(prefixes));
}
