/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/contents.h"

#include "format/layer-object.h"
#include "format/places.h"
#include "store/layout.h"
#include "util/cleanup.h"

#include <errno.h>

/* From the last bytes of the pack, more of them if need be. */
int contents_read(struct store *s, const struct digest *pack,
		  struct pack_toc *ret, struct err *err)
{
	char key[STORE_KEY_MAX];
	uint64_t size;
	size_t want;
	int r;

	r = store_size(s, store_key_pack(key, pack), &size, err);
	if (r < 0)
		return r;
	want = (size_t)MIN(size, (uint64_t)PACK_TAIL_GUESS);
	for (;;) {
		_cleanup_free_ uint8_t *tail = malloc(want ? want : 1);
		size_t need = 0;

		if (!tail)
			return err_oom(err);
		r = store_get_range(s, key, size - want, want, tail, err);
		if (r < 0)
			return r;
		r = pack_toc_decode(tail, want, size, ret, &need, err);
		if (r != PACK_E_SHORT)
			return r;
		if (need <= want || need > size)
			return err_set(err, EBADMSG,
				       "%s has contents of an impossible size",
				       key);
		want = need;
	}
}

bool contents_is_marked(struct store *s, const struct digest *pack)
{
	struct err problem = ERR_INIT;
	char key[STORE_KEY_MAX];
	uint64_t size;

	store_key_damaged(key, pack);
	return store_size(s, key, &size, &problem) != -ENOENT;
}

void contents_forget_layer(struct host *h, const struct digest *tar)
{
	_cleanup_places_ struct places places = {0};
	_cleanup_buf_ struct buf b = BUF_INIT;
	char key[STORE_KEY_MAX];

	/* Without its places nobody knows where the layer's chunks are. */
	if (store_get(h->store, store_key_places(key, tar), LAYER_OBJECT_MAX,
		      &b, NULL) < 0 ||
	    places_decode(b.data, b.size, tar, &places, NULL) < 0)
		return;
	/* What stays in the catalog costs no more than it did. */
	for (size_t i = 0; i < places.n_packs; i++)
		(void)catalog_remove_pack(h->catalog, &places.packs[i], NULL);
}
