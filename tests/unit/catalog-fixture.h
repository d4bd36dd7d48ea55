/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A catalog in a directory of its own, and packs with chunks that are numbers.
 * To be included behind cmocka.h. */

#include "catalog/catalog.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

struct fixture {
	char top[64];
	char path[128];
	struct catalog *catalog;
	struct err err;
};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(f);
	snprintf(f->top, sizeof(f->top), "%.40s/test-catalog-XXXXXX",
		 tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->path, sizeof(f->path), "%s/catalog.db", f->top);
	assert_int_equal(catalog_open(&f->catalog, f->path, &f->err),
			 CATALOG_E_NEW);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	catalog_free(f->catalog);
	assert_int_equal(remove_tree_at(AT_FDCWD, f->top), 0);
	free(f);
	return 0;
}

static inline struct digest number(uint64_t n)
{
	struct digest d;

	assert_int_equal(digest_of(&n, sizeof(n), &d), 0);
	return d;
}

/* A table of contents with chunks first to first + n - 1. */
static inline void make_toc(struct pack_toc *toc, uint64_t first, size_t n)
{
	toc->n = n;
	toc->entries = calloc(n, sizeof(*toc->entries));
	assert_non_null(toc->entries);
	for (size_t i = 0; i < n; i++)
		toc->entries[i] = (struct pack_entry){
			.chunk = number(first + i),
			.offset = i * 100,
			.length = 100,
			.size = 1000 + (uint32_t)i,
		};
}

static inline int try_pack(struct fixture *f, uint64_t pack, uint64_t first,
			   size_t n)
{
	struct digest d = number(pack);
	struct pack_toc toc = {0};
	int r;

	make_toc(&toc, first, n);
	r = catalog_add_pack(f->catalog, &d, &toc, &f->err);
	free(toc.entries);
	return r;
}

static inline void add_pack(struct fixture *f, uint64_t pack, uint64_t first,
			    size_t n)
{
	assert_int_equal(try_pack(f, pack, first, n), 0);
}

static inline void assert_chunk(struct fixture *f, uint64_t chunk,
				uint64_t pack, uint64_t offset)
{
	struct digest c = number(chunk), p = number(pack);
	struct catalog_place place;

	assert_int_equal(catalog_find_chunk(f->catalog, &c, &place, &f->err),
			 0);
	assert_true(digest_equal(&place.pack, &p));
	assert_int_equal(place.offset, offset);
	assert_int_equal(place.length, 100);
	assert_int_equal(place.size, 1000 + offset / 100);
}

static inline void assert_no_chunk(struct fixture *f, uint64_t chunk)
{
	struct digest c = number(chunk);
	struct catalog_place place;

	assert_int_equal(catalog_find_chunk(f->catalog, &c, &place, &f->err),
			 -ENOENT);
	assert_string_equal(f->err.text, "");
}

static inline void reopen(struct fixture *f, int want)
{
	catalog_free(TAKE_PTR(f->catalog));
	f->err = ERR_INIT;
	assert_int_equal(catalog_open(&f->catalog, f->path, &f->err), want);
}

static inline size_t files_put_aside(struct fixture *f)
{
	struct dirent *e;
	DIR *dir = opendir(f->top);
	size_t n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)))
		n += strncmp(e->d_name, "catalog.db.corrupt-", 19) == 0;
	(void)closedir(dir);
	return n;
}

static inline void overwrite(struct fixture *f, const void *data, size_t size,
			     uint64_t offset)
{
	int fd;

	catalog_free(TAKE_PTR(f->catalog));
	fd = open(f->path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite_full(fd, data, size, offset), 0);
	assert_int_equal(close(fd), 0);
}
