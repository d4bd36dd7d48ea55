/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * REF:PATH, a place inside a version. PATH begins behind the colon that cannot
 * be part of the reference: "data@3:etc", "data:stable:etc",
 * "sha256:0123abcd:etc". Behind a bare name, where a colon means a tag, it
 * begins with a slash: "data:/etc".
 */

#include "util/error.h"

#include <jansson.h>
#include <stdbool.h>

struct inside {
	char *reference;
	json_t *path; /* as the API wants it: escaped, "" is the root */
	bool has_path;
};

#define _cleanup_inside_ __attribute__((cleanup(inside_release)))
void inside_release(struct inside *i);

/* Takes a word apart. -ENOMEM; -EINVAL for a reference that is not UTF-8. */
int inside_parse(const char *word, struct inside *ret, struct err *err);
