/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: a parameter of the wrong type is told by its name. */
#include "server/call.h"

#include "util/cleanup.h"
#include "util/escape.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

int call_send_more(struct call *c, json_t *parameters)
{
	_cleanup_(json_decrefp) json_t *message =
		varlink_make_reply(parameters, true);

	int r;

	if (!message)
		return err_oom(&c->err);
	r = varlink_send(c->connection, message, NULL, 0);
	if (r == -EMSGSIZE)
		return err_set(&c->err, EMSGSIZE, CALL_TOO_LONG);
	return r;
}

int call_check_caller(struct call *c)
{
	struct pollfd p = {.fd = varlink_fd(c->connection)};

	if (c->oneway)
		return 0;
	if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
		return err_set(&c->err, ECANCELED,
			       "the caller has gone before its call was done");
	return 0;
}

static int wrong_type(struct call *c, const char *name, const char *type)
{
	return err_set(&c->err, EINVAL, "the parameter %s must be %s", name,
		       type);
}

/* The member, or NULL where it is absent or null. */
static json_t *member(struct call *c, const char *name)
{
	json_t *value = json_object_get(c->parameters, name);

	return json_is_null(value) ? NULL : value;
}

bool call_has(struct call *c, const char *name)
{
	return member(c, name);
}

/* A NUL would hide what comes after it. */
static bool is_text(const json_t *value)
{
	return json_is_string(value) &&
	       strlen(json_string_value(value)) == json_string_length(value);
}

int call_get_string(struct call *c, const char *name, const char **ret)
{
	json_t *value = member(c, name);

	if (!value)
		return 0;
	if (!is_text(value))
		return wrong_type(c, name, "a string without NUL");
	*ret = json_string_value(value);
	return 0;
}

int call_need_string(struct call *c, const char *name, const char **ret)
{
	*ret = NULL;
	if (call_get_string(c, name, ret) < 0)
		return -EINVAL;
	return *ret ? 0
		    : err_set(&c->err, EINVAL, "the parameter %s is missing",
			      name);
}

int call_get_bool(struct call *c, const char *name, bool *ret)
{
	json_t *value = member(c, name);

	if (!value)
		return 0;
	if (!json_is_boolean(value))
		return wrong_type(c, name, "true or false");
	*ret = json_is_true(value);
	return 0;
}

int call_get_uint(struct call *c, const char *name, uint64_t *ret)
{
	json_t *value = member(c, name);

	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return wrong_type(c, name, "a number that is not negative");
	*ret = (uint64_t)json_integer_value(value);
	return 0;
}

static int get_labels(struct call *c, bool any, struct label **ret,
		      size_t *ret_n)
{
	_cleanup_free_ struct label *all = NULL;
	json_t *labels = member(c, "labels");
	json_t *value;
	const char *key;
	size_t n = 0;

	*ret = NULL;
	*ret_n = 0;
	if (!labels)
		return 0;
	if (!json_is_object(labels))
		return wrong_type(c, "labels", "an object of strings");
	all = calloc(json_object_size(labels) + 1, sizeof(*all));
	if (!all)
		return err_oom(&c->err);
	json_object_foreach (labels, key, value) {
		if (!is_text(value) && !(any && json_is_null(value)))
			return wrong_type(c, "labels", "an object of strings");
		all[n++] = (struct label){
			.key = (char *)key,
			.value = (char *)json_string_value(value)};
	}
	*ret = TAKE_PTR(all);
	*ret_n = n;
	return 0;
}

int call_get_labels(struct call *c, struct label **ret, size_t *ret_n)
{
	return get_labels(c, false, ret, ret_n);
}

int call_get_wanted_labels(struct call *c, struct label **ret, size_t *ret_n)
{
	return get_labels(c, true, ret, ret_n);
}

int call_get_strings(struct call *c, const char *name, const char ***ret,
		     size_t *ret_n)
{
	_cleanup_free_ const char **strings = NULL;
	json_t *list = member(c, name);
	json_t *value;
	size_t i;

	*ret = NULL;
	*ret_n = 0;
	if (!list)
		return 0;
	if (!json_is_array(list))
		return wrong_type(c, name, "a list of strings");
	strings = calloc(json_array_size(list) + 1, sizeof(*strings));
	if (!strings)
		return err_oom(&c->err);
	json_array_foreach (list, i, value) {
		if (!is_text(value))
			return wrong_type(c, name, "a list of strings");
		strings[i] = json_string_value(value);
	}
	*ret = TAKE_PTR(strings);
	*ret_n = json_array_size(list);
	return 0;
}

void target_release(struct target *t)
{
	free(t->path);
	*t = (struct target){0};
}

int call_get_target(struct call *c, struct target *ret)
{
	json_t *target = json_object_get(c->parameters, "target");
	json_t *volume, *path, *device;

	if (!json_is_object(target))
		return wrong_type(c, "target", "an object");
	volume = json_object_get(target, "volume");
	path = json_object_get(target, "path");
	device = json_object_get(target, "device");
	if (volume && !json_is_null(volume)) {
		if (!is_text(volume))
			return wrong_type(c, "target.volume",
					  "a string without NUL");
		ret->volume = json_string_value(volume);
		return volume_name_check(ret->volume, &c->err);
	}
	if (!json_is_string(path) || !json_is_integer(device))
		return err_set(&c->err, EINVAL,
			       "the target must have a volume, or a path and "
			       "its device");
	{
		_cleanup_buf_ struct buf b = BUF_INIT;

		if (!is_text(path) ||
		    unescape_bytes(&b, json_string_value(path)) < 0 ||
		    !buf_str(&b) || b.data[0] != '/')
			return wrong_type(c, "target.path", "an absolute path");
		ret->path = strdup((char *)b.data);
	}
	ret->device = (uint64_t)json_integer_value(device);
	return ret->path ? 0 : err_oom(&c->err);
}

int call_get_name(struct call *c, struct buf *b, const char **ret)
{
	const char *text = NULL, *name;
	int r = call_get_string(c, "name", &text);

	if (r < 0 || !text)
		return r;
	if (unescape_bytes(b, text) < 0 || !(name = buf_str(b)) || !*name ||
	    strchr(name, '/') || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return wrong_type(c, "name", "one name in a directory");
	*ret = name;
	return 0;
}

int call_no_such_path(struct call *c, const char *reference, const char *path)
{
	return err_set(&c->err, ENOENT,
		       "%s has no \"%s\"; \"layerctl ls %s:/\" lists what it "
		       "has",
		       reference, path, reference);
}

static int get_groups(int fd, struct caller *ret)
{
	socklen_t size = 0;

	/* ERANGE tells how many there are. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 &&
	    errno != ERANGE)
		return -errno;
	ret->groups = malloc(size + 1);
	if (!ret->groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, ret->groups, &size) < 0)
		return -errno;
	ret->n_groups = size / sizeof(*ret->groups);
	return 0;
}

int call_get_caller(struct call *c, struct caller *ret)
{
	int fd = varlink_fd(c->connection);
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int r = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		r = -errno;
	if (r == 0)
		r = get_groups(fd, ret);
	if (r < 0)
		return err_errno(&c->err, r, "cannot tell who is calling");
	ret->uid = peer.uid;
	ret->gid = peer.gid;
	/* A daemon that is not root can do everything as itself only. */
	if (geteuid() != 0)
		ret->uid = geteuid();
	return 0;
}

int call_get_layer_path(struct call *c, struct buf *b)
{
	const char *path = "";
	int r = call_get_string(c, "path", &path);

	if (r < 0)
		return r;
	while (*path == '/')
		path++;
	if (unescape_bytes(b, path) < 0)
		return err_set(&c->err, EINVAL,
			       "the parameter path has a backslash that is not "
			       "part of \\xNN");
	while (b->size && b->data[b->size - 1] == '/')
		b->size--;
	return buf_str(b) ? 0 : err_oom(&c->err);
}
