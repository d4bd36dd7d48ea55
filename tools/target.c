/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "args.h"

#include "proto/message.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/escape.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static bool is_mount_point(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &st) ==
		       0 &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

bool target_is_path(const char *word)
{
	return strchr(word, '/') || strcmp(word, ".") == 0 ||
	       strcmp(word, "..") == 0 || is_mount_point(word);
}

bool target_is_place(const char *word)
{
	return word[strcspn(word, ":/")] != ':' && target_is_path(word);
}

json_t *target_path_json(const char *path)
{
	return message_bytes(path, strlen(path));
}

int target_resolve(const char *path, char **ret, struct err *err)
{
	*ret = realpath(path, NULL);
	if (*ret)
		return 0;
	return errno == ENOENT
		       ? err_set(err, ENOENT, "%s does not exist", path)
		       : err_errno(err, errno, "cannot resolve %s", path);
}

static int make_path(const char *word, json_t **ret, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;
	int r;

	r = target_resolve(word, &path, err);
	if (r < 0)
		return r;
	if (stat(path, &st) < 0)
		return err_errno(err, errno, "cannot look at %s", path);
	*ret = json_pack("{s:o, s:I}", "path", target_path_json(path), "device",
			 (json_int_t)st.st_dev);
	return *ret ? 0 : err_oom(err);
}

int target_make(const char *word, json_t **ret, struct err *err)
{
	if (target_is_path(word))
		return make_path(word, ret, err);
	if (!utf8_valid(word, strlen(word)))
		return err_set(err, EINVAL,
			       "the name of a volume has only a-z, 0-9, '.', "
			       "'_' and '-'; put ./ in front of a path");
	*ret = json_pack("{s:s}", "volume", word);
	return *ret ? 0 : err_oom(err);
}

json_t *target_layer_path(const char *word)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *s;
	size_t n;

	/* What cannot be an escaped path is one that was typed raw. */
	if (unescape_bytes(&b, word) < 0 && buf_add_str(&b, word) < 0)
		return NULL;
	s = buf_str(&b);
	if (!s)
		return NULL;
	while (*s == '/' || strncmp(s, "./", 2) == 0)
		s++;
	n = strlen(s);
	while (n && s[n - 1] == '/')
		n--;
	if (n == 1 && *s == '.')
		n = 0;
	return message_bytes(s, n);
}

int target_add_label(json_t *labels, const char *word, struct err *err)
{
	const char *equals = strchr(word, '=');
	_cleanup_free_ char *key = NULL;

	if (!equals || equals == word)
		return err_set(err, EINVAL,
			       "label '%s' is not of the form KEY=VALUE", word);
	key = strndup(word, (size_t)(equals - word));
	if (!key)
		return err_oom(err);
	if (json_object_get(labels, key))
		return err_set(err, EINVAL, "label '%s' is given twice", key);
	if (json_object_set_new(labels, key, json_string(equals + 1)) < 0)
		return err_oom(err);
	return 0;
}

int target_labels(const struct args *a, json_t **ret, struct err *err)
{
	_cleanup_(json_decrefp) json_t *labels = NULL;
	const char *word;

	*ret = NULL;
	if (!args_has(a, "label"))
		return 0;
	labels = json_object();
	if (!labels)
		return err_oom(err);
	for (size_t i = 0; (word = args_value_at(a, "label", i)); i++) {
		int r = target_add_label(labels, word, err);

		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(labels);
	return 0;
}

int target_limit(const struct args *a, json_t **ret, struct err *err)
{
	const char *value = args_value(a, "limit");
	long long limit;
	char *end;

	*ret = NULL;
	if (!value)
		return 0;
	errno = 0;
	limit = strtoll(value, &end, 10);
	if (errno || *end || end == value || limit <= 0)
		return err_set(err, EINVAL,
			       "'%s' is not a number of versions, 1 or more",
			       value);
	*ret = json_integer(limit);
	return *ret ? 0 : err_oom(err);
}
