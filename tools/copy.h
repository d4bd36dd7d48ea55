/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bytes of a file to standard output or wherever it was sent. */

#include "util/error.h"

#include <stdint.h>

/*
 * Copies size bytes of in from offset on to out: within the kernel where both
 * ends allow it, else through memory. in's own offset stays. -ENODATA when in
 * ends early. Blocks.
 */
int copy_bytes(int in, uint64_t offset, uint64_t size, int out,
	       struct err *err);

/* Writes size zeros. */
int copy_zeros(uint64_t size, int out, struct err *err);
