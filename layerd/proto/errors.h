/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The API's named errors and the errnos behind them; see util/error.h. */

#include "util/error.h"

/* "io.layerd.NotFound" for -ENOENT; "io.layerd.Failed" for all without one. */
const char *error_name(int code);

/* The negative errno for a name; -EIO for a name that is not known. */
int error_code(const char *name);
