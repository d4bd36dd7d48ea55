/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json.h"

#include "util/cleanup.h"

#include <errno.h>

/* An allocation of libjansson has failed in this thread. */
static _Thread_local bool exhausted;

static void *allocate(size_t size)
{
	void *p = malloc(size);

	if (!p)
		exhausted = true;
	return p;
}

__attribute__((constructor)) static void watch_allocations(void)
{
	json_set_alloc_funcs(allocate, free);
}

struct text {
	struct buf *buf;
	bool cut; /* a piece did not fit, whatever was made of that */
};

static int add_text(const char *text, size_t size, void *ctx)
{
	struct text *t = ctx;

	if (t->cut || buf_add(t->buf, text, size) < 0)
		t->cut = true;
	return t->cut ? -1 : 0;
}

int buf_add_json(struct buf *b, const json_t *value, size_t flags)
{
	struct text t = {.buf = b};
	size_t start = b->size;

	if (json_dump_callback(value, add_text, &t, flags) < 0 || t.cut ||
	    !buf_str(b)) {
		b->size = start;
		return -ENOMEM;
	}
	return 0;
}

int json_parse_object(const void *data, size_t size, json_t **ret,
		      json_error_t *error)
{
	_cleanup_(json_decrefp) json_t *value = NULL;
	json_error_t e;

	exhausted = false;
	value = json_loadb(data, size, JSON_REJECT_DUPLICATES, &e);
	/* A string that could not grow has lost a byte, and nobody says so. */
	if (exhausted)
		return -ENOMEM;
	if (value && !json_is_object(value))
		*e.text = '\0';
	if (error)
		*error = e;
	if (!json_is_object(value))
		return -EBADMSG;
	*ret = TAKE_PTR(value);
	return 0;
}

int json_outcome(int r)
{
	return r == -EBADMSG && exhausted ? -ENOMEM : r;
}
