/* SPDX-License-Identifier: Apache-2.0 */
#include "util/transfer.h"

#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)256 << 10)

bool transfer_other_way(int error)
{
	return error == EINVAL || error == EXDEV || error == EBADF ||
	       error == ENOSYS || error == EOPNOTSUPP || error == EPERM ||
	       error == ETXTBSY;
}

/* As much as the kernel does by itself: how much that was. */
static int copy_in_kernel(int in, uint64_t from, int out, uint64_t to,
			  uint64_t size, uint64_t *ret)
{
	off_t source = (off_t)from, target = (off_t)to;

	*ret = 0;
	while (*ret < size) {
		ssize_t n = copy_file_range(in, &source, out, &target,
					    (size_t)(size - *ret), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && transfer_other_way(errno)))
			return 0;
		if (n < 0)
			return -errno;
		*ret += (uint64_t)n;
	}
	return 0;
}

int transfer_bytes(int in, uint64_t from, int out, uint64_t to, uint64_t size)
{
	_cleanup_free_ uint8_t *buffer = NULL;
	uint64_t done;
	int r = copy_in_kernel(in, from, out, to, size, &done);

	if (r < 0 || done == size)
		return r;
	buffer = malloc(BUFFER_SIZE);
	if (!buffer)
		return -ENOMEM;
	while (r == 0 && done < size) {
		size_t n = (size_t)MIN(size - done, (uint64_t)BUFFER_SIZE);

		r = pread_full(in, buffer, n, from + done);
		if (r == 0)
			r = pwrite_full(out, buffer, n, to + done);
		done += n;
	}
	return r;
}
