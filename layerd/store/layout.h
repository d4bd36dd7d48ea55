/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The keys of a store; the same for every backend (DESIGN, "Store layout"). */

#include "util/digest.h"

#include <stdint.h>

#define STORE_KEY_MAX 256

/* Each fills key and returns it. */
char *store_key_blob(char key[static STORE_KEY_MAX], const struct digest *d);
char *store_key_pack(char key[static STORE_KEY_MAX], const struct digest *d);
char *store_key_places(char key[static STORE_KEY_MAX],
		       const struct digest *tar);
char *store_key_head(char key[static STORE_KEY_MAX], const char *volume);
char *store_key_sequence(char key[static STORE_KEY_MAX], const char *volume,
			 uint64_t sequence);
