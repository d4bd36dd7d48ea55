/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An Entry of the API as `tar tv` would show it. */

#include <jansson.h>
#include <stddef.h>

/* The name as it is in the tarball: directories end in '/', whiteouts are
 * ".wh.NAME". */
void entry_print_name(const json_t *entry);

/* Mode, owner, size, time, name. *width is that of owner and size together; it
 * grows as needed from line to line. */
void entry_print_line(const json_t *entry, int *width);
