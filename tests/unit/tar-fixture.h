/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What tests of tarballs share: entries as text, tarballs in memory, a private
 * directory, and the tools that judge. */

#include "format/archive-reader.h"
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

static inline int on_entry(const struct entry *e, void *ctx, struct err *err)
{
	(void)err;
	dump(e, ctx);
	return 0;
}

static inline int read_tar(const struct buf *tar, enum archive_origin origin,
			   struct buf *text, struct err *err)
{
	_cleanup_close_ int fd = memory_file(tar);

	return archive_read_entries(fd, tar->size, origin, on_entry, text, err);
}

static inline void assert_reads_as(const struct buf *tar,
				   enum archive_origin origin,
				   const char *expected)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	if (read_tar(tar, origin, &text, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(buf_str(&text), expected);
}

static inline void fill_name(char *s, size_t n, char c)
{
	memset(s, c, n);
	s[n] = 0;
}

/* An entry as anybody may write it: no checks, no escapes. */
struct raw {
	const char *name;
	char type;
	const char *target;
	const char *pax[4];  /* KEYWORD=VALUE */
	const char *records; /* instead, with whatever is wrong in them */
	size_t records_size;
	uint64_t size; /* as the header claims */
	const char *body;
};

static inline void add_raw_block(struct buf *tar, const char *name, char type,
				 const char *target, uint64_t size)
{
	unsigned char h[TAR_BLOCK] = {0};
	unsigned int sum = 0;

	memcpy(h, name, MIN(strlen(name), (size_t)100));
	memcpy(h + 100, "0000644", 8);
	memcpy(h + 108, "0000000", 8);
	memcpy(h + 116, "0000000", 8);
	(void)snprintf((char *)h + 124, 12, "%011" PRIo64, size);
	memcpy(h + 136, "00000000000", 12);
	memset(h + 148, ' ', 8);
	h[156] = (unsigned char)type;
	memcpy(h + 157, target, MIN(strlen(target), (size_t)100));
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += h[i];
	(void)snprintf((char *)h + 148, 8, "%06o", sum);
	assert_int_equal(buf_add(tar, h, sizeof(h)), 0);
}

static inline void add_record(struct buf *b, const char *text)
{
	size_t body = strlen(text) + 2, n = body + 1;

	while ((size_t)snprintf(NULL, 0, "%zu", n) + body != n)
		n++;
	assert_int_equal(buf_printf(b, "%zu %s\n", n, text), 0);
}

static inline void add_raw(struct buf *tar, const struct raw *raw)
{
	_cleanup_buf_ struct buf records = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(raw->pax) && raw->pax[i]; i++)
		add_record(&records, raw->pax[i]);
	if (raw->records)
		assert_int_equal(buf_add(&records, raw->records,
					 raw->records_size
						 ? raw->records_size
						 : strlen(raw->records)),
				 0);
	if (records.size) {
		add_raw_block(tar, "x", 'x', "", records.size);
		assert_int_equal(buf_add(tar, records.data, records.size), 0);
		assert_int_equal(buf_pad(tar, TAR_BLOCK), 0);
	}
	add_raw_block(tar, raw->name, raw->type, raw->target ? raw->target : "",
		      raw->size);
	if (raw->body) {
		assert_int_equal(buf_add_str(tar, raw->body), 0);
		assert_int_equal(buf_pad(tar, TAR_BLOCK), 0);
	}
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
