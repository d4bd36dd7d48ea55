/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From words on a command line to what the API wants. */

#include "util/error.h"

#include <jansson.h>
#include <stdbool.h>

/* Whether a TARGET is meant as a path: it has a '/', is "." or "..", or names a
 * mount point in the working directory. */
bool target_is_path(const char *word);

/* The same where REF:PATH may stand as well, whose ':' comes before any '/'. */
bool target_is_place(const char *word);

/*
 * A Target for a volume's name or a path. A path is resolved here, where the
 * caller's working directory and mounts are. -ENOENT, -EINVAL and others.
 */
int target_make(const char *word, json_t **ret, struct err *err);

/* The absolute path without symbolic links, which exists; free() it. */
int target_resolve(const char *path, char **ret, struct err *err);

/* A path as the API wants it, see util/escape.h; NULL without memory. */
json_t *target_path_json(const char *path);

/*
 * The PATH of a command that looks into a layer: as `layer ls` prints it or as
 * it is; leading "/" and "./" and slashes at the end do not matter. NULL
 * without memory.
 */
json_t *target_layer_path(const char *word);

/* The labels of all --label options as an object, NULL without any in *ret. */
struct args;
int target_labels(const struct args *a, json_t **ret, struct err *err);

/* Adds one label, written KEY=VALUE. -EINVAL, also when it is there already. */
int target_add_label(json_t *labels, const char *word, struct err *err);

/* The number behind --limit, NULL without one in *ret. */
int target_limit(const struct args *a, json_t **ret, struct err *err);
