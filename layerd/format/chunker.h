/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Content-defined chunking: FastCDC with normalised chunking (Xia et al.,
 * USENIX ATC 2016). Boundaries depend on the bytes since the last boundary
 * only, so equal content gives equal chunks wherever it stands.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_MIN (64u << 10)
#define CHUNK_AVERAGE (256u << 10)
#define CHUNK_MAX (1u << 20)

/* Payloads of at least this size start and end on a forced boundary. */
#define CHUNK_FORCE_SIZE (64u << 10)

/* The state between two boundaries; all zero at a boundary. */
struct chunker {
	uint64_t hash;
	uint32_t length;
};

#define CHUNKER_INIT                                                           \
	(struct chunker)                                                       \
	{                                                                      \
		0                                                              \
	}

/*
 * Feeds bytes until a boundary or the end of data. Returns how many were taken;
 * *ret_cut says whether a boundary lies right behind them, and the chunker then
 * stands at a boundary. A forced boundary is made by assigning CHUNKER_INIT.
 */
size_t chunker_feed(struct chunker *c, const uint8_t *data, size_t size,
		    bool *ret_cut);
