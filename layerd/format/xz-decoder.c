/* SPDX-License-Identifier: Apache-2.0 */
#include "format/xz-decoder.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>

struct xz_decoder {
	lzma_stream stream;
};

int xz_decoder_new(struct xz_decoder **ret)
{
	struct xz_decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->stream = (lzma_stream)LZMA_STREAM_INIT;
	if (lzma_stream_decoder(&d->stream, XZ_MEMORY_MAX, LZMA_CONCATENATED) !=
	    LZMA_OK) {
		free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

struct xz_decoder *xz_decoder_free(struct xz_decoder *d)
{
	if (d)
		lzma_end(&d->stream);
	free(d);
	return NULL;
}

int xz_decoder_run(struct xz_decoder *d, const uint8_t **in, size_t *in_size,
		   bool end, void *out, size_t size, size_t *ret_size)
{
	lzma_ret r;

	d->stream.next_in = *in;
	d->stream.avail_in = *in_size;
	d->stream.next_out = out;
	d->stream.avail_out = size;
	r = lzma_code(&d->stream, end ? LZMA_FINISH : LZMA_RUN);
	*in = d->stream.next_in;
	*in_size = d->stream.avail_in;
	*ret_size = size - d->stream.avail_out;
	switch (r) {
	case LZMA_STREAM_END:
		return XZ_DECODER_END;
	case LZMA_OK:
		return 0;
	/* Nothing could be done: the input has been cut off, or more is to
	 * come. */
	case LZMA_BUF_ERROR:
		return end ? -EBADMSG : 0;
	case LZMA_MEM_ERROR:
		return -ENOMEM;
	case LZMA_MEMLIMIT_ERROR:
		return -EFBIG;
	default:
		return -EBADMSG;
	}
}
