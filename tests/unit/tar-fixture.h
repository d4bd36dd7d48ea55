/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What tests of tarballs share: entries as text, tarballs in memory, a private
 * directory, and the tools that judge. */

#include "format/entry.h"
#include "format/tar-writer.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

extern char **environ;

static inline void add_text(struct buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c > 32 && c < 127)
			assert_int_equal(buf_add(b, &c, 1), 0);
		else
			assert_int_equal(buf_printf(b, "\\%02x", c), 0);
	}
}

static inline void dump(const struct entry *e, struct buf *b)
{
	add_text(b, e->path, strlen(e->path));
	assert_int_equal(buf_printf(b,
				    " flags=%u mode=%o owner=%u:%u "
				    "mtime=%" PRId64 ".%09u size=%" PRIu64,
				    e->flags, e->mode, e->uid, e->gid, e->mtime,
				    e->mtime_nsec, e->size),
			 0);
	if (e->rdev_major || e->rdev_minor)
		assert_int_equal(buf_printf(b, " rdev=%u:%u", e->rdev_major,
					    e->rdev_minor),
				 0);
	if (e->target) {
		assert_int_equal(buf_add_str(b, " -> "), 0);
		add_text(b, e->target, strlen(e->target));
	}
	if (e->sparse)
		assert_int_equal(buf_add_str(b, " sparse"), 0);
	for (size_t i = 0; i < e->n_extents; i++)
		assert_int_equal(buf_printf(b, " [%" PRIu64 "+%" PRIu64 "]",
					    e->extents[i].offset,
					    e->extents[i].length),
				 0);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		assert_int_equal(buf_add_str(b, " "), 0);
		add_text(b, e->xattrs[i].name, strlen(e->xattrs[i].name));
		assert_int_equal(buf_add_str(b, "="), 0);
		add_text(b, e->xattrs[i].value, e->xattrs[i].size);
	}
	if (e->payload)
		assert_int_equal(buf_printf(b, " at=%" PRIu64, e->payload), 0);
	assert_int_equal(buf_add_str(b, "\n"), 0);
}

static inline int memory_file(const struct buf *tar)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, tar->data, tar->size), 0);
	return fd;
}

/* Header and as many payload bytes as it needs; returns the payload's place. */
static inline uint64_t add_entry(struct buf *tar, const struct entry *e)
{
	uint64_t size = entry_data_size(e), at;

	assert_int_equal(tar_add_header(tar, e, NULL), 0);
	at = tar->size;
	for (uint64_t i = 0; i < size; i++)
		assert_int_equal(buf_add(tar, &"payload\n"[i % 8], 1), 0);
	assert_int_equal(buf_add_zero(tar, tar_padding(size)), 0);
	return size ? at : 0;
}

/* Runs a tool in directory with locale; its output goes to out, or nowhere.
 * Returns its exit code, -1 where it is not installed. */
static inline int run_tool(const char *directory, const char *locale,
			   const char *const argv[], int out)
{
	char lc_all[64], path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
	char *env[] = {lc_all, path, NULL};
	posix_spawn_file_actions_t actions;
	int status, r;
	pid_t pid;

	(void)snprintf(lc_all, sizeof(lc_all), "LC_ALL=%s", locale);
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(
		posix_spawn_file_actions_addchdir_np(&actions, directory), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(
				 &actions, 0, "/dev/null", O_RDONLY, 0),
			 0);
	assert_int_equal(
		out < 0 ? posix_spawn_file_actions_addopen(
				  &actions, 1, "/dev/null", O_WRONLY, 0)
			: posix_spawn_file_actions_adddup2(&actions, out, 1),
		0);
	assert_int_equal(posix_spawn_file_actions_addopen(
				 &actions, 2, "/dev/null", O_WRONLY, 0),
			 0);
	r = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv,
			 env);
	assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
	if (r)
		return -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

static inline bool has_tool(const char *name)
{
	const char *const argv[] = {name, "--version", NULL};

	return run_tool("/", "C", argv, -1) == 0;
}

/* A directory of the test's own, on a real file system where there is one. */
static inline int make_directory(char path[static 64])
{
	(void)snprintf(path, 64, "/var/tmp/layerd-test-XXXXXX");
	return mkdtemp(path) ? 0 : -1;
}
