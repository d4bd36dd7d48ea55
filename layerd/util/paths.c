/* SPDX-License-Identifier: Apache-2.0 */
#include "util/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/un.h>
#include <unistd.h>

_Static_assert(PATHS_SOCKET_MAX == sizeof(((struct sockaddr_un *)0)->sun_path),
	       "PATHS_SOCKET_MAX is the size of sun_path");

/* One of the two roots. A relative value is resolved once, against the working
 * directory of the first caller: daemons leave theirs later. */
struct root {
	const char *variable;
	const char *fallback;
	char absolute[PATH_MAX];
};

static struct root state = {"LAYERD_STATE_DIR", "/var/lib/layerd", ""};
static struct root runtime = {"LAYERD_RUNTIME_DIR", "/run/layerd", ""};

static void resolve(struct root *r)
{
	const char *value = getenv(r->variable);
	char cwd[PATH_MAX];
	int n;

	if (!value || !*value || *value == '/' || !getcwd(cwd, sizeof(cwd)))
		return;
	n = snprintf(r->absolute, sizeof(r->absolute), "%s/%s",
		     strcmp(cwd, "/") == 0 ? "" : cwd, value);
	if (n < 0 || n >= (int)sizeof(r->absolute))
		r->absolute[0] = 0;
}

static void resolve_both(void)
{
	resolve(&state);
	resolve(&runtime);
}

static const char *root_path(const struct root *r)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *value = getenv(r->variable);

	if (!value || !*value)
		return r->fallback;
	if (*value == '/')
		return value;
	(void)pthread_once(&once, resolve_both);
	return *r->absolute ? r->absolute : value;
}

const char *paths_state_dir(void)
{
	return root_path(&state);
}

const char *paths_runtime_dir(void)
{
	return root_path(&runtime);
}

int paths_socket(const char *directory, const char *name,
		 char path[static PATHS_SOCKET_MAX], int *ret_dirfd)
{
	int n, fd;

	n = snprintf(path, PATHS_SOCKET_MAX, "%s/%s", directory, name);
	if (n >= 0 && n < PATHS_SOCKET_MAX) {
		*ret_dirfd = -1;
		return 0;
	}
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = snprintf(path, PATHS_SOCKET_MAX, "/proc/self/fd/%d/%s", fd, name);
	if (n < 0 || n >= PATHS_SOCKET_MAX) {
		(void)close(fd);
		return -ENAMETOOLONG;
	}
	*ret_dirfd = fd;
	return 0;
}
