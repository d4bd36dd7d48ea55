/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is the places of the layer that it names. What is accepted must be
 * what the encoder would write. A second round makes the checksum right, else a
 * fuzzer would never get past it.
 */
#include "fuzz.h"

#include "format/pack.h"
#include "format/places.h"
#include "util/cleanup.h"

#define AT_LAYER 24u

bool fuzz_refused;

static void try(const uint8_t *data, size_t size)
{
	_cleanup_places_ struct places p = {0};
	_cleanup_buf_ struct buf again = BUF_INIT;
	struct digest layer = {{0}};
	struct err err = ERR_INIT;
	int r;

	if (size >= AT_LAYER + DIGEST_SIZE)
		memcpy(layer.bytes, data + AT_LAYER, DIGEST_SIZE);
	r = places_decode(data, size, &layer, &p, &err);
	if (r < 0 && !err.code)
		abort();
	if (r < 0) {
		fuzz_refused = true;
		return;
	}
	for (size_t i = 0; i < p.n_rows; i++)
		if (p.rows[i].pack >= p.n_packs ||
		    p.rows[i].offset + p.rows[i].length > PACK_SIZE_MAX)
			abort();
	if (places_encode(&p, &layer, &again) < 0 || again.size != size ||
	    memcmp(again.data, data, size) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *copy = NULL;
	struct digest d;
	bool refused;

	fuzz_refused = false;
	try(data, size);
	refused = fuzz_refused;
	if (size < DIGEST_SIZE)
		return 0;
	copy = malloc(size);
	if (!copy || digest_of(data, size - DIGEST_SIZE, &d) < 0)
		abort();
	memcpy(copy, data, size - DIGEST_SIZE);
	memcpy(copy + size - DIGEST_SIZE, d.bytes, DIGEST_SIZE);
	try(copy, size);
	fuzz_refused = refused;
	return 0;
}
