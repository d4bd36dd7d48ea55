/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libzstd decodes any number of concatenated frames in one call, skippable and
 * pre-1.0 ones among them, and lets a frame leave out its size. Ours are one
 * plain frame with its size, so everything else is damage or an attack, and is
 * refused before memory is spent on it.
 */
#include "format/frame.h"

#include <endian.h>
#include <zstd.h>

const char *frame_defect(const void *frame, size_t length, uint64_t size)
{
	unsigned long long said;
	uint32_t magic;

	if (length < sizeof(magic))
		return "is cut short";
	memcpy(&magic, frame, sizeof(magic));
	if (le32toh(magic) != ZSTD_MAGICNUMBER)
		return "is not a zstd frame";
	said = ZSTD_getFrameContentSize(frame, length);
	if (said == ZSTD_CONTENTSIZE_ERROR)
		return "has a broken header";
	if (said == ZSTD_CONTENTSIZE_UNKNOWN)
		return "does not say its size";
	if (said != size)
		return "is of another size";
	if (ZSTD_findFrameCompressedSize(frame, length) != length)
		return "does not end where it should";
	return NULL;
}
