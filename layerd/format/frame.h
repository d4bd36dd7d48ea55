/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What pack and layer object ask of a zstd frame before they decompress it. */

#include <stddef.h>
#include <stdint.h>

/*
 * That length bytes at frame are exactly one zstd frame (RFC 8878, neither
 * skippable nor of an older format) which says that it holds size bytes.
 * Returns NULL, or what is wrong as the end of a sentence about the frame.
 */
const char *frame_defect(const void *frame, size_t length, uint64_t size);
