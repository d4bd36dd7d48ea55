/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a pack. What is accepted must be what the encoder would write,
 * and reading its chunks must end in their bytes or in an error. A second round
 * makes the checksum right, else a fuzzer would never get past it.
 */
#include "fuzz.h"

#include "format/chunker.h"
#include "format/pack.h"
#include "util/cleanup.h"

#include <endian.h>

#define FOOTER_SIZE 48u

bool fuzz_refused;

static void read_chunks(const uint8_t *pack, const struct pack_toc *toc)
{
	_cleanup_(pack_codec_freep) struct pack_codec *codec = NULL;

	if (pack_codec_new(&codec) < 0)
		abort();
	/* Enough of them to reach every path, few enough to stay fast. */
	for (size_t i = 0; i < toc->n && i < 16; i++) {
		const struct pack_entry *e = &toc->entries[i];
		_cleanup_free_ uint8_t *out = malloc(e->size);
		struct digest d;

		if (!out)
			abort();
		if (pack_decompress(codec, pack + e->offset, e->length,
				    &e->chunk, out, e->size, NULL) < 0) {
			fuzz_refused = true;
			continue;
		}
		if (digest_of(out, e->size, &d) < 0 ||
		    !digest_equal(&d, &e->chunk))
			abort();
	}
}

static void try(const uint8_t *data, size_t size)
{
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	_cleanup_buf_ struct buf again = BUF_INIT;
	struct err err = ERR_INIT;
	size_t need;
	int r;

	r = pack_toc_decode(data, size, size, &toc, &need, &err);
	/* All of the pack is there: asking for more is a defect. */
	if (r == PACK_E_SHORT || (r < 0 && !err.code))
		abort();
	if (r < 0) {
		fuzz_refused = true;
		return;
	}
	if (pack_toc_encode(&toc, &again) < 0 || again.size > size ||
	    memcmp(data + size - again.size, again.data, again.size) != 0)
		abort();
	read_chunks(data, &toc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *copy = NULL;
	struct digest d;
	uint32_t n;
	bool refused;

	fuzz_refused = false;
	try(data, size);
	refused = fuzz_refused;
	if (size < FOOTER_SIZE)
		return 0;
	copy = malloc(size);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	memcpy(&n, copy + size - DIGEST_SIZE - sizeof(n), sizeof(n));
	n = le32toh(n);
	if (PACK_TRAILER_SIZE(n) > size)
		return 0;
	if (digest_of(copy + size - PACK_TRAILER_SIZE(n),
		      PACK_TRAILER_SIZE(n) - DIGEST_SIZE, &d) < 0)
		abort();
	memcpy(copy + size - DIGEST_SIZE, d.bytes, DIGEST_SIZE);
	try(copy, size);
	fuzz_refused = refused;
	return 0;
}
