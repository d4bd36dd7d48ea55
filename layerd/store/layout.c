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
#include <string.h>

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

char *store_key_tombstones(char key[static STORE_KEY_MAX], const char *host)
{
	return make(key, "gc/%s", host);
}

char *store_prefix_volume(char prefix[static STORE_KEY_MAX], const char *volume)
{
	return make(prefix, "volumes/%s/", volume);
}

bool store_key_parse(const char *key, enum store_kind *ret_kind,
		     struct digest *ret)
{
	char hex[DIGEST_HEX_SIZE] = "";
	int end = 0;

	if (sscanf(key, "blobs/sha256/%64[0-9a-f]%n", hex, &end) == 1 &&
	    !key[end])
		*ret_kind = STORE_BLOB;
	else if (sscanf(key, "layers/%64[0-9a-f]%n", hex, &end) == 1 &&
		 key[end] == '/')
		*ret_kind = STORE_LAYER;
	else if (sscanf(key, "packs/%*2[0-9a-f]/%64[0-9a-f]%n", hex, &end) ==
			 1 &&
		 !key[end])
		*ret_kind = STORE_PACK;
	else
		return false;
	return digest_parse(hex, ret) == 0;
}
