/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what the benchmark times in many small system calls, so that the file
 * system is measured and not an interpreter. Prints the seconds it took.
 *
 *   files create DIR COUNT         empty files, 1000 a directory
 *   files tree DIR COUNT SIZE      files of SIZE bytes each, all different
 *   files walk DIR LOOPS           walk and lstat everything, LOOPS times;
 *                                  the median
 *   files write FILE MIB           random bytes by 1 MiB, then fsync
 *
 * What must hold: making the data is not in the time, making it durable is
 * where the command says fsync.
 */
#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define PER_DIRECTORY 1000
#define PIECE (1u << 20)
#define LOOPS_MAX 64

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int fail(const char *what, const char *path)
{
	fprintf(stderr, "files: cannot %s %s: %s\n", what, path,
		strerror(errno));
	return 1;
}

static int make_file(int dir_fd, uint64_t number, size_t size)
{
	_cleanup_close_ int fd = -1;
	char name[32], text[PIECE / 16];

	snprintf(name, sizeof(name), "file-%" PRIu64, number);
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    0644);
	if (fd < 0)
		return fail("create", name);
	if (!size)
		return 0;
	memset(text, 'x', size);
	/* The number, wherever the size leaves room for it. */
	if (size >= sizeof(name))
		memcpy(text, name, strlen(name));
	return write_full(fd, text, size) < 0 ? fail("write", name) : 0;
}

static int make_directory(int parent, uint64_t first, uint64_t n, size_t size)
{
	_cleanup_close_ int fd = -1;
	char name[32];
	int r = 0;

	snprintf(name, sizeof(name), "directory-%" PRIu64,
		 first / PER_DIRECTORY);
	if (mkdirat(parent, name, 0755) < 0)
		return fail("create", name);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail("open", name);
	for (uint64_t i = 0; r == 0 && i < n; i++)
		r = make_file(fd, first + i, size);
	return r;
}

static int make_files(const char *path, uint64_t count, size_t size)
{
	_cleanup_close_ int fd = -1;
	double start = now();
	int r = 0;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return fail("create", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail("open", path);
	for (uint64_t i = 0; r == 0 && i < count; i += PER_DIRECTORY)
		r = make_directory(fd, i, MIN(count - i, PER_DIRECTORY), size);
	if (r == 0)
		printf("%.9f\n", now() - start);
	return r;
}

static int walk_once(char *path, uint64_t *count)
{
	char *paths[] = {path, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *e;
	int r = 0;

	if (!fts)
		return fail("walk", path);
	while (r == 0 && (errno = 0, e = fts_read(fts))) {
		if (e->fts_info == FTS_ERR || e->fts_info == FTS_DNR ||
		    e->fts_info == FTS_NS)
			r = fail("walk", e->fts_path);
		if (e->fts_info != FTS_DP)
			(*count)++;
	}
	if (r == 0 && errno)
		r = fail("walk", path);
	(void)fts_close(fts);
	return r;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int walk(char *path, uint64_t loops)
{
	double seconds[LOOPS_MAX];
	uint64_t count = 0;
	int r = 0;

	loops = MIN(loops, LOOPS_MAX);
	for (uint64_t i = 0; r == 0 && i < loops; i++) {
		double start = now();

		count = 0;
		r = walk_once(path, &count);
		seconds[i] = now() - start;
	}
	if (r)
		return r;
	qsort(seconds, loops, sizeof(*seconds), compare);
	printf("%.9f %" PRIu64 "\n", seconds[loops / 2], count);
	return 0;
}

static int write_file(const char *path, uint64_t pieces)
{
	_cleanup_free_ uint8_t *data = malloc(PIECE);
	_cleanup_close_ int fd = -1;
	double start;

	if (!data)
		return fail("get memory for", path);
	for (size_t n = 0; n < PIECE; n += 256)
		if (getrandom(data + n, 256, 0) != 256)
			return fail("get random bytes for", path);
	start = now();
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail("create", path);
	for (uint64_t i = 0; i < pieces; i++) {
		/* So that no two pieces are the same. */
		memcpy(data, &i, sizeof(i));
		if (write_full(fd, data, PIECE) < 0)
			return fail("write", path);
	}
	if (fsync(fd) < 0)
		return fail("sync", path);
	printf("%.9f\n", now() - start);
	return 0;
}

int main(int argc, char **argv)
{
	const char *command = argc > 3 ? argv[1] : "";
	uint64_t n = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	size_t size = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;

	if (n && size <= PIECE / 16 && strcmp(command, "create") == 0)
		return make_files(argv[2], n, 0);
	if (n && size && size <= PIECE / 16 && strcmp(command, "tree") == 0)
		return make_files(argv[2], n, size);
	if (n && strcmp(command, "walk") == 0)
		return walk(argv[2], n);
	if (n && strcmp(command, "write") == 0)
		return write_file(argv[2], n);
	fprintf(stderr, "usage: files create|tree|walk|write PATH N [SIZE]\n");
	return 2;
}
