/* SPDX-License-Identifier: Apache-2.0 */
/* Anything as an archive that comes in, compressed or not: what it is and what
 * it holds, up to a bound, as a few bytes can stand for many. */
#include "fuzz.h"

#include "format/archive-input.h"
#include "util/cleanup.h"

#include <string.h>

#define OUTPUT_MAX (4u << 20)

bool fuzz_refused;

struct source {
	const uint8_t *data;
	size_t size;
};

static ssize_t read_some(void *data, size_t size, void *ctx, struct err *err)
{
	struct source *s = ctx;
	size_t n = MIN(MIN(size, (size_t)1000), s->size);

	if (n)
		memcpy(data, s->data, n);
	s->data += n;
	s->size -= n;
	return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source s = {data, size};
	const struct archive_source source = {read_some, &s, "input"};
	_cleanup_(archive_input_freep) struct archive_input *in = NULL;
	struct err err = ERR_INIT;
	uint8_t block[4096];
	size_t sum = 0;
	ssize_t n = archive_input_open(&in, &source, &err);

	if (n == 0)
		do {
			n = archive_input_read(in, block, sizeof(block), &err);
			sum += n > 0 ? (size_t)n : 0;
		} while (n > 0 && sum < OUTPUT_MAX);
	fuzz_refused = n < 0;
	/* Whatever is wrong, a sentence says so. */
	if (n < 0 && !err.code)
		abort();
	return 0;
}
