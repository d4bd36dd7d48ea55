/* SPDX-License-Identifier: Apache-2.0 */
#include "tool.h"

#include "output.h"
#include "progress.h"

#include "util/buf.h"
#include "util/cleanup.h"

#include <stdarg.h>

int tool_connect(struct tool *t, struct err *err)
{
	if (t->client)
		return 0;
	return client_connect(&t->client, !args_has(&t->args, "no-autostart"),
			      err);
}

/* Connects and calls; parameters are taken over in any case. */
static int call(struct tool *t, const char *method, json_t *parameters, int fd,
		client_more_fn more_fn, void *ctx, json_t **ret, int *ret_fd,
		struct err *err)
{
	int r = parameters ? tool_connect(t, err) : err_oom(err);

	if (r < 0) {
		json_decref(parameters);
		return r;
	}
	return client_call(t->client, method, parameters, fd, more_fn, ctx, ret,
			   ret_fd, err);
}

int tool_call(struct tool *t, const char *method, json_t *parameters,
	      json_t **ret, struct err *err)
{
	return call(t, method, parameters, -1, NULL, NULL, ret, NULL, err);
}

static int on_progress(json_t *parameters, void *ctx)
{
	progress_update(ctx, json_object_get(parameters, "progress"));
	return 0;
}

int tool_call_long(struct tool *t, const char *method, json_t *parameters,
		   int fd, json_t **ret, int *ret_fd, struct err *err)
{
	struct progress p;
	int r;

	progress_init(&p, !t->json && !t->quiet);
	r = call(t, method, parameters, fd, on_progress, &p, ret, ret_fd, err);
	progress_clear(&p);
	return r;
}

int tool_run(struct tool *t, const char *method, json_t *parameters, int fd,
	     tool_print_fn print, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	int r = tool_call_long(t, method, parameters, fd, &reply, NULL, err);

	if (r < 0)
		return r;
	if (t->json)
		output_json(stdout, reply);
	print(t, reply);
	return 0;
}

int tool_call_each(struct tool *t, const char *method, json_t *parameters,
		   tool_each_fn fn, void *ctx, struct err *err)
{
	_cleanup_(json_decrefp) json_t *last = NULL;
	int r;

	r = call(t, method, parameters, -1, fn, ctx, &last, NULL, err);
	return r < 0 ? r : fn(last, ctx);
}

void tool_say(const struct tool *t, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	if (t->quiet || t->json)
		return;
	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return;
	}
	(void)output_text(t->aside ? stderr : stdout, text, (size_t)n);
	fputc('\n', t->aside ? stderr : stdout);
}
