/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a seal has to write, in layer order: a list of names, each pointing at
 * its directory. Sixteen bytes and the name for each; directories are all
 * listed, other objects only when they changed.
 */

#include "util/buf.h"
#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANGE_ROOT 0u
#define CHANGE_NONE UINT32_MAX

enum change_kind {
	CHANGE_DIRECTORY,
	CHANGE_OBJECT, /* anything that is not a directory */
	CHANGE_WHITEOUT,
};

enum change_flags {
	CHANGE_NEEDED = 1 << 0, /* goes into the layer */
	CHANGE_MERGED = 1 << 1, /* read through the merged mount */
	CHANGE_OPAQUE = 1 << 2,
	CHANGE_KNOWN = 1 << 3,	/* an earlier seal captured this name */
	CHANGE_LINKED = 1 << 4, /* has several names */
	CHANGE_GONE = 1 << 5,	/* a directory that vanished since the scan */
};

struct change {
	uint32_t parent; /* CHANGE_NONE for the root */
	uint32_t name;	 /* offset in names, NUL-terminated */
	uint8_t kind;
	uint8_t flags;
	uint64_t captured; /* record in the new capture, 0 if none */
};

struct changes {
	struct change *items;
	size_t n, alloc;
	struct buf names;
	uint64_t needed;  /* items that go into the layer */
	uint64_t changed; /* of those, what is not a directory */
	uint64_t sockets; /* left out */
	uint64_t scanned; /* objects looked at */
	uint64_t bytes;	  /* of the files that changed, as they were scanned */
	bool has_links;	  /* some needed object is CHANGE_LINKED */
};

#define CHANGES_INIT                                                           \
	(struct changes)                                                       \
	{                                                                      \
		0                                                              \
	}
#define _cleanup_changes_ __attribute__((cleanup(changes_release)))
void changes_release(struct changes *c);

/* Appends an item behind all there are. -ENOMEM. */
int changes_add(struct changes *c, uint32_t parent, const char *name,
		enum change_kind kind, uint8_t flags, uint64_t captured,
		uint32_t *ret);

/* Marks an item and the directories above it. */
void changes_need(struct changes *c, uint32_t item);

static inline const char *change_name(const struct changes *c, uint32_t item)
{
	return (const char *)c->names.data + c->items[item].name;
}

/* Replaces b with the item's path and a NUL that is not counted. */
int change_path(const struct changes *c, uint32_t item, struct buf *b);
