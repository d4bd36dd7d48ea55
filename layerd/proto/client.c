/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/client.h"

#include "proto/autostart.h"
#include "proto/errors.h"
#include "util/cleanup.h"
#include "util/paths.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define SOCKET_NAME "layerd.sock"
#define POLL_MS 10

/* How long a daemon that somebody else started may take until it listens, or
 * one that ends until it has ended, after which another is started; and how
 * long one gets whose starter failed, in case another won the race. */
#define RUNNING_MS 10000
#define FAILED_MS 1000

struct client {
	struct varlink *connection; /* NULL once a call was given up */
};

static int connect_once(int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int dirfd = -1;
	_cleanup_close_ int fd = -1;
	int r;

	r = paths_socket(paths_runtime_dir(), SOCKET_NAME, address.sun_path,
			 &dirfd);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static bool nobody_listens(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED;
}

/* Connects, trying again for at most ms milliseconds. */
static int connect_within(int ms, int *ret_fd)
{
	struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	int r;

	for (;;) {
		r = connect_once(ret_fd);
		if (!nobody_listens(r) || ms <= 0)
			return r;
		(void)nanosleep(&pause, NULL);
		ms -= POLL_MS;
	}
}

static int connect_error(int r, struct err *err)
{
	const char *directory = paths_runtime_dir();

	if (nobody_listens(r))
		return err_set(err, ECONNREFUSED,
			       "no daemon is listening at %s/%s; start layerd",
			       directory, SOCKET_NAME);
	if (r == -EACCES)
		return err_set(err, EACCES,
			       "you may not connect to %s/%s; be root or a "
			       "member of the group that owns it",
			       directory, SOCKET_NAME);
	return err_errno(err, r, "cannot connect to %s/%s", directory,
			 SOCKET_NAME);
}

static int start_and_connect(int *ret_fd, struct err *err)
{
	struct err failure = ERR_INIT;
	int started, r;

	for (int ms = 0;; ms += FAILED_MS) {
		started = autostart(&failure);
		r = connect_within(FAILED_MS, ret_fd);
		if (!nobody_listens(r) || started < 0 || ms >= RUNNING_MS)
			break;
	}
	if (r < 0 && started < 0)
		return err_set(err, started, "%s", failure.text);
	return r < 0 ? connect_error(r, err) : 0;
}

int client_connect(struct client **ret, bool autostart_daemon, struct err *err)
{
	_cleanup_(client_freep) struct client *c = NULL;
	int fd, r;

	r = connect_once(&fd);
	if (nobody_listens(r) && autostart_daemon)
		r = start_and_connect(&fd, err);
	if (r < 0)
		return err && err->code ? r : connect_error(r, err);
	c = calloc(1, sizeof(*c));
	if (!c) {
		closep(&fd);
		return err_oom(err);
	}
	r = varlink_new(&c->connection, fd);
	if (r < 0)
		return err_oom(err);
	*ret = TAKE_PTR(c);
	return 0;
}

struct client *client_free(struct client *c)
{
	if (!c)
		return NULL;
	varlink_freep(&c->connection);
	free(c);
	return NULL;
}

void client_freep(struct client **c)
{
	*c = client_free(*c);
}

static int lost(struct err *err)
{
	return err_set(err, ECONNRESET,
		       "the daemon closed the connection before it answered; "
		       "its log says why, `layerctl status` whether it runs");
}

/* Turns an error reply into its errno and the daemon's sentence. */
static int error_reply(const char *method, const char *name, json_t *reply,
		       struct err *err)
{
	json_t *parameters = json_object_get(reply, "parameters");
	const char *message =
		json_string_value(json_object_get(parameters, "message"));
	int code = error_code(name);

	if (message)
		return err_set(err, code, "%s", message);
	if (code == -EOPNOTSUPP)
		return err_set(err, code,
			       "the daemon does not know %s; restart layerd "
			       "with the version of this program",
			       method);
	return err_set(err, code, "the daemon answered %s with %s", method,
		       name);
}

/* Whatever else the daemon may say belongs to a call that is over. */
static int give_up(struct client *c, int r)
{
	varlink_freep(&c->connection);
	return r;
}

/* One reply and the first of its descriptors, -1 without one. */
static int receive_reply(struct client *c, json_t **ret, int *ret_fd,
			 struct err *err)
{
	int fds[VARLINK_FDS_MAX];
	size_t n_fds = 0;
	int r;

	r = varlink_receive(c->connection, -1, ret, fds, &n_fds, err);
	if (r == VARLINK_E_EOF)
		return give_up(c, lost(err));
	if (r < 0)
		return give_up(c, err_prefix(err, r,
					     "the daemon's answer is "
					     "unusable"));
	*ret_fd = n_fds ? fds[0] : -1;
	for (size_t i = 1; i < n_fds; i++)
		closep(&fds[i]);
	return 0;
}

/* The parameters of a reply that is no error; borrowed from it. */
static int reply_parameters(const char *method, json_t *reply, json_t **ret,
			    struct err *err)
{
	json_t *name = json_object_get(reply, "error");
	json_t *parameters = json_object_get(reply, "parameters");

	if (name && !json_is_null(name))
		return error_reply(method,
				   json_is_string(name)
					   ? json_string_value(name)
					   : "an error without a name",
				   reply, err);
	if (!json_is_object(parameters))
		return err_set(err, EBADMSG,
			       "the daemon's answer to %s has no parameters",
			       method);
	*ret = parameters;
	return 0;
}

static int receive_replies(struct client *c, const char *method,
			   client_more_fn more_fn, void *ctx, json_t **ret,
			   int *ret_fd, struct err *err)
{
	for (;;) {
		_cleanup_(json_decrefp) json_t *reply = NULL;
		_cleanup_close_ int fd = -1;
		json_t *parameters;
		int r;

		r = receive_reply(c, &reply, &fd, err);
		if (r < 0)
			return r;
		r = reply_parameters(method, reply, &parameters, err);
		if (r < 0)
			return r;
		if (!json_is_true(json_object_get(reply, "continues"))) {
			*ret = json_incref(parameters);
			if (ret_fd)
				*ret_fd = TAKE_FD(fd);
			return 0;
		}
		if (!more_fn)
			r = err_set(err, EBADMSG,
				    "the daemon's answer to %s goes on, "
				    "though it must not",
				    method);
		else
			r = more_fn(parameters, ctx);
		if (r < 0)
			return give_up(c, r);
	}
}

static int send_call(struct client *c, const char *method, json_t *parameters,
		     int fd, bool more, struct err *err)
{
	_cleanup_(json_decrefp) json_t *call = NULL;
	int r;

	call = varlink_make_call(method, parameters, more);
	if (!call)
		return err_oom(err);
	if (!c->connection)
		return lost(err);
	r = varlink_send(c->connection, call, &fd, fd >= 0);
	if (r == -EPIPE)
		return lost(err);
	if (r == -EMSGSIZE)
		return err_set(err, EINVAL,
			       "the arguments are longer than the %u bytes "
			       "that a call may have",
			       VARLINK_MESSAGE_MAX);
	return r < 0 ? err_errno(err, r, "cannot call the daemon") : 0;
}

int client_call(struct client *c, const char *method, json_t *parameters,
		int fd, client_more_fn more_fn, void *ctx, json_t **ret,
		int *ret_fd, struct err *err)
{
	char name[128];
	int r;

	(void)snprintf(name, sizeof(name), "io.layerd.%s", method);
	r = send_call(c, name, parameters, fd, more_fn != NULL, err);
	if (r == 0)
		r = receive_replies(c, name, more_fn, ctx, ret, ret_fd, err);
	return r;
}
