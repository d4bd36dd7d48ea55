/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The word that was most likely meant: "did you mean". */

#include <stddef.h>

struct nearest {
	const char *word;
	size_t length;
	unsigned int most; /* changes that what is found may be away */
	const char *found; /* borrowed; NULL: none is near */
};

/* word is borrowed. The longer it is, the more may be wrong with it. */
void nearest_init(struct nearest *n, const char *word);

/* Of words that are equally near the first counts; word itself never does.
 * Words of more than 128 bytes are near none. */
void nearest_offer(struct nearest *n, const char *known);

/* The same for the first length bytes of known, which the rest goes with. */
void nearest_offer_start(struct nearest *n, const char *known, size_t length);
