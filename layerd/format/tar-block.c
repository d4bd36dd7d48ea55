/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: whatever is in the fields, no number is beyond INT64_MAX. */
#include "format/tar-block.h"

#include "format/tar-writer.h"

#include <errno.h>
#include <string.h>

int tar_number(const uint8_t *field, size_t size, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	if (field[0] & 0x80) {
		v = field[0] & 0x7f;
		for (i = 1; i < size; i++) {
			if (v > UINT64_MAX >> 8)
				return -EBADMSG;
			v = v << 8 | field[i];
		}
	} else {
		while (i < size && field[i] == ' ')
			i++;
		for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
			v = v << 3 | (uint64_t)(field[i] - '0');
	}
	if (v > INT64_MAX)
		return -EBADMSG;
	*ret = v;
	return 0;
}

bool tar_is_header(const uint8_t *block)
{
	int64_t plain = 0, with_sign = 0;
	uint64_t stated;

	for (size_t i = 0; i < TAR_BLOCK; i++) {
		bool own = i >= TAR_AT_CHECKSUM &&
			   i < TAR_AT_CHECKSUM + TAR_CHECKSUM_SIZE;
		uint8_t c = own ? ' ' : block[i];

		plain += c;
		with_sign += (int8_t)c;
	}
	return tar_number(block + TAR_AT_CHECKSUM, TAR_CHECKSUM_SIZE,
			  &stated) == 0 &&
	       (stated == (uint64_t)plain || stated == (uint64_t)with_sign);
}

bool tar_is_zero(const uint8_t *block)
{
	return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK - 1) == 0;
}

bool tar_is_special(char type)
{
	return type && strchr("xXgLKA", type);
}
