/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: every call gets exactly one final reply, a broken message
 * costs its sender the connection, and threads are all gone when server_run()
 * returns.
 */
#include "server/server.h"

#include "proto/errors.h"
#include "proto/interface.h"
#include "server/encode.h"
#include "server/methods.h"
#include "util/cleanup.h"
#include "util/escape.h"
#include "util/log.h"
#include "util/release.h"
#include "volume/session.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#define PROGRESS_EVERY_MS 100
/* So long a client may take to read its replies when the daemon ends. */
#define STOP_GRACE_S 5
#define PREFIX "io.layerd."

/* reads: makes nothing new rely on what the store has. Whoever removes from it
 * waits for all other calls at hand (volume/gc.h). */
static const struct method {
	const char *name;
	method_fn fn;
	bool reads;
} methods[] = {
	{"New", method_new},
	{"Mount", method_mount},
	{"Unmount", method_unmount},
	{"Seal", method_seal},
	{"Fork", method_fork},
	{"Tag", method_tag},
	{"Untag", method_untag},
	{"Tags", method_tags},
	{"Label", method_label},
	{"Rename", method_rename},
	{"Reset", method_reset},
	{"Remove", method_remove},
	{"Collect", method_collect, .reads = true},
	{"List", method_list, .reads = true},
	{"Log", method_log, .reads = true},
	{"Find", method_find, .reads = true},
	{"Show", method_show, .reads = true},
	{"Sessions", method_sessions},
	{"Status", method_status},
	{"VersionEntries", method_version_entries, .reads = true},
	{"VersionFile", method_version_file, .reads = true},
	{"Diff", method_diff, .reads = true},
	{"Usage", method_usage, .reads = true},
	{"Restore", method_restore, .reads = true},
	{"ExportTar", method_export_tar, .reads = true},
	{"ExportOci", method_export_oci, .reads = true},
	{"LayerEntries", method_layer_entries, .reads = true},
	{"LayerOpen", method_layer_open, .reads = true},
	{"LayerVerify", method_layer_verify, .reads = true},
	{"Fsck", method_fsck},
	{"Rebuild", method_rebuild},
};

struct connection {
	struct server *server;
	struct varlink *varlink;
	int fd;
	int64_t idle_ms; /* when it began to wait for a call; 0: it serves one
			  */
	struct connection *next;
};

struct server {
	struct host *host;
	struct janitor *janitor;
	int listen_fd;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	struct connection *connections;
	size_t n;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Whether there is room for a short message. */
static bool is_writable(const struct varlink *v)
{
	struct pollfd p = {.fd = varlink_fd(v), .events = POLLOUT};

	return poll(&p, 1, 0) > 0;
}

static int send_progress(const char *stage, uint64_t done, uint64_t total,
			 uint64_t files, void *ctx)
{
	struct call *c = ctx;
	int64_t now = now_ms();
	int r;

	if (now - c->reported_ms < PROGRESS_EVERY_MS)
		return 0;
	c->reported_ms = now;
	r = call_check_caller(c);
	/* A client that was suspended does not hold up the work. */
	if (r < 0 || !c->more || !is_writable(c->connection))
		return r;
	return call_send_more(
		c, json_pack("{s:{s:s, s:I, s:I, s:I}}", "progress", "stage",
			     stage, "done", (json_int_t)done, "total",
			     (json_int_t)total, "files", (json_int_t)files));
}

static json_t *make_error(int code, const struct err *err)
{
	struct err generic = ERR_INIT;

	if (!err->code) {
		err_errno(&generic, code, "the call failed");
		err = &generic;
	}
	/* It may quote a file name of any bytes. */
	return varlink_make_error(
		error_name(err->code),
		json_pack("{s:o}", "message",
			  utf8_valid(err->text, strlen(err->text))
				  ? json_string(err->text)
				  : encode_bytes(err->text)));
}

static json_t *standard_error(const char *name, const char *key,
			      const char *value)
{
	char full[64];

	snprintf(full, sizeof(full), "org.varlink.service.%s", name);
	return varlink_make_error(full, json_pack("{s:s}", key, value));
}

static json_t *service_call(const struct varlink_call *call)
{
	const char *method = strrchr(call->method, '.') + 1;
	const char *name;
	json_t *wanted;

	if (strcmp(method, "GetInfo") == 0)
		return varlink_make_reply(
			json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor",
				  "layerd", "product", "layerd", "version",
				  release_text, "url", "https://varlink.org",
				  "interfaces", "org.varlink.service",
				  "io.layerd"),
			false);
	if (strcmp(method, "GetInterfaceDescription") != 0)
		return standard_error("MethodNotFound", "method", call->method);
	wanted = json_object_get(call->parameters, "interface");
	name = json_is_string(wanted) ? json_string_value(wanted) : "";
	if (!interface_description(name))
		return standard_error("InterfaceNotFound", "interface", name);
	return varlink_make_reply(
		json_pack("{s:s}", "description", interface_description(name)),
		false);
}

static const struct method *find_method(const char *name)
{
	size_t n = sizeof(PREFIX) - 1;

	if (strncmp(name, PREFIX, n) != 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (strcmp(methods[i].name, name + n) == 0)
			return &methods[i];
	return NULL;
}

/* Most failures are the caller's, who is told; some tell about this host. */
static void log_failure(const char *method, int code, const char *text)
{
	enum log_level level = LOG_LEVEL_DEBUG;

	switch (-code) {
	case EBADMSG:
	case EDQUOT:
	case EIO:
	case ENOMEM:
	case ENOSPC:
	case EROFS:
		level = LOG_LEVEL_WARNING;
		break;
	}
	log_line(level, "%s: %s", method, *text ? text : strerror(-code));
}

static int enter_method(struct call *c, const struct method *m)
{
	struct gate *gate = &c->host->gate;
	unsigned int side;
	int r;

	if (m->reads)
		return m->fn(c);
	side = gate_enter(gate);
	r = m->fn(c);
	gate_leave(gate, side);
	return r;
}

/* Runs a method; *ret_fd goes along with the reply, *ret_held see call.h. */
static json_t *run_method(struct connection *connection, const struct method *m,
			  const struct varlink_call *call, int fd, int *ret_fd,
			  struct session **ret_held)
{
	_cleanup_(json_decrefp) json_t *empty = json_object();
	struct server *s = connection->server;
	struct call c = {
		.host = s->host,
		.janitor = s->janitor,
		.connection = connection->varlink,
		.parameters = call->parameters ? call->parameters : empty,
		.more = call->more,
		.oneway = call->oneway,
		.fd = fd,
		.reply_fd = -1,
	};
	struct ucred peer;
	socklen_t size = sizeof(peer);
	json_t *message;
	int r;

	c.progress = (struct progress){.report = send_progress, .ctx = &c};
	if (getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) <
	    0)
		r = err_errno(&c.err, errno, "cannot tell who is calling");
	else {
		c.pid = peer.pid;
		c.uid = peer.uid;
		r = enter_method(&c, m);
	}
	if (r == 0) {
		*ret_fd = c.reply_fd;
		*ret_held = c.held;
		return varlink_make_reply(c.reply, false);
	}
	session_free(c.held);
	closep(&c.reply_fd);
	json_decref(c.reply);
	log_failure(call->method, r, c.err.text);
	message = make_error(r, &c.err);
	return message;
}

/*
 * Between the reply that hands out a mount and its attachment nothing tells
 * that the session has a writer. The caller has attached it, or never will,
 * once it speaks again or hangs up.
 */
static void wait_for_attachment(const struct connection *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	while (poll(&p, 1, SERVER_ATTACH_MS) < 0 && errno == EINTR)
		;
}

/* Every call gets a reply. */
static int send_too_long(struct connection *c)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	struct err err = ERR_INIT;

	(void)err_set(&err, EMSGSIZE, CALL_TOO_LONG);
	reply = make_error(-EMSGSIZE, &err);
	return reply ? varlink_send(c->varlink, reply, NULL, 0) : -ENOMEM;
}

/* The caller's descriptor is closed before the reply is sent: what it is of can
 * be unmounted as soon as that is there. */
static int serve_call(struct connection *c, json_t *message, int *fd)
{
	_cleanup_(session_freep) struct session *held = NULL;
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_close_ int reply_fd = -1;
	struct varlink_call call;
	struct err err = ERR_INIT;
	const struct method *method;
	int r = varlink_call_decode(message, &call, &err);

	if (r < 0)
		return r;
	method = find_method(call.method);
	if (method)
		reply = run_method(c, method, &call, *fd, &reply_fd, &held);
	else if (strncmp(call.method, "org.varlink.service.", 20) == 0)
		reply = service_call(&call);
	else
		reply = standard_error("MethodNotFound", "method", call.method);
	closep(fd);
	if (!reply)
		return -ENOMEM;
	if (call.oneway)
		return 0;
	r = reply_fd >= 0 ? varlink_hand_over(c->varlink, reply, &reply_fd)
			  : varlink_send(c->varlink, reply, NULL, 0);
	if (r == -EMSGSIZE)
		return send_too_long(c);
	if (r == 0 && held)
		wait_for_attachment(c);
	return r;
}

static void remove_connection(struct connection *c)
{
	struct server *s = c->server;
	struct connection **p;

	pthread_mutex_lock(&s->lock);
	for (p = &s->connections; *p != c; p = &(*p)->next)
		;
	*p = c->next;
	s->n--;
	c->varlink = varlink_free(c->varlink);
	pthread_cond_signal(&s->ended);
	pthread_mutex_unlock(&s->lock);
	free(c);
}

static void set_idle(struct connection *c, int64_t since_ms)
{
	pthread_mutex_lock(&c->server->lock);
	c->idle_ms = since_ms;
	pthread_mutex_unlock(&c->server->lock);
}

static void *connection_main(void *ctx)
{
	struct connection *c = ctx;
	int r = 0;

	while (r == 0 && !c->server->host->stopping) {
		_cleanup_(json_decrefp) json_t *message = NULL;
		struct err err = ERR_INIT;
		int fds[VARLINK_FDS_MAX], none = -1;
		size_t n = 0;

		set_idle(c, now_ms());
		r = varlink_receive(c->varlink, SERVER_IDLE_MS, &message, fds,
				    &n, &err);
		set_idle(c, 0);
		if (r == -EBADMSG)
			log_warning("a client was disconnected: %s", err.text);
		if (r == 0)
			r = serve_call(c, message, n ? &fds[0] : &none);
		for (size_t i = 0; i < n; i++)
			closep(&fds[i]);
	}
	remove_connection(c);
	return NULL;
}

int server_new(struct server **ret, struct host *h, struct janitor *j,
	       int listen_fd, struct err *err)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s) {
		closep(&listen_fd);
		return err_oom(err);
	}
	s->host = h;
	s->janitor = j;
	s->listen_fd = listen_fd;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->ended, NULL);
	*ret = s;
	return 0;
}

static void start_connection(struct server *s, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (!c) {
		closep(&fd);
		return;
	}
	if (varlink_new(&c->varlink, fd) < 0) {
		free(c);
		return;
	}
	c->server = s;
	c->fd = fd;
	c->idle_ms = now_ms();
	pthread_mutex_lock(&s->lock);
	c->next = s->connections;
	s->connections = c;
	s->n++;
	pthread_mutex_unlock(&s->lock);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, connection_main, c);
	pthread_attr_destroy(&attr);
	if (r)
		remove_connection(c);
}

static void refuse(int fd)
{
	static const char busy[] =
		"{\"error\":\"io.layerd.Busy\",\"parameters\":{\"message\":"
		"\"layerd serves as many connections as it can; try again\"}}";

	/* Whoever does not read this sees the connection end. */
	(void)send(fd, busy, sizeof(busy), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

/* Makes room by ending the connection that has waited longest for a call. With
 * the lock held; its thread removes it in a moment. */
static void end_idle(struct server *s)
{
	struct connection *oldest = NULL;

	for (struct connection *c = s->connections; c; c = c->next)
		if (c->idle_ms && (!oldest || c->idle_ms < oldest->idle_ms))
			oldest = c;
	if (!oldest)
		return;
	oldest->idle_ms = 0;
	(void)shutdown(oldest->fd, SHUT_RDWR);
}

static void accept_one(struct server *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	size_t n;

	if (fd < 0) {
		/* Out of descriptors or memory: the connection stays in the
		 * queue, and asking for it at once would keep a core busy. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
			(void)poll(NULL, 0, 100);
		return;
	}
	pthread_mutex_lock(&s->lock);
	n = s->n;
	if (n >= SERVER_CONNECTIONS_MAX)
		end_idle(s);
	pthread_mutex_unlock(&s->lock);
	if (n >= SERVER_CONNECTIONS_MAX + SERVER_CONNECTIONS_ENDING)
		refuse(fd);
	else
		start_connection(s, fd);
}

/* Ends the waiting for further calls; calls at hand end by themselves, but for
 * those whose client does not read. */
static void stop_connections(struct server *s)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_GRACE_S;
	pthread_mutex_lock(&s->lock);
	for (struct connection *c = s->connections; c; c = c->next)
		(void)shutdown(c->fd, SHUT_RD);
	while (s->n && r == 0)
		r = pthread_cond_timedwait(&s->ended, &s->lock, &until);
	for (struct connection *c = s->connections; c; c = c->next)
		(void)shutdown(c->fd, SHUT_RDWR);
	while (s->n)
		pthread_cond_wait(&s->ended, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

int server_run(struct server *s, int stop_fd, struct err *err)
{
	struct pollfd fds[2] = {{.fd = s->listen_fd, .events = POLLIN},
				{.fd = stop_fd, .events = POLLIN}};
	int r = 0;

	while (r == 0) {
		if (poll(fds, 2, -1) < 0) {
			if (errno != EINTR)
				r = err_errno(err, errno,
					      "cannot wait for calls");
			continue;
		}
		if (fds[1].revents)
			break;
		if (fds[0].revents)
			accept_one(s);
	}
	s->host->stopping = true;
	stop_connections(s);
	return r;
}

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	closep(&s->listen_fd);
	pthread_cond_destroy(&s->ended);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

void server_freep(struct server **s)
{
	*s = server_free(*s);
}
