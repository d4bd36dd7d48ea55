/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What encoder and decoder of a version must agree on. Media types and field
 * names are those of the OCI image specification 1.0 (manifest.md, config.md,
 * annotations.md).
 */

#include "format/manifest.h"

#define MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_LAYER "application/vnd.oci.image.layer.v1.tar"

#define KEY_PARENT "io.layerd.parent"
#define KEY_VOLUME "io.layerd.volume"
#define KEY_SEQUENCE "io.layerd.sequence"
#define KEY_OBJECTS "io.layerd.layer-objects"
#define KEY_CHANGED "io.layerd.changed"
#define KEY_ADDED "io.layerd.added"
#define KEY_CONSISTENCY "io.layerd.consistency"
#define KEY_LABEL "io.layerd.label."
#define KEY_CREATED "org.opencontainers.image.created"

/* A digest in full: "sha256:", 64 digits, NUL. */
#define NAME_SIZE (7 + DIGEST_HEX_SIZE)

#define CREATED_BY "layerd seal"

/* "2024-02-29T12:00:00.000000001Z" with the NUL. */
#define CREATED_SIZE 31

/* RFC 3339 in UTC with nine digits of a second. -EINVAL for a time that has no
 * such form: a year outside 0 to 9999, more than a second of nanoseconds. */
int created_format(int64_t seconds, uint32_t nsec,
		   char text[static CREATED_SIZE]);

/* Accepts what created_format() makes and nothing else. -EINVAL. */
int created_parse(const char *text, int64_t *ret_seconds, uint32_t *ret_nsec);

/* Empty, or a word of at most 32 characters of a-z and '-'. */
bool consistency_valid(const char *word);
