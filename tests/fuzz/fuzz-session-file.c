/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is the file of a session. What is accepted is written in the one
 * form that there is, which is accepted and written again the same.
 */
#include "fuzz.h"

#include "util/cleanup.h"
#include "volume/session-file.h"

#include <errno.h>
#include <string.h>

bool fuzz_refused;

/* NULL: refused. */
static struct session *decode(const uint8_t *data, size_t size)
{
	_cleanup_(session_freep) struct session *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		abort();
	s->dir_fd = -1;
	s->lock_fd = -1;
	r = session_decode(data, size, s);
	if (r < 0 && r != -EBADMSG)
		abort();
	return r < 0 ? NULL : TAKE_PTR(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(session_freep) struct session *s = decode(data, size);
	_cleanup_(session_freep) struct session *again = NULL;
	_cleanup_buf_ struct buf one = BUF_INIT, two = BUF_INIT;

	fuzz_refused = !s;
	if (!s)
		return 0;
	if (!s->volume || session_encode(s, &one) < 0)
		abort();
	again = decode(one.data, one.size);
	if (!again || session_encode(again, &two) < 0 || one.size != two.size ||
	    memcmp(one.data, two.data, one.size) != 0)
		abort();
	return 0;
}
