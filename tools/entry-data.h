/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The data of an Entry of the API, from the tarball that holds it. */

#include "util/error.h"

#include <jansson.h>

/* Writes a file's bytes, holes as zeros, to out. Blocks. */
int entry_data_copy(const json_t *entry, int tar_fd, int out, struct err *err);
