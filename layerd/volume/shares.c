/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks are sorted by digest, so that the layers of one chunk come together.
 * Sets of layers are kept as a trie: a set is another one and a layer behind
 * it, and each has a number. There are few sets, as most chunks are in one
 * layer alone, and the bytes of all chunks of one set are counted in one place;
 * owners are looked at once a set and not once a chunk.
 */
#include "volume/shares.h"

#include "util/cleanup.h"
#include "util/table.h"

#include <errno.h>
#include <stdlib.h>

/* By the first byte of the digest: sorting needs the memory of one part twice,
 * and growing that of one part more. */
#define PARTS 256
/* Enough of a digest to tell any chunks apart. */
#define KEY_SIZE 16
#define SET_EMPTY UINT32_MAX

struct row {
	uint8_t key[KEY_SIZE];
	uint32_t layer;
	uint32_t stored;
};

struct part {
	struct row *rows;
	size_t n, alloc;
};

struct use {
	uint32_t layer, owner;
};

struct set {
	uint32_t before; /* SET_EMPTY: a set of one layer */
	uint32_t layer;
	uint64_t bytes;
};

struct shares {
	struct part parts[PARTS];
	struct use *uses;
	size_t n_uses, uses_alloc;
	struct table use_table;
	struct set *sets;
	size_t n_sets, sets_alloc;
	struct table set_table;
};

struct shares *shares_new(void)
{
	return calloc(1, sizeof(struct shares));
}

struct shares *shares_free(struct shares *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < PARTS; i++)
		free(s->parts[i].rows);
	free(s->uses);
	table_release(&s->use_table);
	free(s->sets);
	table_release(&s->set_table);
	free(s);
	return NULL;
}

void shares_freep(struct shares **s)
{
	*s = shares_free(*s);
}

/* Makes room for one more of n items of a size. */
static int grow(void **items, size_t n, size_t *alloc, size_t size)
{
	size_t more = *alloc + *alloc / 4 + 16;
	void *p;

	if (n < *alloc)
		return 0;
	p = reallocarray(*items, more, size);
	if (!p)
		return -ENOMEM;
	*items = p;
	*alloc = more;
	return 0;
}

static uint64_t pair_hash(uint32_t a, uint32_t b)
{
	return table_hash_int((uint64_t)a << 32 | b);
}

static bool equal_use(const void *key, uint32_t index, void *ctx)
{
	const struct use *use = key;
	const struct shares *s = ctx;

	return s->uses[index].layer == use->layer &&
	       s->uses[index].owner == use->owner;
}

int shares_add_layer(struct shares *s, uint32_t owner, uint32_t layer)
{
	const struct use use = {.layer = layer, .owner = owner};
	uint64_t hash = pair_hash(layer, owner);

	if (table_find(&s->use_table, hash, &use, equal_use, s) != TABLE_NONE)
		return 0;
	if (s->n_uses >= TABLE_NONE ||
	    grow((void **)&s->uses, s->n_uses, &s->uses_alloc, sizeof(use)) <
		    0 ||
	    table_add(&s->use_table, hash, (uint32_t)s->n_uses) < 0)
		return -ENOMEM;
	s->uses[s->n_uses++] = use;
	return 1;
}

int shares_add_chunk(struct shares *s, uint32_t layer,
		     const struct digest *chunk, uint32_t stored)
{
	struct part *part = &s->parts[chunk->bytes[0]];
	struct row row = {.layer = layer, .stored = stored};

	if (grow((void **)&part->rows, part->n, &part->alloc, sizeof(row)) < 0)
		return -ENOMEM;
	memcpy(row.key, chunk->bytes, KEY_SIZE);
	part->rows[part->n++] = row;
	return 0;
}

static bool equal_set(const void *key, uint32_t index, void *ctx)
{
	const struct set *set = key;
	const struct shares *s = ctx;

	return s->sets[index].before == set->before &&
	       s->sets[index].layer == set->layer;
}

/* The set of what is in before, and layer. */
static int extend_set(struct shares *s, uint32_t before, uint32_t layer,
		      uint32_t *ret)
{
	const struct set set = {.before = before, .layer = layer};
	uint64_t hash = pair_hash(before, layer);

	*ret = table_find(&s->set_table, hash, &set, equal_set, s);
	if (*ret != TABLE_NONE)
		return 0;
	if (s->n_sets >= TABLE_NONE ||
	    grow((void **)&s->sets, s->n_sets, &s->sets_alloc, sizeof(set)) <
		    0 ||
	    table_add(&s->set_table, hash, (uint32_t)s->n_sets) < 0)
		return -ENOMEM;
	*ret = (uint32_t)s->n_sets;
	s->sets[s->n_sets++] = set;
	return 0;
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = memcmp(x->key, y->key, KEY_SIZE);

	return order ? order : (x->layer > y->layer) - (x->layer < y->layer);
}

/* Adds the bytes of each chunk to its set. */
static int count_part(struct shares *s, struct part *part)
{
	size_t end;

	if (part->n)
		qsort(part->rows, part->n, sizeof(*part->rows), compare_rows);
	for (size_t i = 0; i < part->n; i = end) {
		const struct row *first = &part->rows[i];
		uint32_t set = SET_EMPTY;

		for (end = i;
		     end < part->n &&
		     memcmp(part->rows[end].key, first->key, KEY_SIZE) == 0;
		     end++) {
			const struct row *row = &part->rows[end];

			if (end > i && row->layer == row[-1].layer)
				continue;
			if (extend_set(s, set, row->layer, &set) < 0)
				return -ENOMEM;
		}
		s->sets[set].bytes += first->stored;
	}
	free(part->rows);
	*part = (struct part){0};
	return 0;
}

static int compare_uses(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	return (x->layer > y->layer) - (x->layer < y->layer);
}

/* Who needs a set: the first owner found, and how many there are. */
struct needed {
	uint32_t owner;
	uint32_t n;
};

struct sum {
	const struct shares *shares;
	uint32_t *first; /* by layer: its first use; n_layers + 1 of them */
	uint32_t n_layers;
	uint32_t *seen; /* by owner: the set it was found for last, from 1 */
	struct share *ret;
};

static struct needed add_set(struct sum *sum, uint32_t index)
{
	const struct shares *s = sum->shares;
	uint64_t bytes = s->sets[index].bytes;
	struct needed needed = {0};

	for (uint32_t i = index; i != SET_EMPTY; i = s->sets[i].before) {
		uint32_t layer = s->sets[i].layer;

		if (layer >= sum->n_layers)
			continue;
		for (uint32_t u = sum->first[layer]; u < sum->first[layer + 1];
		     u++) {
			uint32_t owner = s->uses[u].owner;

			if (sum->seen[owner] == index + 1)
				continue;
			sum->seen[owner] = index + 1;
			sum->ret[owner].stored += bytes;
			needed.owner = owner;
			needed.n++;
		}
	}
	return needed;
}

static uint64_t add_sets(struct sum *sum)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < sum->shares->n_sets; i++) {
		uint64_t bytes = sum->shares->sets[i].bytes;
		struct needed needed;

		if (!bytes)
			continue;
		needed = add_set(sum, i);
		if (needed.n)
			total += bytes;
		if (needed.n == 1)
			sum->ret[needed.owner].unique += bytes;
	}
	return total;
}

/* Where the uses of each layer begin, in the sorted list. */
static void index_uses(const struct shares *s, struct sum *sum)
{
	uint32_t at = 0;

	for (uint32_t layer = 0; layer <= sum->n_layers; layer++) {
		while (at < s->n_uses && s->uses[at].layer < layer)
			at++;
		sum->first[layer] = at;
	}
}

int shares_finish(struct shares *s, struct share *ret, uint32_t n,
		  uint64_t *ret_total)
{
	_cleanup_free_ uint32_t *first = NULL;
	_cleanup_free_ uint32_t *seen = calloc((size_t)n + 1, sizeof(*seen));
	struct sum sum = {.shares = s, .seen = seen, .ret = ret};

	if (!seen)
		return -ENOMEM;
	for (size_t i = 0; i < PARTS; i++)
		if (count_part(s, &s->parts[i]) < 0)
			return -ENOMEM;
	if (s->n_uses) {
		qsort(s->uses, s->n_uses, sizeof(*s->uses), compare_uses);
		sum.n_layers = s->uses[s->n_uses - 1].layer + 1;
	}
	first = calloc((size_t)sum.n_layers + 1, sizeof(*first));
	if (!first)
		return -ENOMEM;
	sum.first = first;
	index_uses(s, &sum);
	memset(ret, 0, n * sizeof(*ret));
	*ret_total = add_sets(&sum);
	return 0;
}
