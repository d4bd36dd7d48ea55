/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batches.h"

#include <errno.h>

#define BATCH_ITEMS 256
/* As many as fit a few times into the largest message, whose number of values
 * is bounded as well: no value takes less than two bytes. */
#define BATCH_BYTES ((size_t)256 << 10)
#define SINGLE_ITEMS_MAX 8192

int batches_init(struct batches *b, struct call *call, const char *key,
		 json_t *common)
{
	*b = (struct batches){.call = call,
			      .key = key,
			      .common = common ? common : json_object(),
			      .items = json_array()};
	return b->common && b->items ? 0 : err_oom(&call->err);
}

static json_t *take_reply(struct batches *b)
{
	json_t *reply = json_copy(b->common);

	if (!reply || json_object_set_new(reply, b->key, b->items) < 0) {
		json_decref(reply);
		reply = NULL;
	}
	b->items = json_array();
	b->bytes = 0;
	return reply;
}

static bool is_full(const struct batches *b, size_t more)
{
	return json_array_size(b->items) >= BATCH_ITEMS ||
	       (b->bytes && b->bytes + more > BATCH_BYTES);
}

int batches_add(struct batches *b, json_t *item, struct err *err)
{
	size_t bytes = 0;
	int r = 0;

	if (b->call->more && item)
		bytes = json_dumpb(item, NULL, 0, JSON_COMPACT);
	if (b->call->more && is_full(b, bytes)) {
		json_t *reply = take_reply(b);

		r = reply ? call_send_more(b->call, reply) : err_oom(err);
	}
	if (r < 0) {
		json_decref(item);
		return r;
	}
	if (json_array_append_new(b->items, item) < 0)
		return err_oom(err);
	b->bytes += bytes;
	b->n++;
	if (!b->call->more && b->n > SINGLE_ITEMS_MAX)
		return err_set(err, EINVAL,
			       "there are more than %d %s; call with \"more\" "
			       "to get them in batches",
			       SINGLE_ITEMS_MAX, b->key);
	return 0;
}

int batches_finish(struct batches *b, int r)
{
	struct call *c = b->call;

	if (r == 0) {
		c->reply = take_reply(b);
		if (!c->reply)
			r = err_oom(&c->err);
	}
	json_decref(b->items);
	json_decref(b->common);
	b->items = b->common = NULL;
	return r;
}
