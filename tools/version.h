/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A Version of the API, for people. */

#include <jansson.h>
#include <stdint.h>

/* "sha256:" and 12 digits into text; returns text. */
#define VERSION_SHORT_MAX 24
char *version_short(const char *digest, char text[static VERSION_SHORT_MAX]);

/* One line, as in a log; width is that of the reference's column. */
void version_print_line(const json_t *version, int width);

/* All that there is. */
void version_print(const json_t *version);

/* "1 file", "42 files" into text; returns text. */
#define VERSION_COUNT_MAX 48
char *version_count(uint64_t n, const char *noun,
		    char text[static VERSION_COUNT_MAX]);
