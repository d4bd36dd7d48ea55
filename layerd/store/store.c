/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The door to every backend: checks keys, so that no backend ever sees one that
 * leads elsewhere, and passes on.
 */

#include "store/store.h"

#include "store/store-backend.h"
#include "util/cleanup.h"

#include <errno.h>

bool store_component_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._+=@-";
	size_t n = strlen(name);

	return n > 0 && n <= 255 && name[0] != '.' &&
	       strspn(name, allowed) == n;
}

static bool key_valid(const char *key)
{
	char copy[STORE_KEY_MAX];
	size_t n = strlen(key);
	char *name = copy;

	if (n >= sizeof(copy))
		return false;
	memcpy(copy, key, n + 1);
	for (;;) {
		char *slash = strchr(name, '/');

		if (slash)
			*slash = 0;
		if (!store_component_valid(name))
			return false;
		if (!slash)
			return true;
		name = slash + 1;
	}
}

static int check_key(const struct store *s, const char *key, struct err *err)
{
	if (key_valid(key))
		return 0;
	return err_set(err, EINVAL,
		       "\"%.128s\" cannot be the key of an object in store %s",
		       key, s->name);
}

/* The prefix without its slash, in path. */
static int check_prefix(const struct store *s, const char *prefix,
			char path[static STORE_KEY_MAX], struct err *err)
{
	size_t n = strlen(prefix);

	if (n > 1 && n <= STORE_KEY_MAX && prefix[n - 1] == '/') {
		memcpy(path, prefix, n - 1);
		path[n - 1] = 0;
		if (key_valid(path))
			return 0;
	}
	return err_set(err, EINVAL,
		       "\"%.128s\" cannot be a prefix of keys in store %s",
		       prefix, s->name);
}

struct store *store_free(struct store *s)
{
	if (s)
		s->ops->free(s);
	return NULL;
}

void store_freep(struct store **s)
{
	*s = store_free(*s);
}

const char *store_id(const struct store *s)
{
	return s->id;
}

const char *store_name(const struct store *s)
{
	return s->name;
}

int store_check(struct store *s, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char id[STORE_ID_SIZE];
	int r = s->ops->get(s, STORE_CONFIG_KEY, STORE_CONFIG_MAX, &b, err);

	if (r == -ENOENT)
		return err_set(err, EBADMSG,
			       "%s: " STORE_CONFIG_KEY
			       " is missing; restore the file",
			       s->name);
	if (r == 0)
		r = store_config_decode(&b, s->name, id, err);
	if (r < 0 || strcmp(id, s->id) == 0)
		return r;
	return err_set(err, EBADMSG,
		       "%s: " STORE_CONFIG_KEY
		       " is that of another store; restore the file",
		       s->name);
}

int store_get(struct store *s, const char *key, size_t max, struct buf *b,
	      struct err *err)
{
	int r = check_key(s, key, err);

	return r < 0 ? r : s->ops->get(s, key, max, b, err);
}

int store_get_range(struct store *s, const char *key, uint64_t offset,
		    size_t length, void *data, struct err *err)
{
	int r = check_key(s, key, err);

	if (r < 0)
		return r;
	return s->ops->get_range(s, key, offset, length, data, err);
}

int store_size(struct store *s, const char *key, uint64_t *ret, struct err *err)
{
	int r = check_key(s, key, err);

	return r < 0 ? r : s->ops->size(s, key, ret, err);
}

static int write_object(struct store *s, const char *key, const void *data,
			size_t size, enum store_write how, struct err *err)
{
	int r = check_key(s, key, err);

	if (r < 0)
		return r;
	condemned_take_back(&s->condemned, key);
	return s->ops->write(s, key, data, size, how, err);
}

int store_put(struct store *s, const char *key, const void *data, size_t size,
	      struct err *err)
{
	return write_object(s, key, data, size, STORE_WRITE_PUT, err);
}

int store_create(struct store *s, const char *key, const void *data,
		 size_t size, struct err *err)
{
	return write_object(s, key, data, size, STORE_WRITE_CREATE, err);
}

int store_replace(struct store *s, const char *key, const void *data,
		  size_t size, struct err *err)
{
	return write_object(s, key, data, size, STORE_WRITE_REPLACE, err);
}

int store_read_record(struct store *s, const char *key, size_t max,
		      struct buf *b, struct store_tag *ret, struct err *err)
{
	int r = check_key(s, key, err);

	return r < 0 ? r : s->ops->read_record(s, key, max, b, ret, err);
}

int store_swap_record(struct store *s, const char *key,
		      const struct store_tag *tag, const void *data,
		      size_t size, struct store_tag *ret, struct err *err)
{
	int r = check_key(s, key, err);

	if (r < 0)
		return r;
	return s->ops->swap_record(s, key, tag, data, size, ret, err);
}

int store_upload_new(struct store *s, uint64_t size_hint,
		     struct store_upload **ret, struct err *err)
{
	return s->ops->upload_new(s, size_hint, ret, err);
}

int store_upload_add(struct store_upload *u, const void *data, size_t size,
		     struct err *err)
{
	return u->store->ops->upload_add(u, data, size, err);
}

int store_upload_finish(struct store_upload *u, const char *key,
			struct err *err)
{
	int r = check_key(u->store, key, err);

	if (r == 0) {
		condemned_take_back(&u->store->condemned, key);
		r = u->store->ops->upload_finish(u, key, err);
	}
	store_upload_free(u);
	return r;
}

struct store_upload *store_upload_free(struct store_upload *u)
{
	if (u)
		u->store->ops->upload_free(u);
	return NULL;
}

void store_upload_freep(struct store_upload **u)
{
	*u = store_upload_free(*u);
}

int store_list(struct store *s, const char *prefix, store_key_fn fn, void *ctx,
	       struct err *err)
{
	char path[STORE_KEY_MAX];
	int r = check_prefix(s, prefix, path, err);

	return r < 0 ? r : s->ops->list(s, path, 0, fn, ctx, err);
}

int store_list_all(struct store *s, const char *prefix, unsigned int levels,
		   store_key_fn fn, void *ctx, struct err *err)
{
	char path[STORE_KEY_MAX];
	int r = check_prefix(s, prefix, path, err);

	return r < 0 ? r : s->ops->list(s, path, levels, fn, ctx, err);
}

int store_list_names(struct store *s, const char *prefix, store_key_fn fn,
		     void *ctx, struct err *err)
{
	char path[STORE_KEY_MAX];
	int r = check_prefix(s, prefix, path, err);

	return r < 0 ? r : s->ops->list_names(s, path, fn, ctx, err);
}

int store_remove(struct store *s, const char *key, struct err *err)
{
	int r = check_key(s, key, err);

	return r < 0 ? r : s->ops->remove(s, key, err);
}

int store_sync_removed(struct store *s, const char *prefix, struct err *err)
{
	char path[STORE_KEY_MAX];
	int r = check_prefix(s, prefix, path, err);

	if (r < 0 || !s->ops->sync_removed)
		return r;
	return s->ops->sync_removed(s, path, err);
}

int store_drop(struct store *s, const char *prefix, struct err *err)
{
	char path[STORE_KEY_MAX];
	int r = check_prefix(s, prefix, path, err);

	return r < 0 || !s->ops->drop ? r : s->ops->drop(s, path, err);
}

int store_tidy(struct store *s, uint64_t *files, uint64_t *bytes,
	       struct err *err)
{
	return s->ops->tidy ? s->ops->tidy(s, files, bytes, err) : 0;
}

struct condemned *store_condemned(struct store *s)
{
	return &s->condemned;
}
