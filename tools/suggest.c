/* SPDX-License-Identifier: Apache-2.0 */
#include "suggest.h"

#include "util/cleanup.h"

#include <stdint.h>

#define WORD_MAX 32

/*
 * How many single changes make b of a: characters added, removed, replaced, or
 * swapped with their neighbour (optimal string alignment distance).
 */
static unsigned int distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned int rows[3][WORD_MAX + 1];

	if (n > WORD_MAX || m > WORD_MAX)
		return UINT32_MAX;
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

const char *suggest_command(const struct command *const *commands,
			    const char *name)
{
	size_t n = strlen(name);
	unsigned int best = (unsigned int)MIN(n / 3 + 1, 3);
	const char *like = NULL;

	for (; *commands; commands++) {
		const char *known = (*commands)->name;
		/* The first word alone is compared with the first word. */
		size_t m =
			strchr(name, ' ') ? strlen(known) : strcspn(known, " ");
		unsigned int d = distance(name, n, known, m);

		if ((*commands)->hidden)
			continue;
		if (d < best || (d == best && !like)) {
			best = d;
			like = known;
		}
	}
	return like;
}
