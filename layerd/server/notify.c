/* SPDX-License-Identifier: Apache-2.0 */
#include "server/notify.h"

#include "util/cleanup.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int notify(const char *state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *name = getenv("NOTIFY_SOCKET");
	size_t n = name ? strlen(name) : 0;
	_cleanup_close_ int fd = -1;
	ssize_t sent;

	if (n == 0)
		return 0;
	if ((*name != '/' && *name != '@') || n >= sizeof(address.sun_path))
		return -EAFNOSUPPORT;
	memcpy(address.sun_path, name, n);
	/* "@" stands for the NUL in front of an abstract name. */
	if (*name == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		      (struct sockaddr *)&address,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	return sent < 0 ? -errno : 0;
}
