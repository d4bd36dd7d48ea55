/* SPDX-License-Identifier: Apache-2.0 */
#include "format/places.h"

#include "format/chunker.h"
#include "format/pack.h"
#include "util/cleanup.h"
#include "util/cursor.h"

#include <errno.h>
#include <zstd.h>

#define MAGIC "LYRPLACE"
#define VERSION 1u
#define HEADER_SIZE 56u
#define ROW_SIZE 16u

#define ADVICE                                                                 \
	"restore them from a copy or make them anew from the packs' contents"

void places_release(struct places *p)
{
	free(p->packs);
	free(p->rows);
	table_release(&p->by_pack);
	*p = (struct places){0};
}

static bool pack_is(const void *key, uint32_t index, void *ctx)
{
	const struct places *p = ctx;

	return digest_equal(key, &p->packs[index]);
}

/* Decoded places have no table yet. */
static int index_packs(struct places *p)
{
	while (p->by_pack.used < p->n_packs) {
		size_t i = p->by_pack.used;
		int r = table_add(&p->by_pack, digest_hash(&p->packs[i]),
				  (uint32_t)i);

		if (r < 0)
			return r;
	}
	return 0;
}

static int find_or_add_pack(struct places *p, const struct digest *pack,
			    uint32_t *ret)
{
	uint32_t i;
	int r;

	r = index_packs(p);
	if (r < 0)
		return r;
	i = table_find(&p->by_pack, digest_hash(pack), pack, pack_is, p);
	if (i != TABLE_NONE) {
		*ret = i;
		return 0;
	}
	if (p->n_packs == p->packs_alloc) {
		size_t alloc = p->packs_alloc * 2 + 16;
		struct digest *packs =
			reallocarray(p->packs, alloc, sizeof(*packs));

		if (!packs)
			return -ENOMEM;
		p->packs = packs;
		p->packs_alloc = alloc;
	}
	r = table_add(&p->by_pack, digest_hash(pack), (uint32_t)p->n_packs);
	if (r < 0)
		return r;
	p->packs[p->n_packs] = *pack;
	*ret = (uint32_t)p->n_packs++;
	return 0;
}

static bool row_possible(uint64_t offset, uint32_t length)
{
	return length && length <= ZSTD_compressBound(CHUNK_MAX) &&
	       offset <= PACK_SIZE_MAX && length <= PACK_SIZE_MAX - offset;
}

int places_add(struct places *p, const struct digest *pack, uint64_t offset,
	       uint32_t length)
{
	uint32_t index;
	int r;

	if (!row_possible(offset, length))
		return -EINVAL;
	if (p->n_rows == p->rows_alloc) {
		size_t alloc = p->rows_alloc * 2 + 64;
		struct place *rows =
			reallocarray(p->rows, alloc, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		p->rows = rows;
		p->rows_alloc = alloc;
	}
	r = find_or_add_pack(p, pack, &index);
	if (r < 0)
		return r;
	p->rows[p->n_rows++] = (struct place){
		.pack = index,
		.length = length,
		.offset = offset,
	};
	return 0;
}

static int add_row(struct buf *b, const struct place *row)
{
	int r = buf_add_le32(b, row->pack);

	r = r ?: buf_add_le32(b, row->length);
	return r ?: buf_add_le64(b, row->offset);
}

int places_encode(const struct places *p, const struct digest *layer,
		  struct buf *b)
{
	struct digest checksum;
	size_t start = b->size;
	int r;

	r = buf_reserve(b, HEADER_SIZE + p->n_packs * DIGEST_SIZE +
				   p->n_rows * ROW_SIZE + DIGEST_SIZE);
	r = r ?: buf_add(b, MAGIC, 8);
	r = r ?: buf_add_le32(b, VERSION);
	r = r ?: buf_add_le32(b, (uint32_t)p->n_packs);
	r = r ?: buf_add_le64(b, p->n_rows);
	r = r ?: buf_add(b, layer->bytes, DIGEST_SIZE);
	for (size_t i = 0; !r && i < p->n_packs; i++)
		r = buf_add(b, p->packs[i].bytes, DIGEST_SIZE);
	for (size_t i = 0; !r && i < p->n_rows; i++)
		r = add_row(b, &p->rows[i]);
	r = r ?: digest_of(b->data + start, b->size - start, &checksum);
	r = r ?: buf_add(b, checksum.bytes, DIGEST_SIZE);
	if (r < 0)
		b->size = start;
	return r;
}

static int damaged(const struct digest *layer, const char *defect,
		   struct err *err)
{
	char hex[DIGEST_HEX_SIZE];

	return err_set(err, EBADMSG,
		       "the places of layer sha256:%s are damaged: %s; " ADVICE,
		       digest_hex(layer, hex), defect);
}

static int header_decode(struct cursor *c, size_t size,
			 const struct digest *layer, size_t *ret_packs,
			 size_t *ret_rows, struct err *err)
{
	const uint8_t *magic = cursor_take(c, 8), *of;
	uint32_t version = cursor_le32(c), packs = cursor_le32(c);
	uint64_t rows = cursor_le64(c), room = size;

	of = cursor_take(c, DIGEST_SIZE);
	if (!cursor_ok(c) || memcmp(magic, MAGIC, 8) != 0)
		return damaged(layer, "they do not begin as places do", err);
	if (version != VERSION)
		return err_set(err, EBADMSG,
			       "the places of the layer are of format version "
			       "%u, this layerd reads version %u; upgrade "
			       "layerd",
			       version, VERSION);
	if (memcmp(of, layer->bytes, DIGEST_SIZE) != 0)
		return damaged(layer, "they are those of another layer", err);
	if (packs > room / DIGEST_SIZE || rows > room / ROW_SIZE ||
	    size != HEADER_SIZE + (uint64_t)packs * DIGEST_SIZE +
			    rows * ROW_SIZE + DIGEST_SIZE)
		return damaged(layer, "their size does not fit their counts",
			       err);
	*ret_packs = packs;
	*ret_rows = rows;
	return 0;
}

static int compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_SIZE);
}

/* By sorting: a table would be slow for digests that were made to collide. */
static int packs_differ(const struct places *p, bool *ret)
{
	_cleanup_free_ struct digest *sorted =
		calloc(p->n_packs + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	if (p->n_packs)
		memcpy(sorted, p->packs, p->n_packs * sizeof(*sorted));
	qsort(sorted, p->n_packs, sizeof(*sorted), compare_digests);
	*ret = true;
	for (size_t i = 1; i < p->n_packs; i++)
		if (digest_equal(&sorted[i - 1], &sorted[i]))
			*ret = false;
	return 0;
}

static int rows_decode(struct cursor *c, struct places *p, size_t n,
		       const struct digest *layer, struct err *err)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		struct place row = {
			.pack = cursor_le32(c),
			.length = cursor_le32(c),
			.offset = cursor_le64(c),
		};

		if (row.pack > used || row.pack >= p->n_packs)
			return damaged(layer, "a row names no pack", err);
		if (row.pack == used)
			used++;
		if (!row_possible(row.offset, row.length))
			return damaged(layer,
				       "a row names bytes that no pack has",
				       err);
		p->rows[p->n_rows++] = row;
	}
	if (used != p->n_packs)
		return damaged(layer, "a pack has no row", err);
	return 0;
}

int places_decode(const uint8_t *data, size_t size, const struct digest *layer,
		  struct places *ret, struct err *err)
{
	_cleanup_places_ struct places p = {0};
	struct cursor c = CURSOR_INIT(data, size);
	struct digest checksum;
	size_t packs, rows;
	bool differ;
	int r;

	r = header_decode(&c, size, layer, &packs, &rows, err);
	if (r < 0)
		return r;
	r = digest_of(data, size - DIGEST_SIZE, &checksum);
	if (r < 0)
		return err_oom(err);
	if (memcmp(checksum.bytes, data + size - DIGEST_SIZE, DIGEST_SIZE) != 0)
		return damaged(layer, "their checksum is wrong", err);
	p.packs = calloc(packs + 1, sizeof(*p.packs));
	p.rows = calloc(rows + 1, sizeof(*p.rows));
	if (!p.packs || !p.rows)
		return err_oom(err);
	p.packs_alloc = packs + 1;
	p.rows_alloc = rows + 1;
	for (; p.n_packs < packs; p.n_packs++)
		memcpy(p.packs[p.n_packs].bytes, cursor_take(&c, DIGEST_SIZE),
		       DIGEST_SIZE);
	r = packs_differ(&p, &differ);
	if (r < 0)
		return err_oom(err);
	if (!differ)
		return damaged(layer, "a pack is listed twice", err);
	r = rows_decode(&c, &p, rows, layer, err);
	if (r < 0)
		return r;
	*ret = p;
	p = (struct places){0};
	return 0;
}
