/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What writer, reader and scan must agree on about entries: their order, how
 * much data they have, and how fine the holes of a sparse file are kept. The
 * index made at a seal equals the one made from the tarball only while all of
 * them ask here.
 */
#include "format/entry.h"

#include "util/cleanup.h"

#include <sys/stat.h>

#define HOLE_UNIT_MIN 4096u

uint64_t entry_data_size(const struct entry *e)
{
	uint64_t sum = 0;

	if (!S_ISREG(e->mode) || (e->flags & (ENTRY_HARDLINK | ENTRY_WHITEOUT)))
		return 0;
	if (!e->sparse)
		return e->size;
	for (size_t i = 0; i < e->n_extents; i++)
		sum += e->extents[i].length;
	return sum;
}

/* The end of a path before '/', and that before every other byte. */
static unsigned int path_weight(char c)
{
	if (c == 0)
		return 0;
	return c == '/' ? 1 : 1u + (unsigned char)c;
}

int entry_path_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (int)path_weight(*a) - (int)path_weight(*b);
}

uint64_t entry_hole_unit(uint64_t size, const struct extent *extents, size_t n)
{
	uint64_t unit = HOLE_UNIT_MIN, bits = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t end = extents[i].offset + extents[i].length;

		bits |= extents[i].offset;
		if (end < size)
			bits |= end;
	}
	/* One row is all that a file needs whose only boundaries are its ends.
	 */
	while (unit < size && unit < UINT64_C(1) << 62 &&
	       (bits & (2 * unit - 1)) == 0)
		unit *= 2;
	while (unit < UINT64_C(1) << 62 &&
	       (size + unit - 1) / unit > ENTRY_CHUNKS_MAX)
		unit *= 2;
	return unit;
}

size_t entry_widen_extents(struct extent *extents, size_t n, uint64_t unit,
			   uint64_t size)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t start = extents[i].offset / unit * unit;
		uint64_t end = extents[i].offset + extents[i].length;

		if (!extents[i].length || extents[i].offset >= size)
			continue;
		end = MIN((end + unit - 1) / unit * unit, size);
		if (kept &&
		    extents[kept - 1].offset + extents[kept - 1].length >=
			    start) {
			extents[kept - 1].length =
				end - extents[kept - 1].offset;
			continue;
		}
		extents[kept++] = (struct extent){start, end - start};
	}
	return kept;
}
