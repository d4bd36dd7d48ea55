/* SPDX-License-Identifier: Apache-2.0 */
/* Usage: what volumes and versions take. */
#include "server/methods.h"

#include "server/batches.h"
#include "server/encode.h"
#include "util/cleanup.h"
#include "volume/usage.h"

#include <errno.h>

static json_t *encode_usage(const struct usage_item *i)
{
	return json_pack(
		"{s:s, s:s?, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "reference",
		i->reference, "volume", i->volume, "version",
		i->has_version ? encode_digest(&i->version) : json_null(),
		"versions", (json_int_t)i->versions, "files",
		(json_int_t)i->files, "size", (json_int_t)i->size, "layers",
		(json_int_t)i->layers, "stored", (json_int_t)i->share.stored,
		"unique", (json_int_t)i->share.unique);
}

static int reply_usage(struct call *c, const struct usage *u)
{
	struct batches batches;
	int r = batches_init(&batches, c, "usage",
			     json_pack("{s:I, s:I, s:I}", "stored",
				       (json_int_t)u->stored, "shared",
				       (json_int_t)u->shared, "total",
				       (json_int_t)u->total));

	for (size_t i = 0; r == 0 && i < u->n; i++)
		r = batches_add(&batches, encode_usage(&u->items[i]), &c->err);
	return batches_finish(&batches, r);
}

int method_usage(struct call *c)
{
	_cleanup_free_ const char **references = NULL;
	_cleanup_usage_ struct usage usage = {0};
	size_t n;
	int r = call_get_strings(c, "references", &references, &n);

	if (r == 0)
		r = usage_measure(c->host, references, n, &c->progress, &usage,
				  &c->err);
	return r < 0 ? r : reply_usage(c, &usage);
}
