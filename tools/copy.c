/* SPDX-License-Identifier: Apache-2.0 */
#include "copy.h"

#include "util/cleanup.h"
#include "util/fd.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/sendfile.h>

#define STEP_MAX (1u << 30)
#define BUFFER_SIZE (128u << 10)

struct copy {
	int in, out;
	uint64_t offset, left;
};

typedef ssize_t (*copy_step_fn)(int in, off_t *offset, size_t size, int out);

static ssize_t step_range(int in, off_t *offset, size_t size, int out)
{
	return copy_file_range(in, offset, out, NULL, size, 0);
}

static ssize_t step_sendfile(int in, off_t *offset, size_t size, int out)
{
	return sendfile(out, in, offset, size);
}

/* Whether an error speaks of the kind of files, not of these. */
static bool other_way(int error)
{
	return error == EINVAL || error == EXDEV || error == EBADF ||
	       error == ENOSYS || error == EOPNOTSUPP || error == EPERM ||
	       error == ETXTBSY;
}

/* As much as one way of the kernel's can do; what is left is for another. */
static int copy_in_kernel(struct copy *c, copy_step_fn step, struct err *err)
{
	while (c->left) {
		off_t offset = (off_t)c->offset;
		ssize_t n =
			step(c->in, &offset, MIN(c->left, STEP_MAX), c->out);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && other_way(errno)))
			return 0;
		if (n < 0)
			return err_errno(err, errno, "cannot write the output");
		c->offset += (uint64_t)n;
		c->left -= (uint64_t)n;
	}
	return 0;
}

static int write_out(int out, const void *data, size_t size, struct err *err)
{
	int r = write_full(out, data, size);

	return r < 0 ? err_errno(err, r, "cannot write the output") : 0;
}

static int copy_through_memory(struct copy *c, struct err *err)
{
	_cleanup_free_ uint8_t *buffer = malloc(BUFFER_SIZE);

	if (!buffer)
		return err_oom(err);
	while (c->left) {
		size_t n = MIN(c->left, BUFFER_SIZE);
		int r = pread_full(c->in, buffer, n, c->offset);

		if (r == -ENODATA)
			return err_set(err, r,
				       "the tarball is shorter than it must "
				       "be; `layerctl layer verify` checks it");
		if (r < 0)
			return err_errno(err, r, "cannot read the tarball");
		r = write_out(c->out, buffer, n, err);
		if (r < 0)
			return r;
		c->offset += n;
		c->left -= n;
	}
	return 0;
}

int copy_bytes(int in, uint64_t offset, uint64_t size, int out, struct err *err)
{
	struct copy c = {in, out, offset, size};
	int r;

	r = copy_in_kernel(&c, step_range, err);
	if (r == 0)
		r = copy_in_kernel(&c, step_sendfile, err);
	if (r == 0)
		r = copy_through_memory(&c, err);
	return r;
}

int copy_zeros(uint64_t size, int out, struct err *err)
{
	static const uint8_t zeros[BUFFER_SIZE];
	int r = 0;

	while (size && r == 0) {
		size_t n = MIN(size, sizeof(zeros));

		r = write_out(out, zeros, n, err);
		size -= n;
	}
	return r;
}
