/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is the record of the volume "data". What is accepted is written in
 * the one form that there is, which is accepted and written again the same.
 */
#include "fuzz.h"

#include "util/cleanup.h"
#include "volume/label.h"
#include "volume/record.h"

#include <errno.h>
#include <string.h>

bool fuzz_refused;

/* NULL: refused. */
static struct volume *decode(const uint8_t *data, size_t size)
{
	_cleanup_(volume_freep) struct volume *v = calloc(1, sizeof(*v));
	struct err err = ERR_INIT;
	int r;

	if (!v || !(v->name = strdup("data")))
		abort();
	r = volume_record_decode(data, size, v, &err);
	if (r < 0 && (r != -EBADMSG || !err.code))
		abort();
	return r < 0 ? NULL : TAKE_PTR(v);
}

static void check(const struct volume *v)
{
	if (v->has_head != (v->sequence > 0) || v->sequence > SEQUENCE_MAX ||
	    !v->lease_host != !v->lease_session)
		abort();
	for (size_t i = 0; i < v->n_tags; i++)
		if (tag_name_check(v->tags[i].name, NULL) < 0 ||
		    (i && strcmp(v->tags[i - 1].name, v->tags[i].name) >= 0))
			abort();
	if (v->n_labels > VOLUME_LABELS_MAX)
		abort();
	for (size_t i = 0; i < v->n_labels; i++)
		if (version_label_check(v->labels[i].key, v->labels[i].value,
					NULL) < 0 ||
		    (i && volume_label_compare(&v->labels[i - 1],
					       &v->labels[i]) >= 0))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(volume_freep) struct volume *v = decode(data, size);
	_cleanup_(volume_freep) struct volume *again = NULL;
	_cleanup_buf_ struct buf one = BUF_INIT, two = BUF_INIT;

	fuzz_refused = !v;
	if (!v)
		return 0;
	check(v);
	if (volume_record_encode(v, &one) < 0)
		abort();
	again = decode(one.data, one.size);
	if (!again || volume_record_encode(again, &two) < 0 ||
	    one.size != two.size || memcmp(one.data, two.data, one.size) != 0)
		abort();
	return 0;
}
