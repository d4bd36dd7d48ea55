/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * s in double quotes with whatever is not printable ASCII, '"' and '\' as \xHH,
 * cut to fit and then ending in "...": how an error shows input that may be
 * anything, without allocating. Returns out.
 */
#define QUOTE_SIZE 84
char *quote_text(const char *s, char out[static QUOTE_SIZE]);
