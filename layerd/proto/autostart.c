/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/autostart.h"

#include "util/buf.h"
#include "util/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path, X_OK) == 0;
}

/* DIRECTORY/NAME into path, if that is a program. */
static bool try_program(const char *directory, size_t n, const char *name,
			char path[static PATH_MAX])
{
	int length =
		snprintf(path, PATH_MAX, "%.*s/%s", (int)n, directory, name);

	return length > 0 && length < PATH_MAX && is_program(path);
}

static bool try_near_this(char path[static PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return false;
	self[n] = 0;
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	n = slash - self;
	return try_program(self, (size_t)n, "layerd", path) ||
	       try_program(self, (size_t)n, "../sbin/layerd", path) ||
	       try_program(self, (size_t)n, "../layerd/layerd", path);
}

static bool try_search_path(char path[static PATH_MAX])
{
	const char *p = getenv("PATH");

	while (p && *p) {
		size_t n = strcspn(p, ":");

		/* An empty element would be the working directory, which is
		 * no place to take a daemon from. */
		if (*p == '/' && try_program(p, n, "layerd", path))
			return true;
		p += n + (p[n] == ':');
	}
	return false;
}

static int find_program(char path[static PATH_MAX], struct err *err)
{
	const char *given = getenv("LAYERD_PROGRAM");
	static const char libexec[] = "/usr/libexec", sbin[] = "/usr/sbin";

	if (given && *given) {
		int n = snprintf(path, PATH_MAX, "%s", given);

		if (n < PATH_MAX && is_program(path))
			return 0;
		return err_set(err, ECONNREFUSED,
			       "no daemon is listening, and %s, which "
			       "LAYERD_PROGRAM names, is not a program",
			       given);
	}
	if (try_near_this(path) || try_search_path(path) ||
	    try_program(libexec, strlen(libexec), "layerd", path) ||
	    try_program(sbin, strlen(sbin), "layerd", path))
		return 0;
	return err_set(err, ECONNREFUSED,
		       "no daemon is listening, and no layerd was found to "
		       "start; install it or set LAYERD_PROGRAM to its path");
}

static int wait_for_exit(pid_t pid, int *ret_status)
{
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int autostart(struct err *err)
{
	char path[PATH_MAX];
	char name[] = "layerd", option[] = "--daemonize";
	char *const argv[] = {name, option, NULL};
	int status, r;
	pid_t pid;

	r = find_program(path, err);
	if (r < 0)
		return r;
	r = posix_spawn(&pid, path, NULL, NULL, argv, environ);
	if (r > 0) {
		(void)err_errno(err, r,
				"no daemon is listening, and %s cannot be "
				"started",
				path);
		return -ECONNREFUSED;
	}
	r = wait_for_exit(pid, &status);
	if (r < 0)
		return err_errno(err, r, "cannot wait for %s", path);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == AUTOSTART_RUNNING)
		return AUTOSTART_E_RUNNING;
	if (WIFSIGNALED(status))
		return err_set(err, ECONNREFUSED,
			       "no daemon is listening, and %s, started for "
			       "it, was killed by signal %d",
			       path, WTERMSIG(status));
	return err_set(err, ECONNREFUSED,
		       "no daemon is listening, and %s, started for it, "
		       "failed with status %d",
		       path, WEXITSTATUS(status));
}
