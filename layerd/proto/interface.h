/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The interface files, compiled in, so that org.varlink.service can serve
 * them: what documents the API is what answers.
 */

#include <stddef.h>

/* Names of the interfaces, ended by NULL. */
extern const char *const interface_names[];

/* The text of the interface file called name; NULL for a name not known. */
const char *interface_description(const char *name);
