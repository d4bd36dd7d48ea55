/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a layer object. What is accepted must cover its tarball and have
 * an index of the size it says. A second round makes the checksum right, else a
 * fuzzer would never get past it.
 */
#include "fuzz.h"

#include "format/layer-object.h"
#include "util/cleanup.h"

#define INDEX_MAX (16u << 20)

bool fuzz_refused;

static void check(const struct layer_object *o)
{
	uint64_t offset = 0;

	for (size_t i = 0; i < o->n_chunks; i++) {
		const struct layer_chunk *c = &o->chunks[i];

		if (c->offset != offset || !c->size)
			abort();
		if (layer_object_find(o, offset) != i)
			abort();
		offset += c->size;
	}
	if (offset != o->tar_size)
		abort();
}

static void try(const uint8_t *data, size_t size)
{
	_cleanup_layer_object_ struct layer_object o = {0}, again = {0};
	_cleanup_buf_ struct buf index = BUF_INIT, b = BUF_INIT;
	struct err err = ERR_INIT;
	int r;

	r = layer_object_decode(data, size, &o, &index, INDEX_MAX, &err);
	if (r < 0 && !err.code)
		abort();
	if (r < 0) {
		fuzz_refused = true;
		return;
	}
	if (index.size != o.index_size)
		abort();
	check(&o);
	if (layer_object_encode(&o, index.data, &b, NULL) < 0 ||
	    layer_object_decode(b.data, b.size, &again, NULL, 0, NULL) < 0 ||
	    again.n_chunks != o.n_chunks)
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
