/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SHA-256 digests and the streaming hasher (libcrypto, FIPS 180-4). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DIGEST_SIZE 32
#define DIGEST_HEX_SIZE 65 /* with the NUL */

struct digest {
	uint8_t bytes[DIGEST_SIZE];
};

/* Lower-case hex with NUL into hex; returns hex. */
char *digest_hex(const struct digest *d, char hex[static DIGEST_HEX_SIZE]);

/* Exactly 64 lower-case hex digits, with or without "sha256:". -EINVAL. */
int digest_parse(const char *s, struct digest *ret);

/* The digest of size bytes at data. 0, or -ENOMEM. */
int digest_of(const void *data, size_t size, struct digest *ret);

static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, DIGEST_SIZE) == 0;
}

static inline uint64_t digest_hash(const struct digest *d)
{
	uint64_t h;

	memcpy(&h, d->bytes, sizeof(h));
	return h;
}

struct hasher;

/* A hasher for one stream; -ENOMEM. */
int hasher_new(struct hasher **ret);
struct hasher *hasher_free(struct hasher *h);
void hasher_freep(struct hasher **h);

/* Starts over. */
void hasher_reset(struct hasher *h);
void hasher_add(struct hasher *h, const void *data, size_t size);

/* Makes to continue from where from stands. -ENOMEM; to is of no use then but
 * to be copied over or freed. */
int hasher_copy(struct hasher *to, const struct hasher *from);

/* The digest of all that was added; reset before the next use. */
void hasher_finish(struct hasher *h, struct digest *ret);
