/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: the socket is never open to others, not even for a moment. */
#include "server/listen.h"

#include "util/cleanup.h"
#include "util/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SOCKET_NAME "layerd.sock"
#define LISTEN_FIRST_FD 3

static bool is_listening(int fd)
{
	socklen_t size = sizeof(int);
	int yes = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 &&
	       yes;
}

/* The first descriptor that systemd passes to this very process. */
static int activated_socket(void)
{
	const char *pid = getenv("LISTEN_PID");
	const char *n = getenv("LISTEN_FDS");

	if (!pid || !n || strtol(pid, NULL, 10) != (long)getpid() ||
	    strtol(n, NULL, 10) < 1)
		return -1;
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	/* Not closed meanwhile, and then opened for something else. */
	if (!is_listening(LISTEN_FIRST_FD) ||
	    fcntl(LISTEN_FIRST_FD, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	return LISTEN_FIRST_FD;
}

static int bind_socket(int fd, const char *runtime_dir)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int dir_fd = -1;
	struct group *group;
	mode_t mask;
	int r;

	r = paths_socket(runtime_dir, SOCKET_NAME, address.sun_path, &dir_fd);
	if (r < 0)
		return r;
	(void)unlink(address.sun_path);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno
								       : 0;
	(void)umask(mask);
	if (r < 0)
		return r;
	group = getgrnam("layer");
	if (group && chown(address.sun_path, (uid_t)-1, group->gr_gid) < 0)
		return -errno;
	return chmod(address.sun_path, 0660) < 0 ? -errno : 0;
}

int listen_open(const char *runtime_dir, int *ret_fd, int *ret_activated,
		struct err *err)
{
	_cleanup_close_ int fd = activated_socket();
	int r;

	*ret_activated = fd >= 0;
	if (fd < 0) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		r = fd < 0 ? -errno : bind_socket(fd, runtime_dir);
		if (r == 0 && listen(fd, 64) < 0)
			r = -errno;
		if (r < 0)
			return err_errno(err, r, "cannot listen at %s/%s",
					 runtime_dir, SOCKET_NAME);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void listen_remove(const char *runtime_dir)
{
	char path[PATHS_SOCKET_MAX];
	_cleanup_close_ int dir_fd = -1;

	if (paths_socket(runtime_dir, SOCKET_NAME, path, &dir_fd) == 0)
		(void)unlink(path);
}
