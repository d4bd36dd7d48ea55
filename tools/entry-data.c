/* SPDX-License-Identifier: Apache-2.0 */
#include "entry-data.h"

#include "copy.h"
#include "reply.h"

#include <errno.h>

static int bad_entry(struct err *err)
{
	return err_set(err, EBADMSG,
		       "the daemon's answer has runs of data that are out of "
		       "order");
}

static int copy_sparse(const json_t *extents, uint64_t payload, uint64_t size,
		       int tar_fd, int out, struct err *err)
{
	uint64_t at = 0;
	json_t *extent;
	size_t i;
	int r;

	json_array_foreach (extents, i, extent) {
		uint64_t offset = reply_size(extent, "offset");
		uint64_t length = reply_size(extent, "length");

		if (offset < at || offset > size || length > size - offset)
			return bad_entry(err);
		r = copy_zeros(offset - at, out, err);
		if (r == 0)
			r = copy_bytes(tar_fd, payload, length, out, err);
		if (r < 0)
			return r;
		payload += length;
		at = offset + length;
	}
	return copy_zeros(size - at, out, err);
}

int entry_data_copy(const json_t *entry, int tar_fd, int out, struct err *err)
{
	const json_t *extents = json_object_get(entry, "extents");
	uint64_t payload = reply_size(entry, "payload");
	uint64_t size = reply_size(entry, "size");

	return json_is_array(extents)
		       ? copy_sparse(extents, payload, size, tar_fd, out, err)
		       : copy_bytes(tar_fd, payload, size, out, err);
}
