/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The keys of a store, relative paths in a directory, are the same for every
 * backend:
 *
 *   layerd.json               format, chunking parameters, id of the store
 *   blobs/sha256/HEX          manifests and configs of versions, layer objects
 *   layers/HEX/places         where the chunks of a layer are; HEX is the
 *                             digest of its tarball
 *   packs/HH/HEX              packs; HH are the first two digits of HEX
 *   volumes/NAME/head.json    newest version, tags and lease of a volume
 *   volumes/NAME/SEQUENCE     digest of that version: written once; "removed"
 *                             when it was removed
 *   damaged/HEX               a mark for packs/HH/HEX
 *   gc/HOST                   what that host is about to delete, a key a line
 *
 * volumes/ is made with the store, before anything else, as all that is named
 * nowhere below it is deleted some time.
 *
 * Each object is named by the SHA-256 of its bytes, except for places and what
 * is below volumes, damaged and gc, so a reader can tell whether it is whole.
 * An object appears whole or not at all, and all that it refers to is there
 * before it.
 */

#include "util/digest.h"

#include <stdbool.h>
#include <stdint.h>

#define STORE_KEY_MAX 256

/* Each fills key and returns it. */
char *store_key_blob(char key[static STORE_KEY_MAX], const struct digest *d);
char *store_key_pack(char key[static STORE_KEY_MAX], const struct digest *d);
char *store_key_places(char key[static STORE_KEY_MAX],
		       const struct digest *tar);
/* A mark: the pack is damaged, and no new layer may take chunks from it. */
char *store_key_damaged(char key[static STORE_KEY_MAX],
			const struct digest *pack);
char *store_key_head(char key[static STORE_KEY_MAX], const char *volume);
/* The digest that a key ends in. -EINVAL. */
int store_key_digest(const char *key, struct digest *ret);
char *store_key_sequence(char key[static STORE_KEY_MAX], const char *volume,
			 uint64_t sequence);
/* What a host is about to delete. */
char *store_key_tombstones(char key[static STORE_KEY_MAX], const char *host);

/* "volumes/NAME/", below which a volume is. */
char *store_prefix_volume(char prefix[static STORE_KEY_MAX],
			  const char *volume);

/* What versions are made of, and what a collector may therefore remove. */
enum store_kind {
	STORE_BLOB,  /* manifest, config, layer object */
	STORE_LAYER, /* all of layers/<tar hex>/ */
	STORE_PACK,
};

/* Which of them a key is of, if any. */
bool store_key_parse(const char *key, enum store_kind *ret_kind,
		     struct digest *ret);
