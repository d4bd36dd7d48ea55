/* SPDX-License-Identifier: Apache-2.0 */
#include "util/error.h"

#include "util/cleanup.h"

#include <errno.h>
#include <stdarg.h>

static int negative(int code)
{
	return code > 0 ? -code : code;
}

/* As far as it fits; what was cut shows as "...". */
static void append(char text[static ERR_TEXT_MAX], const char *more)
{
	size_t used = strlen(text);
	size_t n = strlen(more);

	if (n >= ERR_TEXT_MAX - used) {
		memcpy(text + used, more, ERR_TEXT_MAX - used - 1);
		memcpy(text + ERR_TEXT_MAX - 4, "...", 4);
		return;
	}
	memcpy(text + used, more, n + 1);
}

__attribute__((format(printf, 3, 0))) static void fill(struct err *err,
						       int code,
						       const char *format,
						       va_list ap)
{
	int n = vsnprintf(err->text, sizeof(err->text), format, ap);

	err->code = code;
	if (n >= (int)sizeof(err->text))
		memcpy(err->text + sizeof(err->text) - 4, "...", 4);
}

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list ap;

	code = negative(code);
	if (!err || err->code)
		return code;
	va_start(ap, format);
	fill(err, code, format, ap);
	va_end(ap);
	return code;
}

int err_errno(struct err *err, int code, const char *format, ...)
{
	va_list ap;

	code = negative(code);
	if (!err || err->code)
		return code;
	va_start(ap, format);
	fill(err, code, format, ap);
	va_end(ap);
	append(err->text, ": ");
	append(err->text, strerror(-code));
	return code;
}

int err_prefix(struct err *err, int code, const char *format, ...)
{
	struct err whole = ERR_INIT;
	va_list ap;

	if (!err)
		return negative(code);
	if (!err->code)
		err_errno(err, code, "failed");
	va_start(ap, format);
	fill(&whole, err->code, format, ap);
	va_end(ap);
	append(whole.text, ": ");
	append(whole.text, err->text);
	*err = whole;
	return err->code;
}

int err_oom(struct err *err)
{
	return err_set(err, ENOMEM,
		       "out of memory; nothing was changed, try "
		       "again when memory is free");
}
