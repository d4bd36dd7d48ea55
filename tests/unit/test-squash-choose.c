/* SPDX-License-Identifier: Apache-2.0 */

/* Which layers of a stack are squashed: room is made, large bases stay, and no
 * byte is rewritten often, whatever the sizes of 10,000 commits. */

#include "util/cleanup.h"
#include "volume/squash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COMMITS 10000
#define TAR_MIN 1536 /* a header and the end of the archive */

struct commit {
	uint64_t size;
	unsigned int rewritten; /* how often its bytes were */
};

/* A stack in which each layer holds a run of commits. */
struct stack {
	struct version_layer layers[VERSION_LAYERS_MAX + 1];
	size_t first[VERSION_LAYERS_MAX + 1]; /* commit of each layer */
	size_t n;
	struct commit commits[COMMITS];
	size_t n_commits;
	uint64_t total, rewritten, least;
};

static void squash(struct stack *s)
{
	size_t keep = squash_choose(s->layers, s->n);
	uint64_t size = 0;

	/* It makes room. */
	assert_true(keep + 2 <= s->n);
	for (size_t i = keep; i < s->n; i++)
		size += s->layers[i].tar_size;
	for (size_t i = s->first[keep]; i < s->n_commits; i++)
		s->commits[i].rewritten++;
	s->layers[keep].tar_size = size;
	s->rewritten += size;
	s->n = keep + 1;
}

static void commit(struct stack *s, uint64_t size)
{
	size = MAX(size, (uint64_t)TAR_MIN);
	s->least = s->n_commits ? MIN(s->least, size) : size;
	s->total += size;
	s->first[s->n] = s->n_commits;
	s->layers[s->n++].tar_size = size;
	s->commits[s->n_commits++] = (struct commit){.size = size};
	if (s->n > VERSION_LAYERS_MAX)
		squash(s);
	assert_true(s->n <= VERSION_LAYERS_MAX);
}

/* A layer that is rewritten grows by half, but for the first time. */
static unsigned int growths(uint64_t from, uint64_t to)
{
	unsigned int n = 1;

	for (; from < to; from += from / 2)
		n++;
	return n;
}

static void assert_bounded(const struct stack *s, const char *what)
{
	for (size_t i = 0; i < s->n_commits; i++) {
		const struct commit *c = &s->commits[i];

		if (c->rewritten > growths(c->size, s->total))
			fail_msg("%s: commit %zu of %llu bytes was rewritten "
				 "%u times",
				 what, i, (unsigned long long)c->size,
				 c->rewritten);
	}
	if (s->rewritten > s->total * growths(s->least, s->total))
		fail_msg("%s: %llu bytes were rewritten for %llu", what,
			 (unsigned long long)s->rewritten,
			 (unsigned long long)s->total);
}

static uint64_t seed;

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

/* Between 2^low and 2^high, each power as likely as another. */
static uint64_t spread(unsigned int low, unsigned int high)
{
	unsigned int bits = low + (unsigned int)(next() % (high - low));

	return (1ULL << bits) + next() % (1ULL << bits);
}

static uint64_t equal(size_t i)
{
	(void)i;
	return 10240;
}

static uint64_t even(size_t i)
{
	(void)i;
	return next() % (1 << 20);
}

static uint64_t any_power(size_t i)
{
	(void)i;
	return spread(10, 34);
}

static uint64_t mostly_tiny(size_t i)
{
	(void)i;
	return next() % 100 ? spread(10, 13) : spread(25, 33);
}

/* As many large layers as a stack holds, and tiny commits on top. */
static uint64_t large_then_tiny(size_t i)
{
	return i < VERSION_LAYERS_MAX - 1 ? 100 << 20 : 10240;
}

static uint64_t image_then_work(size_t i)
{
	return i < 25 ? spread(20, 28) : spread(11, 18);
}

static uint64_t falling(size_t i)
{
	return i < 3000 ? (3000 - i) << 20 : 2000;
}

static uint64_t rising(size_t i)
{
	return i * 100;
}

/* Powers of three down to the least, as far as they go; then the least. */
static uint64_t tower(size_t i)
{
	uint64_t size = TAR_MIN;

	for (size_t n = i % 3000; n < 20; n++)
		size *= 3;
	return size;
}

/* Spells of commits of one size, as work and its tools change. */
static uint64_t spells(size_t i)
{
	static uint64_t size;

	if (i == 0 || next() % 40 == 0)
		size = spread(10, 34);
	return size + next() % size;
}

static void test_no_byte_is_rewritten_often(void **state)
{
	static const struct {
		uint64_t (*size)(size_t i);
		const char *name;
	} lives[] = {
		{equal, "equal"},
		{even, "even"},
		{any_power, "any power"},
		{mostly_tiny, "mostly tiny"},
		{large_then_tiny, "large, then tiny"},
		{image_then_work, "image, then work"},
		{falling, "falling"},
		{rising, "rising"},
		{tower, "tower"},
		{spells, "spells"},
	};
	_cleanup_free_ struct stack *s = malloc(sizeof(*s));

	(void)state;
	assert_non_null(s);
	for (size_t life = 0; life < ARRAY_SIZE(lives); life++) {
		*s = (struct stack){0};
		seed = 88172645463325252 + life;
		for (size_t i = 0; i < COMMITS; i++)
			commit(s, lives[life].size(i));
		assert_bounded(s, lives[life].name);
	}
}

static void test_random_spells_stay_within_the_bound(void **state)
{
	_cleanup_free_ struct stack *s = malloc(sizeof(*s));

	(void)state;
	assert_non_null(s);
	for (uint64_t i = 1; i <= 60; i++) {
		*s = (struct stack){0};
		seed = i * 2654435769;
		for (size_t n = 0; n < 1500; n++)
			commit(s, spells(n));
		assert_bounded(s, "spells");
	}
}

static size_t choose(const uint64_t *sizes, size_t n)
{
	struct version_layer layers[VERSION_LAYERS_MAX + 1] = {0};

	for (size_t i = 0; i < n; i++)
		layers[i].tar_size = sizes[i];
	return squash_choose(layers, n);
}

static void test_large_bases_stay(void **state)
{
	uint64_t sizes[VERSION_LAYERS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		sizes[i] = 10000;
	sizes[0] = 10ULL << 30;
	sizes[1] = 1ULL << 30;
	sizes[2] = 3ULL << 30;
	assert_int_equal(choose(sizes, ARRAY_SIZE(sizes)), 3);
	/* A layer of twice what is above goes along, a larger one does not. */
	sizes[2] = 2 * 10000 * (ARRAY_SIZE(sizes) - 3);
	assert_int_equal(choose(sizes, ARRAY_SIZE(sizes)), 2);
	sizes[2]++;
	assert_int_equal(choose(sizes, ARRAY_SIZE(sizes)), 3);
}

static void test_two_layers_at_least_become_one(void **state)
{
	static const uint64_t two[] = {1 << 30, 1};
	uint64_t tower_of[VERSION_LAYERS_MAX + 1];

	(void)state;
	assert_int_equal(choose(two, 2), 0);
	for (size_t i = 0; i < ARRAY_SIZE(tower_of); i++)
		tower_of[i] = 1ULL << (ARRAY_SIZE(tower_of) - i) * 63 / 34;
	assert_true(choose(tower_of, ARRAY_SIZE(tower_of)) <=
		    ARRAY_SIZE(tower_of) - 2);
}

static void test_sizes_that_overflow_are_survived(void **state)
{
	uint64_t sizes[VERSION_LAYERS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		sizes[i] = UINT64_MAX - i;
	assert_true(choose(sizes, ARRAY_SIZE(sizes)) <= ARRAY_SIZE(sizes) - 2);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		sizes[i] = 0;
	assert_int_equal(choose(sizes, ARRAY_SIZE(sizes)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_byte_is_rewritten_often),
		cmocka_unit_test(test_random_spells_stay_within_the_bound),
		cmocka_unit_test(test_large_bases_stay),
		cmocka_unit_test(test_two_layers_at_least_become_one),
		cmocka_unit_test(test_sizes_that_overflow_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
