/* SPDX-License-Identifier: Apache-2.0 */
/* Boundaries in any bytes: they are the same whether the bytes come at once or
 * in pieces. The first byte says how large the pieces are. */
#include "fuzz.h"

#include "format/tar-cuts.h"
#include "util/cleanup.h"

bool fuzz_refused;

static uint64_t follow(const uint8_t *data, size_t size, size_t piece)
{
	struct tar_cuts t = TAR_CUTS_INIT;
	uint64_t sum = 0;

	for (size_t done = 0; done < size;) {
		size_t n = MIN(piece, size - done), taken;
		bool cut;

		taken = tar_cuts_feed(&t, data + done, n, &cut);
		if (taken == 0 || taken > n)
			abort();
		done += taken;
		if (cut)
			sum = sum * 31 + done;
	}
	tar_cuts_release(&t);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_refused = false;
	if (size && follow(data + 1, size - 1, size) !=
			    follow(data + 1, size - 1, 1u + data[0]))
		abort();
	return 0;
}
