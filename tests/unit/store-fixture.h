/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A directory store that is made for a test and removed after it. */

#include "store/store.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
	char top[64];	/* what else a test makes is below it, too */
	char path[128]; /* of the store */
	struct store *store;
	struct err err;
};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(f);
	snprintf(f->top, sizeof(f->top), "%.40s/test-store-XXXXXX",
		 tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->path, sizeof(f->path), "%s/a/store", f->top);
	assert_int_equal(store_open_dir(&f->store, f->path, true, &f->err), 0);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	store_free(f->store);
	assert_int_equal(remove_tree_at(AT_FDCWD, f->top), 0);
	free(f);
	return 0;
}

/* Names in a directory that begin with a dot, other than ".", ".." and
 * ".lock". */
static inline size_t leftovers(const char *path)
{
	char command[600], line[16] = "";
	FILE *p;

	snprintf(command, sizeof(command),
		 "find '%s' -name '.?*' ! -name .lock | wc -l", path);
	p = popen(command, "re");
	assert_non_null(p);
	assert_non_null(fgets(line, sizeof(line), p));
	assert_int_equal(pclose(p), 0);
	return strtoul(line, NULL, 10);
}
