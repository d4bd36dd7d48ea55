/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: a version is taken back with all that it needs, or nothing of
 * it is. Manifests are removed first, so that of a version whose manifest is
 * there nothing is gone; nothing is removed while it is read and taken back.
 */
#include "store/condemned.h"
#include "util/cleanup.h"
#include "volume/gc.h"
#include "volume/live.h"

#include <errno.h>

static bool keep_set(struct condemned *c, enum store_kind kind,
		     const struct digest_set *set)
{
	bool kept = true;

	for (size_t i = 0; kept && i < set->n; i++)
		kept = condemned_keep(c, kind, &set->items[i]);
	return kept;
}

static int refuse(struct host *h, const struct digest *version, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];

	return err_set(err, ENOENT,
		       "version sha256:%s was removed and is being deleted "
		       "from %s",
		       digest_hex(version, hex), store_name(h->store));
}

/* With the set held. */
static int keep(struct host *h, struct condemned *c,
		const struct digest *version, struct err *err)
{
	_cleanup_live_ struct live live = {0};
	int r;

	if (condemned_is_removed(c, STORE_BLOB, version))
		return refuse(h, version, err);
	r = live_add_version(h, &live, version, err);
	if (r < 0)
		return r;
	return keep_set(c, STORE_PACK, &live.packs) &&
			       keep_set(c, STORE_LAYER, &live.layers) &&
			       keep_set(c, STORE_BLOB, &live.blobs)
		       ? 0
		       : refuse(h, version, err);
}

int gc_keep_version(struct host *h, const struct digest *version,
		    struct err *err)
{
	struct condemned *c = store_condemned(h->store);
	int r;

	if (condemned_is_empty(c))
		return 0;
	condemned_hold(c);
	r = keep(h, c, version, err);
	condemned_let_go(c);
	return r;
}
