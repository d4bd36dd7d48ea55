/* SPDX-License-Identifier: Apache-2.0 */
#include "suggest.h"

#include "util/nearest.h"

#include <string.h>

const char *suggest_command(const struct command *const *commands,
			    const char *name)
{
	struct nearest nearest;

	nearest_init(&nearest, name);
	for (; *commands; commands++) {
		const char *known = (*commands)->name;

		if ((*commands)->hidden)
			continue;
		/* The first word alone is compared with the first word. */
		nearest_offer_start(&nearest, known,
				    strchr(name, ' ') ? strlen(known)
						      : strcspn(known, " "));
	}
	return nearest.found;
}
