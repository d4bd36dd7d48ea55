/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The one place that spells a store's keys. A name that would not fit makes the
 * empty key, which every store function refuses, never a shortened one that
 * could be another object's.
 */

#include "store/layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static char *make(char key[static STORE_KEY_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static char *make(char key[static STORE_KEY_MAX], const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(key, STORE_KEY_MAX, format, ap);
	va_end(ap);
	if (n < 0 || n >= STORE_KEY_MAX)
		key[0] = 0;
	return key;
}

char *store_key_blob(char key[static STORE_KEY_MAX], const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE];

	return make(key, "blobs/sha256/%s", digest_hex(d, hex));
}

char *store_key_pack(char key[static STORE_KEY_MAX], const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(d, hex);
	return make(key, "packs/%.2s/%s", hex, hex);
}

char *store_key_places(char key[static STORE_KEY_MAX], const struct digest *tar)
{
	char hex[DIGEST_HEX_SIZE];

	return make(key, "layers/%s/places", digest_hex(tar, hex));
}

char *store_key_damaged(char key[static STORE_KEY_MAX],
			const struct digest *pack)
{
	char hex[DIGEST_HEX_SIZE];

	return make(key, "damaged/%s", digest_hex(pack, hex));
}

char *store_key_head(char key[static STORE_KEY_MAX], const char *volume)
{
	return make(key, "volumes/%s/head.json", volume);
}

char *store_key_sequence(char key[static STORE_KEY_MAX], const char *volume,
			 uint64_t sequence)
{
	return make(key, "volumes/%s/%" PRIu64, volume, sequence);
}

int store_key_digest(const char *key, struct digest *ret)
{
	const char *name = strrchr(key, '/');

	return name ? digest_parse(name + 1, ret) : -EINVAL;
}
