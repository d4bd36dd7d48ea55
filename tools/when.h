/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Points in time as people write them. */

#include "util/error.h"

#include <stdint.h>

/*
 * From text to seconds since 1970, the first and the last that it means:
 *
 *   2026-11-21T13:02:11Z    one second (RFC 3339; also with an offset as
 *                           +01:00, with a blank for the T, with a fraction,
 *                           which does not matter)
 *   2026-11-21 13:02        a minute of local time
 *   2026-11-21              a day of local time
 *   90s 15m 2h 3d 1w        so long before now, one second
 *
 * -EINVAL with a sentence.
 */
int when_parse(const char *text, int64_t now, int64_t *ret_first,
	       int64_t *ret_last, struct err *err);
