/* SPDX-License-Identifier: Apache-2.0 */
/* What is synced before a call of the directory store returns. */

#include "store-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static struct stat watched;
static int synced;

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	synced += st.st_ino == watched.st_ino && st.st_dev == watched.st_dev;
	return __real_fsync(fd);
}

static void create(struct fixture *f, const char *key)
{
	synced = 0;
	assert_int_equal(store_create(f->store, key, "x", 1, &f->err), 0);
}

static void test_a_directory_that_was_dropped_is_synced_anew(void **state)
{
	struct fixture *f = *state;
	char path[256];

	snprintf(path, sizeof(path), "%s/volumes", f->path);
	assert_int_equal(stat(path, &watched), 0);
	create(f, "volumes/x/1");
	assert_int_equal(synced, 1);
	create(f, "volumes/x/2");
	assert_int_equal(synced, 0);
	assert_int_equal(store_remove(f->store, "volumes/x/1", &f->err), 0);
	assert_int_equal(store_remove(f->store, "volumes/x/2", &f->err), 0);
	assert_int_equal(store_drop(f->store, "volumes/x/", &f->err), 0);
	/* Somebody else has made it, and has not synced its name yet. */
	snprintf(path, sizeof(path), "%s/volumes/x", f->path);
	assert_int_equal(mkdir(path, 0700), 0);
	create(f, "volumes/x/1");
	assert_int_equal(synced, 1);
	create(f, "volumes/x/2");
	assert_int_equal(synced, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_directory_that_was_dropped_is_synced_anew, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
