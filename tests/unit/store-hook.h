/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A store of which a test sees what is done to its keys, at the moment it is
 * done, so that somebody else can be quicker at just that moment. */

#include "store/store-backend.h"

struct store_hook {
	/* Before and after; a negative result stands for the operation's. */
	int (*before)(const char *what, const char *key, void *ctx);
	void (*after)(const char *what, const char *key, void *ctx);
	void *ctx;
	const struct store_ops *real;
	struct store_ops ops;
};

/* Operations do not say whose they are: one at a time. */
static struct store_hook *hooked;

static inline int hook_before(const char *what, const char *key)
{
	return hooked->before ? hooked->before(what, key, hooked->ctx) : 0;
}

static inline int hook_after(const char *what, const char *key, int r)
{
	if (hooked->after)
		hooked->after(what, key, hooked->ctx);
	return r;
}

static inline int hook_get(struct store *s, const char *key, size_t max,
			   struct buf *b, struct err *err)
{
	int r = hook_before("get", key);

	if (r < 0)
		return err_errno(err, r, "the store is hooked");
	r = hooked->real->get(s, key, max, b, err);
	return hook_after("get", key, r);
}

static inline int hook_get_range(struct store *s, const char *key,
				 uint64_t offset, size_t length, void *data,
				 struct err *err)
{
	int r = hook_before("get_range", key);

	if (r < 0)
		return err_errno(err, r, "the store is hooked");
	r = hooked->real->get_range(s, key, offset, length, data, err);
	return hook_after("get_range", key, r);
}

static inline int hook_write(struct store *s, const char *key, const void *data,
			     size_t size, enum store_write how, struct err *err)
{
	int r = hook_before("write", key);

	if (r < 0)
		return err_errno(err, r, "the store is hooked");
	r = hooked->real->write(s, key, data, size, how, err);
	return hook_after("write", key, r);
}

static inline int hook_swap_record(struct store *s, const char *key,
				   const struct store_tag *tag,
				   const void *data, size_t size,
				   struct store_tag *ret, struct err *err)
{
	int r = hook_before("swap", key);

	if (r < 0)
		return err_errno(err, r, "the store is hooked");
	r = hooked->real->swap_record(s, key, tag, data, size, ret, err);
	return hook_after("swap", key, r);
}

static inline int hook_remove(struct store *s, const char *key, struct err *err)
{
	int r = hook_before("remove", key);

	if (r < 0)
		return err_errno(err, r, "the store is hooked");
	return hook_after("remove", key, hooked->real->remove(s, key, err));
}

static inline int hook_sync_removed(struct store *s, const char *prefix,
				    struct err *err)
{
	int r = hook_before("sync", prefix);

	if (r < 0)
		return err_errno(err, r, "the store is hooked");
	r = hooked->real->sync_removed(s, prefix, err);
	return hook_after("sync", prefix, r);
}

static inline void hook_store(struct store *s, struct store_hook *h)
{
	h->real = s->ops;
	h->ops = *s->ops;
	h->ops.get = hook_get;
	h->ops.get_range = hook_get_range;
	h->ops.write = hook_write;
	h->ops.swap_record = hook_swap_record;
	h->ops.remove = hook_remove;
	h->ops.sync_removed = hook_sync_removed;
	s->ops = &h->ops;
	hooked = h;
}

static inline void unhook_store(struct store *s)
{
	s->ops = hooked->real;
	hooked = NULL;
}
