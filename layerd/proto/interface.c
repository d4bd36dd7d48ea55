/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/interface.h"

#include <string.h>

const char *const interface_names[] = {
	"org.varlink.service",
	"io.layerd",
	NULL,
};

/* In the order of interface_names. */
static const char *const descriptions[] = {
#include "proto/org.varlink.service.inc"
	,
#include "proto/io.layerd.inc"
};

const char *interface_description(const char *name)
{
	for (size_t i = 0; interface_names[i]; i++)
		if (strcmp(interface_names[i], name) == 0)
			return descriptions[i];
	return NULL;
}
