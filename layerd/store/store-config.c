/* SPDX-License-Identifier: Apache-2.0 */

/*
 * layerd.json at the top of a store:
 *
 *   {"chunk": {"algorithm": "fastcdc", "average": …, "max": …, "min": …},
 *    "format": 1, "id": "<UUID>"}
 *
 * "format" counts up with every change that an older program would misread. The
 * chunking parameters are written down because stores whose writers disagree on
 * them no longer deduplicate; a program with other ones has to stay away.
 */

#include "store/store-backend.h"

#include "format/chunker.h"
#include "util/cleanup.h"
#include "util/json.h"

#include <errno.h>
#include <sys/random.h>

#define FORMAT 1
#define ALGORITHM "fastcdc"

/* A random UUID (RFC 9562, version 4). */
static int random_id(char id[static STORE_ID_SIZE])
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return -EIO;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(id, STORE_ID_SIZE,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
		 b[10], b[11], b[12], b[13], b[14], b[15]);
	return 0;
}

int store_config_encode(struct buf *b, struct err *err)
{
	char id[STORE_ID_SIZE];
	int r;

	r = random_id(id);
	if (r < 0)
		return err_errno(err, r, "the kernel gave no random bytes");
	r = buf_printf(b,
		       "{\"chunk\":{\"algorithm\":\"" ALGORITHM "\","
		       "\"average\":%u,\"max\":%u,\"min\":%u},"
		       "\"format\":%d,\"id\":\"%s\"}\n",
		       CHUNK_AVERAGE, CHUNK_MAX, CHUNK_MIN, FORMAT, id);
	return r < 0 ? err_oom(err) : 0;
}

static bool id_valid(const char *id)
{
	return strlen(id) == STORE_ID_SIZE - 1 &&
	       strspn(id, "0123456789abcdef-") == STORE_ID_SIZE - 1;
}

static bool number_is(const json_t *object, const char *key, json_int_t want)
{
	const json_t *v = json_object_get(object, key);

	return json_is_integer(v) && json_integer_value(v) == want;
}

static bool chunking_is_ours(const json_t *chunk)
{
	const char *name =
		json_string_value(json_object_get(chunk, "algorithm"));

	return name && strcmp(name, ALGORITHM) == 0 &&
	       number_is(chunk, "min", CHUNK_MIN) &&
	       number_is(chunk, "average", CHUNK_AVERAGE) &&
	       number_is(chunk, "max", CHUNK_MAX);
}

int store_config_decode(const struct buf *b, const char *name,
			char id[static STORE_ID_SIZE], struct err *err)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	const json_t *format;
	const char *text;

	if (json_parse_object(b->data, b->size, &root, NULL) == -ENOMEM)
		return err_oom(err);
	format = json_object_get(root, "format");
	if (!json_is_integer(format) || json_integer_value(format) < 1)
		return err_set(err, EBADMSG,
			       "%s: " STORE_CONFIG_KEY " is damaged or not "
			       "that of a layerd store; restore the file or "
			       "name another store",
			       name);
	if (json_integer_value(format) > FORMAT)
		return err_set(err, EBADMSG,
			       "%s: the store has format %lld and this layerd "
			       "knows formats up to %d; use a newer layerd",
			       name, (long long)json_integer_value(format),
			       FORMAT);
	text = json_string_value(json_object_get(root, "id"));
	if (!text || !id_valid(text))
		return err_set(err, EBADMSG,
			       "%s: the store's id in " STORE_CONFIG_KEY
			       " is missing or damaged; restore the file",
			       name);
	if (!chunking_is_ours(json_object_get(root, "chunk")))
		return err_set(err, EBADMSG,
			       "%s: the store was made with other chunking "
			       "parameters than this layerd uses; use the "
			       "layerd that made it",
			       name);
	memcpy(id, text, STORE_ID_SIZE);
	return 0;
}
