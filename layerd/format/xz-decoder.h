/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * xz by liblzma itself: libarchive sets no bound to the memory that a file can
 * ask for, which is 4 GiB.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "xz -9" needs 65 MiB to be unpacked. */
#define XZ_MEMORY_MAX (256u << 20)

struct xz_decoder;

int xz_decoder_new(struct xz_decoder **ret);
struct xz_decoder *xz_decoder_free(struct xz_decoder *d);

/*
 * Takes input from *in on and makes at most size bytes at out; *in_size and
 * *ret_size say what is left and how many were made. end: no input follows.
 * XZ_DECODER_END: that was all. -EBADMSG for damaged data, -EFBIG
 * for what needs more than XZ_MEMORY_MAX, -ENOMEM.
 */
#define XZ_DECODER_END 1
int xz_decoder_run(struct xz_decoder *d, const uint8_t **in, size_t *in_size,
		   bool end, void *out, size_t size, size_t *ret_size);
