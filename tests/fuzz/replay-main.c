/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds stored inputs to a fuzz target without a fuzzer, so that every test run
 * replays the corpus with whatever compiler and sanitizers it has. Arguments
 * are files and directories, the latter not recursed into.
 *
 * What must hold: an input named should-fail-DEFECT is refused by the parser,
 * one named should-pass-WHAT is accepted, any other just does no harm. A corpus
 * without inputs is an error.
 */
#include "fuzz.h"

#include "util/buf.h"
#include "util/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (64u << 20)

static unsigned int replayed, failed;

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static void replay_file(int dirfd, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	_cleanup_buf_ struct buf input = BUF_INIT;
	int r = read_file_at(dirfd, path, INPUT_MAX, &input);

	replayed++;
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		failed++;
		return;
	}
	fuzz_refused = false;
	(void)LLVMFuzzerTestOneInput(input.data, input.size);
	if (has_prefix(name, "should-fail-") && !fuzz_refused) {
		fprintf(stderr, "%s: accepted, must be refused\n", path);
		failed++;
	}
	if (has_prefix(name, "should-pass-") && fuzz_refused) {
		fprintf(stderr, "%s: refused, must be accepted\n", path);
		failed++;
	}
}

static int replay_directory(const char *path)
{
	struct dirent *d;
	DIR *dir = opendir(path);

	if (!dir)
		return -errno;
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.')
			replay_file(dirfd(dir), d->d_name);
	(void)closedir(dir);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int r = replay_directory(argv[i]);

		if (r == -ENOTDIR)
			replay_file(AT_FDCWD, argv[i]);
		else if (r < 0) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
			return 1;
		}
	}
	printf("%u inputs replayed, %u wrong\n", replayed, failed);
	return replayed && !failed ? 0 : 1;
}
