/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Scans of a directory that looks like the upper of an overlay, one after the
 * other as a session's seals make them. A plain directory plays the merged
 * mount.
 */

#include "volume-fixture.h"
#include "volume/scan.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

struct scans {
	struct fixture *fixture;
	int upper, merged; /* descriptors; merged -1: a plain directory */
	int capture;	   /* of the last scan, -1 before the first */
	struct changes changes;
	int64_t stamp; /* written into the captures */
	bool coarse;   /* not fine_times */
	struct progress progress;
	/* Paths that the layers have, each between blanks; NULL: ask model. */
	const char *lower;
	bool (*model)(const char *path, void *ctx);
	void *model_ctx;
};

/* What make_tree() makes and its changes replace. */
#define LOWER_DEFAULT " d e m moved o q r w "

/* Later than anything: what looks unchanged is. */
#define STAMP_LATE (INT64_MAX / 2)

static inline int open_at(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline void scans_init(struct scans *s, struct fixture *f)
{
	*s = (struct scans){.fixture = f,
			    .capture = -1,
			    .stamp = STAMP_LATE,
			    .lower = LOWER_DEFAULT};
	assert_int_equal(mkdirat(f->host->state_fd, "upper", 0755), 0);
	assert_int_equal(mkdirat(f->host->state_fd, "merged", 0755), 0);
	s->upper = open_at(f->host->state_fd, "upper");
	s->merged = open_at(f->host->state_fd, "merged");
}

static inline void scans_release(struct scans *s)
{
	closep(&s->upper);
	closep(&s->merged);
	closep(&s->capture);
	changes_release(&s->changes);
}

static inline bool scans_lower_has(const char *path, void *ctx)
{
	const struct scans *s = ctx;
	char word[300];

	if (!s->lower)
		return s->model(path, s->model_ctx);
	snprintf(word, sizeof(word), " %.250s ", path);
	return strstr(s->lower, word);
}

/* Scans, and keeps the capture for the next time. */
static inline int try_scan(struct scans *s)
{
	_cleanup_(captured_reader_freep) struct captured_reader *before = NULL;
	_cleanup_(captured_writer_freep) struct captured_writer *after = NULL;
	int fd = memfd_create("captured", MFD_CLOEXEC);
	struct scan_request request = {.host = s->fixture->host,
				       .progress = &s->progress,
				       .root_fd = s->upper,
				       .merged_fd = s->merged,
				       .fine_times = !s->coarse,
				       .lower_has = scans_lower_has,
				       .lower_ctx = s};
	int r;

	assert_true(fd >= 0);
	if (s->capture >= 0)
		assert_int_equal(captured_reader_open(&before, s->capture,
						      &s->fixture->err),
				 0);
	assert_int_equal(captured_writer_new(&after, fd), 0);
	request.before = before;
	request.after = after;
	changes_release(&s->changes);
	r = scan_upper(&request, &s->changes, &s->fixture->err);
	if (r == 0)
		assert_int_equal(captured_finish(after, s->stamp), 0);
	closep(&s->capture);
	s->capture = fd;
	return r;
}

/*
 * The items that a layer gets, in order: d(irectory), o(bject) or w(hiteout),
 * then M(erged), O(paque), K(nown), L(inked), a colon and the path; "." is the
 * root.
 */
static inline void dump_changes(const struct changes *c, struct buf *b)
{
	_cleanup_buf_ struct buf path = BUF_INIT;

	for (uint32_t i = 0; i < c->n; i++) {
		unsigned int flags = c->items[i].flags;

		if (!(flags & CHANGE_NEEDED))
			continue;
		assert_int_equal(change_path(c, i, &path), 0);
		assert_int_equal(
			buf_printf(b, "%c%s%s%s%s:%s ", "dow"[c->items[i].kind],
				   flags & CHANGE_MERGED ? "M" : "",
				   flags & CHANGE_OPAQUE ? "O" : "",
				   flags & CHANGE_KNOWN ? "K" : "",
				   flags & CHANGE_LINKED ? "L" : "",
				   path.size ? (char *)path.data : "."),
			0);
	}
}

static inline void scan(struct scans *s)
{
	if (try_scan(s) < 0)
		fail_msg("%s", s->fixture->err.text);
}

static inline void assert_scan(struct scans *s, const char *want)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	scan(s);
	dump_changes(&s->changes, &b);
	assert_string_equal(buf_str(&b), want);
}

static inline void make_dir(int dir, const char *path)
{
	assert_int_equal(mkdirat(dir, path, 0755), 0);
}

static inline void make_file(int dir, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(
		dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, text, strlen(text)), 0);
}

static inline void make_whiteout(int dir, const char *path)
{
	assert_int_equal(mknodat(dir, path, S_IFCHR, makedev(0, 0)), 0);
}

static inline void make_socket(int dir, const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = snprintf(address.sun_path, sizeof(address.sun_path),
			 "/proc/self/fd/%d/%s", dir, path);

	assert_true(n > 0 && n < (int)sizeof(address.sun_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
}

static inline void mark(int dir, const char *path, const char *name,
			const char *value)
{
	_cleanup_close_ int fd = open_at(dir, path);
	char full[64];

	snprintf(full, sizeof(full), "trusted.overlay.%s", name);
	assert_int_equal(fsetxattr(fd, full, value, strlen(value), 0), 0);
}

static inline void remove_at(int dir, const char *path)
{
	assert_int_equal(remove_tree_at(dir, path), 0);
}

/* Whether overlayfs' marks can be set here; says so where not. */
static inline bool can_mark(struct fixture *f)
{
	if (geteuid() == 0 && fsetxattr(f->host->state_fd,
					"trusted.overlay.test", "y", 1, 0) == 0)
		return true;
	print_message("needs root and a file system with trusted xattrs\n");
	return false;
}

static inline int setup_scans(void **state)
{
	struct scans *s = calloc(1, sizeof(*s));
	void *f;

	assert_non_null(s);
	assert_int_equal(setup(&f), 0);
	scans_init(s, f);
	*state = s;
	return 0;
}

static inline int teardown_scans(void **state)
{
	struct scans *s = *state;
	void *f = s->fixture;

	scans_release(s);
	free(s);
	return teardown(&f);
}

static inline void need_marks(struct scans *s)
{
	if (!can_mark(s->fixture))
		skip();
}

/* Something of everything: w is a whiteout, o opaque, r redirected, m merged.
 */
static inline void make_tree(struct scans *s)
{
	int u = s->upper;

	make_dir(u, "d");
	make_file(u, "d/f", "f");
	make_file(u, "d/g", "g");
	make_dir(u, "d/sub");
	make_file(u, "d/sub/h", "h");
	make_dir(u, "e");
	make_file(u, "e/x", "x");
	make_file(u, "l1", "linked");
	assert_int_equal(linkat(u, "l1", u, "l2", 0), 0);
	make_dir(u, "m");
	mark(u, "m", "origin", "handle");
	make_file(u, "m/f", "f");
	make_dir(u, "o");
	mark(u, "o", "opaque", "y");
	make_file(u, "o/f", "f");
	assert_int_equal(mknodat(u, "p", S_IFIFO | 0600, 0), 0);
	make_dir(u, "r");
	mark(u, "r", "origin", "handle");
	mark(u, "r", "redirect", "/elsewhere");
	make_file(u, "r/own", "own");
	make_dir(s->merged, "r");
	make_file(s->merged, "r/below", "below");
	make_file(s->merged, "r/own", "own");
	assert_int_equal(symlinkat("d/f", u, "s"), 0);
	make_whiteout(u, "w");
}
