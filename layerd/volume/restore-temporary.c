/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: of files that a restore did not make none is taken for one.
 * A name ends in a digest of what it says, of the directory's inode and of this
 * host's id, which no name has by accident and no copy elsewhere. It says which
 * run of the daemon made it, too: those of this run are in use, and as only one
 * daemon at a time has a host's id, nobody has any use for all others.
 */
#include "volume/restore-private.h"

#include "util/cleanup.h"
#include "util/digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#define PREFIX ".layerd-"
/* As hexadecimal digits: the run, a number of its own, and the check. */
#define NUMBER_SIZE 16
#define CHECK_SIZE 32

_Static_assert(RESTORE_TEMPORARY_SIZE == sizeof(PREFIX) + NUMBER_SIZE + 1 +
						 NUMBER_SIZE + 1 + CHECK_SIZE,
	       "a temporary name fits");

static int make_name(const struct restore *r, const struct place *p,
		     uint64_t run, uint64_t number,
		     char name[static RESTORE_TEMPORARY_SIZE])
{
	char said[160], hex[DIGEST_HEX_SIZE];
	struct digest check;
	int n = snprintf(said, sizeof(said),
			 "restore %s %016llx-%016llx in %llu", r->host->id,
			 (unsigned long long)run, (unsigned long long)number,
			 (unsigned long long)p->ino);
	int k = digest_of(said, (size_t)n, &check);

	if (k < 0)
		return k;
	(void)snprintf(name, RESTORE_TEMPORARY_SIZE,
		       PREFIX "%016llx-%016llx-%.32s", (unsigned long long)run,
		       (unsigned long long)number, digest_hex(&check, hex));
	return 0;
}

int temporary_name(const struct restore *r, const struct place *p,
		   char name[static RESTORE_TEMPORARY_SIZE])
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	return make_name(r, p, r->host->run, number, name);
}

static bool is_leftover(const struct restore *r, const struct place *p,
			const char *name)
{
	char expected[RESTORE_TEMPORARY_SIZE];
	uint64_t run, number;
	struct stat st;

	if (strlen(name) != RESTORE_TEMPORARY_SIZE - 1 ||
	    strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return false;
	name += strlen(PREFIX);
	run = strtoull(name, NULL, 16);
	number = strtoull(name + NUMBER_SIZE + 1, NULL, 16);
	name -= strlen(PREFIX);
	/* What was read too liberally is written differently. */
	return run != r->host->run &&
	       make_name(r, p, run, number, expected) == 0 &&
	       strcmp(name, expected) == 0 &&
	       fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode);
}

void temporary_remove_leftovers(const struct restore *r, const struct place *p)
{
	int copy = openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *d;

	if (!dir) {
		closep(&copy);
		return;
	}
	/* What cannot be removed is in nobody's way. */
	while ((d = readdir(dir)))
		if (is_leftover(r, p, d->d_name))
			(void)unlinkat(p->fd, d->d_name, 0);
	(void)closedir(dir);
}
