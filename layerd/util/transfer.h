/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Copies size bytes of in at offset from to out at offset to: within the
 * kernel, shared where the file system can do that, else through memory.
 * -ENODATA when in ends early. Blocks.
 */
int transfer_bytes(int in, uint64_t from, int out, uint64_t to, uint64_t size);

/* Whether an error speaks of the kind of files, not of these. */
bool transfer_other_way(int error);
