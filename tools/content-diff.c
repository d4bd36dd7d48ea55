/* SPDX-License-Identifier: Apache-2.0 */
#include "content-diff.h"

#include "entry-data.h"
#include "reply.h"

#include "util/cleanup.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

extern char **environ;

static bool is_file(const json_t *difference, const char *key)
{
	return strcmp(reply_string(difference, key), "file") == 0;
}

static bool has_content(const json_t *difference)
{
	const json_t *what = json_object_get(difference, "what");
	const char *kind = reply_string(difference, "kind");
	json_t *word;
	size_t i;

	if (strcmp(kind, "changed") != 0)
		return strcmp(kind, "renamed") != 0;
	json_array_foreach (what, i, word) {
		const char *text = json_string_value(word);

		if (text &&
		    (strcmp(text, "content") == 0 || strcmp(text, "type") == 0))
			return true;
	}
	return false;
}

/* A file of a version in memory, or an empty one. */
static int fetch(struct tool *t, const char *reference, const char *path,
		 bool there, int *ret, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_close_ int copy = memfd_create("layerctl", MFD_CLOEXEC);
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (copy < 0)
		return err_errno(err, errno, "cannot make a file in memory");
	if (there)
		r = tool_call_long(t, "VersionFile",
				   json_pack("{s:s, s:s}", "reference",
					     reference, "path", path),
				   -1, &reply, &fd, err);
	if (r == 0 && there && fd >= 0)
		r = entry_data_copy(json_object_get(reply, "entry"), fd, copy,
				    err);
	if (r == 0)
		*ret = TAKE_FD(copy);
	return r;
}

static int run_diff(const int fds[2], const char *const labels[2],
		    struct err *err)
{
	char files[2][64];
	/* posix_spawn(3) wants them so, and changes none. */
	char *const argv[] = {
		(char *)"diff",	   (char *)"-u",      (char *)"--label",
		(char *)labels[0], (char *)"--label", (char *)labels[1],
		files[0],	   files[1],	      NULL};
	int status, r;
	pid_t pid;

	/* The child opens them through us, so nothing has to be inherited. */
	for (int i = 0; i < 2; i++)
		(void)snprintf(files[i], sizeof(files[i]), "/proc/%d/fd/%d",
			       (int)getpid(), fds[i]);
	(void)fflush(stdout);
	r = posix_spawnp(&pid, "diff", NULL, NULL, argv, environ);
	if (r == 0 && waitpid(pid, &status, 0) < 0)
		r = errno;
	return r ? err_errno(err, r, "cannot run diff(1)") : 0;
}

int content_diff(struct tool *t, const char *from, const char *to,
		 const json_t *difference, struct err *err)
{
	const char *path = reply_string(difference, "path");
	bool before = is_file(difference, "before");
	bool after = is_file(difference, "after");
	_cleanup_free_ char *old_label = NULL;
	_cleanup_free_ char *new_label = NULL;
	_cleanup_close_ int old = -1;
	_cleanup_close_ int new = -1;
	int r;

	if ((!before && !after) || !has_content(difference))
		return 0;
	if (asprintf(&old_label, "%s:%s", from, path) < 0)
		old_label = NULL;
	if (asprintf(&new_label, "%s:%s", to, path) < 0)
		new_label = NULL;
	if (!old_label || !new_label)
		return err_oom(err);
	r = fetch(t, from, path, before, &old, err);
	if (r == 0)
		r = fetch(t, to, path, after, &new, err);
	if (r < 0)
		return r;
	return run_diff((const int[]){old, new},
			(const char *const[]){before ? old_label : "/dev/null",
					      after ? new_label : "/dev/null"},
			err);
}
