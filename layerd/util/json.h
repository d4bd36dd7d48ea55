/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * JSON texts of libjansson, exact also when memory runs out. By itself it then
 * calls what it reads a syntax error or leaves a byte out of a string, and
 * leaves keys out of a text that it writes (seen with 2.14).
 */

#include "util/buf.h"

#include <jansson.h>

/* Appends value, and a NUL behind it that does not count. -ENOMEM leaves the
 * contents as they were. flags are those of json_dumps(). */
int buf_add_json(struct buf *b, const json_t *value, size_t flags);

/*
 * Parses one object; a key that comes twice is an error. -EBADMSG, error (may
 * be NULL) then says why; it is empty for what is no object. -ENOMEM.
 */
int json_parse_object(const void *data, size_t size, json_t **ret,
		      json_error_t *error);

/* r, or -ENOMEM for -EBADMSG when libjansson has run out of memory in this
 * thread since json_parse_object(): json_unpack() needs some, too. */
int json_outcome(int r);
