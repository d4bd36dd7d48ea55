/* SPDX-License-Identifier: Apache-2.0 */
#include "util/nearest.h"

#include "util/cleanup.h"

#include <stdint.h>
#include <string.h>

#define WORD_MAX 128
#define CHANGES_MAX 3

/*
 * How many single changes make b of a: characters added, removed, replaced, or
 * swapped with their neighbour (optimal string alignment distance).
 */
static unsigned int distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned int rows[3][WORD_MAX + 1];

	for (size_t j = 0; j <= m; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned int *row = rows[i % 3], *above = rows[(i - 1) % 3];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned int best =
				above[j - 1] + (a[i - 1] != b[j - 1]);

			best = MIN(best, above[j] + 1);
			best = MIN(best, row[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				best = MIN(best, rows[(i - 2) % 3][j - 2] + 1);
			row[j] = best;
		}
	}
	return rows[n % 3][m];
}

void nearest_init(struct nearest *n, const char *word)
{
	size_t length = strlen(word);

	*n = (struct nearest){
		.word = word,
		.length = length,
		.most = (unsigned int)MIN(length / 3 + 1, CHANGES_MAX),
	};
}

void nearest_offer_start(struct nearest *n, const char *known, size_t length)
{
	size_t longer = MAX(length, n->length);
	size_t shorter = MIN(length, n->length);
	unsigned int d;

	/* So many changes at least make up for the lengths. */
	if (longer > WORD_MAX || longer - shorter > n->most)
		return;
	d = distance(n->word, n->length, known, length);
	/* Of one letter another is no likely mistake. */
	if (d == 0 || d >= longer)
		return;
	if (d < n->most || (d == n->most && !n->found)) {
		n->most = d;
		n->found = known;
	}
}

void nearest_offer(struct nearest *n, const char *known)
{
	nearest_offer_start(n, known, strlen(known));
}
