/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages come from anybody who may open the socket. What must hold: memory
 * and stack that one takes are bounded before the parser sees it.
 */
#include "proto/message.h"

#include "util/json.h"

#include "proto/varlink.h"
#include "util/escape.h"

#include <errno.h>
#include <string.h>

/* Counts what opens or separates values, outside of strings. Whether the text
 * is JSON at all is left to the parser. */
static int check_bounds(const char *data, size_t size, struct err *err)
{
	size_t values = 0, depth = 0;
	bool string = false;

	for (size_t i = 0; i < size; i++) {
		char c = data[i];

		if (c == '"') {
			string = !string;
		} else if (string) {
			i += c == '\\';
		} else if (c == '{' || c == '[') {
			values++;
			depth++;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		} else if (c == ',') {
			values++;
		}
		if (depth > MESSAGE_DEPTH_MAX)
			return err_set(err, EBADMSG,
				       "the message is nested more than %d "
				       "levels deep",
				       MESSAGE_DEPTH_MAX);
		if (values > MESSAGE_VALUES_MAX)
			return err_set(err, EBADMSG,
				       "the message has more than %d values",
				       MESSAGE_VALUES_MAX);
	}
	return 0;
}

static int refuse_json(const json_error_t *e, struct err *err)
{
	/* The parser goes on to quote the input, as raw as it came. */
	const char *quote = strstr(e->text, " near '");
	size_t n = quote ? (size_t)(quote - e->text) : strlen(e->text);

	if (!*e->text)
		return err_set(err, EBADMSG,
			       "the message is not a JSON object");
	return err_set(err, EBADMSG,
		       "the message is not valid JSON: %.*s at byte %d", (int)n,
		       e->text, e->position);
}

int message_parse(const char *data, size_t size, json_t **ret, struct err *err)
{
	json_error_t e;
	int r;

	r = check_bounds(data, size, err);
	if (r < 0)
		return r;
	r = json_parse_object(data, size, ret, &e);
	if (r == -ENOMEM)
		return err_oom(err);
	return r < 0 ? refuse_json(&e, err) : 0;
}

/* A member that is a boolean, or absent and thereby false. */
static int take_boolean(json_t *message, const char *key, bool *ret,
			struct err *err)
{
	json_t *value = json_object_get(message, key);

	if (value && !json_is_boolean(value))
		return err_set(err, EBADMSG,
			       "\"%s\" of the method call is not a boolean",
			       key);
	*ret = json_is_true(value);
	return 0;
}

int varlink_call_decode(json_t *message, struct varlink_call *ret,
			struct err *err)
{
	json_t *parameters = json_object_get(message, "parameters");
	const char *method =
		json_string_value(json_object_get(message, "method"));
	struct varlink_call call = {.method = method};
	bool upgrade;
	int r;

	if (!method || !strchr(method, '.'))
		return err_set(err, EBADMSG,
			       "the message is not a method call: it has no "
			       "\"method\" of the form INTERFACE.METHOD");
	if (parameters && !json_is_null(parameters)) {
		if (!json_is_object(parameters))
			return err_set(err, EBADMSG,
				       "\"parameters\" of the method call is "
				       "not an object");
		call.parameters = parameters;
	}
	r = take_boolean(message, "more", &call.more, err);
	if (r == 0)
		r = take_boolean(message, "oneway", &call.oneway, err);
	if (r == 0)
		r = take_boolean(message, "upgrade", &upgrade, err);
	if (r < 0)
		return r;
	if (call.more && call.oneway)
		return err_set(err, EBADMSG,
			       "the method call asks for \"more\" replies and, "
			       "by \"oneway\", for none");
	if (upgrade)
		return err_set(err, EOPNOTSUPP,
			       "the method call asks to \"upgrade\" the "
			       "connection, which no method here does");
	*ret = call;
	return 0;
}

/* Adds a value, which may be NULL after a failed allocation, to a message. */
static json_t *with(json_t *message, const char *key, json_t *value)
{
	if (json_object_set_new(message, key, value) == 0)
		return message;
	json_decref(message);
	return NULL;
}

json_t *varlink_make_call(const char *method, json_t *parameters, bool more)
{
	json_t *message = with(json_object(), "method", json_string(method));

	message = with(message, "parameters",
		       parameters ? parameters : json_object());
	return more ? with(message, "more", json_true()) : message;
}

json_t *varlink_make_reply(json_t *parameters, bool continues)
{
	json_t *message = with(json_object(), "parameters",
			       parameters ? parameters : json_object());

	return continues ? with(message, "continues", json_true()) : message;
}

json_t *varlink_make_error(const char *name, json_t *parameters)
{
	json_t *message = with(json_object(), "error", json_string(name));

	return with(message, "parameters",
		    parameters ? parameters : json_object());
}

json_t *message_bytes(const char *s, size_t size)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (escape_bytes(&b, s, size) < 0)
		return NULL;
	return json_stringn((const char *)b.data, b.size);
}
