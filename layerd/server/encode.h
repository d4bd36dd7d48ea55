/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The API's objects as JSON; see proto/io.layerd.varlink. NULL: no memory. */

#include "format/entry.h"
#include "volume/volume.h"

#include <jansson.h>

json_t *encode_digest(const struct digest *d);
json_t *encode_time(int64_t seconds);
json_t *encode_bytes(const char *s);

/* volume (may be NULL) and sequence (0: none) give reference, tags and the
 * labels of the volume's record. */
json_t *encode_version(const struct version *v, const struct volume *volume,
		       uint64_t sequence);
/* The same without layers, whose size is given. */
json_t *encode_brief(const struct version *v, uint64_t size,
		     const struct volume *volume, uint64_t sequence);

/* The tags of a version in a volume, which may be NULL. */
json_t *encode_tags(const struct volume *volume, const struct digest *version);
json_t *encode_entry(const struct entry *e);
/* Only its path and kind. */
json_t *encode_name(const struct entry *e);

/* "file", "directory", ... of a mode as in st_mode. */
const char *encode_kind(uint32_t mode);
