/* SPDX-License-Identifier: Apache-2.0 */
/* Packs, and their contents, of which as many are kept as fit. */
#include "volume/fsck-private.h"

#include "store/layout.h"
#include "util/cleanup.h"
#include "volume/contents.h"

#include <errno.h>

#define TOC_BYTES_MAX ((size_t)64 << 20)

void fsck_packs_release(struct fsck *f)
{
	for (size_t i = 0; i < f->packs.n && i < f->pack_alloc; i++) {
		pack_toc_release(&f->pack[i].toc);
		free(f->pack[i].marks);
	}
	free(f->pack);
	digest_set_release(&f->packs);
}

int fsck_pack(struct fsck *f, const struct digest *digest, uint32_t *ret)
{
	int new = digest_set_add(&f->packs, digest, ret);

	if (new < 0)
		return err_oom(f->err);
	return fsck_room(f, &f->pack, *ret, &f->pack_alloc, sizeof(*f->pack));
}

int fsck_pack_finding(struct fsck *f, uint32_t pack, struct finding **ret)
{
	struct fsck_pack *p = &f->pack[pack];
	char key[STORE_KEY_MAX];

	if (!p->finding) {
		store_key_pack(key, &f->packs.items[pack]);
		p->finding =
			p->state == PACK_MISSING
				? fsck_found(f, key, "missing",
					     "the pack is not in the store")
				: fsck_found(f, key, "damaged",
					     p->state == PACK_DAMAGED
						     ? "its contents cannot be "
						       "read"
						     : "some of its chunks "
						       "cannot be read");
	}
	if (!p->finding)
		return -ENOMEM;
	f->hurt = true;
	*ret = p->finding;
	return 0;
}

static void forget_contents(struct fsck *f)
{
	for (size_t i = 0; i < f->packs.n; i++) {
		pack_toc_release(&f->pack[i].toc);
		f->pack[i].toc = (struct pack_toc){0};
		f->pack[i].loaded = false;
	}
	f->toc_bytes = 0;
}

static int load_contents(struct fsck *f, uint32_t pack)
{
	struct fsck_pack *p = &f->pack[pack];
	struct err problem = ERR_INIT;
	int r;

	if (p->state == PACK_UNKNOWN)
		p->marked = contents_is_marked(f->host->store,
					       &f->packs.items[pack]);
	if (f->toc_bytes > TOC_BYTES_MAX)
		forget_contents(f);
	r = contents_read(f->host->store, &f->packs.items[pack], &p->toc,
			  &problem);
	if (r == -ENOMEM)
		return err_oom(f->err);
	if (r < 0) {
		p->state = r == -ENOENT ? PACK_MISSING : PACK_DAMAGED;
		return 0;
	}
	p->state = PACK_READABLE;
	p->loaded = true;
	/* It was replaced meanwhile: nothing is known of what it is now. */
	if (p->marks && p->n != p->toc.n)
		freep(&p->marks);
	p->n = (uint32_t)p->toc.n;
	f->toc_bytes += p->toc.n * sizeof(*p->toc.entries);
	return 0;
}

int fsck_pack_toc(struct fsck *f, uint32_t pack, const struct pack_toc **ret)
{
	struct fsck_pack *p = &f->pack[pack];
	int r = 0;

	if (p->state == PACK_UNKNOWN ||
	    (p->state == PACK_READABLE && !p->loaded))
		r = load_contents(f, pack);
	if (r == 0)
		*ret = p->loaded ? &p->toc : NULL;
	return r;
}

enum chunk_mark fsck_pack_known(const struct fsck *f, uint32_t pack,
				uint32_t entry)
{
	const struct fsck_pack *p = &f->pack[pack];

	return p->marks && entry < p->n ? p->marks[entry] : CHUNK_UNREAD;
}

int fsck_pack_mark(struct fsck *f, uint32_t pack, uint32_t entry,
		   enum chunk_mark mark)
{
	struct fsck_pack *p = &f->pack[pack];

	if (!p->marks) {
		p->marks = calloc(p->n + 1, 1);
		if (!p->marks)
			return err_oom(f->err);
	}
	if (entry < p->n)
		p->marks[entry] = (uint8_t)mark;
	return 0;
}

int fsck_pack_restored(struct fsck *f, const struct digest *pack)
{
	uint32_t i = digest_set_find(&f->packs, pack);
	char key[STORE_KEY_MAX];
	struct fsck_pack *p;

	if (i == TABLE_NONE)
		return 0;
	p = &f->pack[i];
	pack_toc_release(&p->toc);
	free(p->marks);
	*p = (struct fsck_pack){.finding = p->finding, .restored = true};
	return store_remove(f->host->store, store_key_damaged(key, pack),
			    f->err);
}

static int add_listed(const char *key, uint64_t size, void *ctx,
		      struct err *err)
{
	struct fsck *f = ctx;
	struct digest digest;

	(void)err;
	if (store_key_digest(key, &digest) == 0)
		f->read_total += size;
	return 0;
}

int fsck_list_packs(struct fsck *f)
{
	if (!f->options->read_data)
		return 0;
	return store_list(f->host->store, "packs/", add_listed, f, f->err);
}
