/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a backend fills in for the functions of store/store.h; included by
 * store.c and the backends alone. store.c has checked every key and prefix
 * before it calls, so backends see only components of [A-Za-z0-9._+=@-] that do
 * not begin with a dot: names that begin with one are the backends' own.
 */

#include "store/condemned.h"
#include "store/layout.h"
#include "store/store.h"

enum store_write {
	STORE_WRITE_PUT,     /* same key and size there already: done */
	STORE_WRITE_CREATE,  /* -EEXIST when it is there */
	STORE_WRITE_REPLACE, /* whatever is there */
};

struct store_ops {
	void (*free)(struct store *s);
	int (*get)(struct store *s, const char *key, size_t max, struct buf *b,
		   struct err *err);
	int (*get_range)(struct store *s, const char *key, uint64_t offset,
			 size_t length, void *data, struct err *err);
	int (*size)(struct store *s, const char *key, uint64_t *ret,
		    struct err *err);
	int (*write)(struct store *s, const char *key, const void *data,
		     size_t size, enum store_write how, struct err *err);
	int (*read_record)(struct store *s, const char *key, size_t max,
			   struct buf *b, struct store_tag *ret,
			   struct err *err);
	int (*swap_record)(struct store *s, const char *key,
			   const struct store_tag *tag, const void *data,
			   size_t size, struct store_tag *ret, struct err *err);
	int (*upload_new)(struct store *s, uint64_t size_hint,
			  struct store_upload **ret, struct err *err);
	int (*upload_add)(struct store_upload *u, const void *data, size_t size,
			  struct err *err);
	/* Does not free u. */
	int (*upload_finish)(struct store_upload *u, const char *key,
			     struct err *err);
	void (*upload_free)(struct store_upload *u);
	/* prefix comes without its slash; levels is that of store_list_all(),
	 * 0 for store_list(). */
	int (*list)(struct store *s, const char *prefix, unsigned int levels,
		    store_key_fn fn, void *ctx, struct err *err);
	int (*list_names)(struct store *s, const char *prefix, store_key_fn fn,
			  void *ctx, struct err *err);
	int (*remove)(struct store *s, const char *key, struct err *err);
	/* prefix comes without its slash. NULL where removing is durable. */
	int (*sync_removed)(struct store *s, const char *prefix,
			    struct err *err);
	/* prefix comes without its slash. NULL where there is nothing to it. */
	int (*drop)(struct store *s, const char *prefix, struct err *err);
	/* NULL where nothing can be left behind. */
	int (*tidy)(struct store *s, uint64_t *files, uint64_t *bytes,
		    struct err *err);
};

#define STORE_ID_SIZE 37 /* UUID text with its NUL */

/* First member of every backend's own structure. */
struct store {
	const struct store_ops *ops;
	char *name;
	char id[STORE_ID_SIZE];
	struct condemned condemned; /* see condemned_init() */
};

/* First member of every backend's own upload. */
struct store_upload {
	struct store *store;
};

/* Whether name may stand between two slashes of a key. */
bool store_component_valid(const char *name);

/* layerd.json, the object that makes a space of keys a store. */
#define STORE_CONFIG_KEY "layerd.json"
#define STORE_CONFIG_MAX (64u << 10)

/* Appends the contents for a new store with a random id. */
int store_config_encode(struct buf *b, struct err *err);

/* Checks the contents and takes the id. -EBADMSG with a sentence that begins
 * with the store's name. */
int store_config_decode(const struct buf *b, const char *name,
			char id[static STORE_ID_SIZE], struct err *err);
