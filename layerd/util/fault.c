/* SPDX-License-Identifier: Apache-2.0 */
#include "util/fault.h"

#ifdef LAYERD_FAULT_POINTS
#include "util/cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>

static void note(const char *name)
{
	const char *path = getenv("LAYERD_FAULT_LOG");
	_cleanup_close_ int fd = -1;

	if (!path)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	/* A test misses a step that is not written down. */
	if (fd >= 0)
		(void)dprintf(fd, "%s\n", name);
}

int fault_point(const char *name)
{
	static atomic_long hits;
	const char *want = getenv("LAYERD_FAULT");
	const char *code = getenv("LAYERD_FAULT_ERRNO");
	size_t n = strlen(name);
	long at = 1;

	note(name);
	if (!want || strncmp(want, name, n) != 0)
		return 0;
	if (want[n] == ':')
		at = strtol(want + n + 1, NULL, 10);
	else if (want[n])
		return 0;
	if (atomic_fetch_add(&hits, 1) + 1 != at)
		return 0;
	if (code)
		return -(int)strtol(code, NULL, 10);
	raise(SIGKILL);
	return 0;
}
#endif
