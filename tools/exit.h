/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Exit statuses, a part of the tool's interface, and the errors behind them. */

#include <stdio.h>

#define EXIT_USAGE 2

/* The status for a negative errno as functions return it; 0 for 0. */
int exit_status(int code);

/* The name of an error for JSON: the API's, or io.layerd.Unreachable and
 * io.layerd.DamageRemains, which are the tool's own. */
const char *exit_error_name(int code);

/* What the i-th row of the table means, NULL behind the last. A status that has
 * several meanings is in as many rows that follow each other. */
const char *exit_meaning(size_t i, int *ret_status);

/* One line per status, for help. */
void exit_describe(FILE *f);
