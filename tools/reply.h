/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Members of a reply, forgiving: what is missing or of another type reads as
 * empty. The result is shown, not acted on. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

static inline const char *reply_string(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* NULL instead of "". */
static inline const char *reply_optional(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s && *s ? s : NULL;
}

static inline int64_t reply_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static inline uint64_t reply_size(const json_t *o, const char *key)
{
	int64_t v = reply_int(o, key);

	return v < 0 ? 0 : (uint64_t)v;
}

static inline bool reply_bool(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}
