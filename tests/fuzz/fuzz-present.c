/* SPDX-License-Identifier: Apache-2.0 */

/* The marker of a cached layer: what is accepted encodes to the same bytes. */

#include "fuzz.h"

#include "cache/present.h"

#include <stdlib.h>

bool fuzz_refused;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[PRESENT_SIZE];
	struct present p;

	fuzz_refused = present_decode(data, size, &p, NULL) < 0;
	if (!fuzz_refused && (present_encode(&p, again) < 0 ||
			      memcmp(again, data, PRESENT_SIZE) != 0))
		abort();
	return 0;
}
