/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How people name a version:
 *
 *   NAME             the newest version of a volume
 *   NAME@7           its 7th
 *   NAME:TAG         the one a tag stands for
 *   sha256:HEX       a version by its digest, 64 hex digits; "sha256:" may be
 *                    left out then, or the digits cut to 8 or more
 *
 * NAME is [a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?, TAG is the OCI distribution
 * specification's [A-Za-z0-9_][A-Za-z0-9._-]{0,127}.
 */

#include "util/digest.h"
#include "util/error.h"

#include <stdint.h>

#define VOLUME_NAME_MAX 128
#define TAG_NAME_MAX 128
#define REFERENCE_PREFIX_MIN 8

/* The largest integer that JSON readers keep exact (RFC 8259, section 6). */
#define SEQUENCE_MAX ((1ULL << 53) - 1)

enum reference_kind {
	REFERENCE_NEWEST,	 /* volume */
	REFERENCE_SEQUENCE,	 /* volume, sequence */
	REFERENCE_TAG,		 /* volume, tag */
	REFERENCE_DIGEST,	 /* digest */
	REFERENCE_DIGEST_PREFIX, /* prefix */
};

/* Only the fields that kind names are set. */
struct reference {
	enum reference_kind kind;
	char volume[VOLUME_NAME_MAX + 1];
	uint64_t sequence;
	char tag[TAG_NAME_MAX + 1];
	struct digest digest;
	char prefix[DIGEST_HEX_SIZE]; /* 8 to 63 lower-case hex digits */
};

/* -EINVAL with a sentence that quotes s, says which rule it breaks, and shows
 * what is right. */
int reference_parse(const char *s, struct reference *ret, struct err *err);

/*
 * The same for a name alone. What a reference would read as a digest is no name
 * for a volume: "sha256", and 64 hex digits.
 */
int volume_name_check(const char *name, struct err *err);
int tag_name_check(const char *name, struct err *err);

/* A sequence number: 1 to SEQUENCE_MAX, decimal, no leading zero. -EINVAL
 * without a text. */
int sequence_parse(const char *s, uint64_t *ret);
