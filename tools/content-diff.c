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

/* A live file may have become something else since it was compared. */
static int copy_entry(const json_t *entry, int fd, int copy, struct err *err)
{
	return strcmp(reply_string(entry, "kind"), "file") == 0 && fd >= 0
		       ? entry_data_copy(entry, fd, copy, err)
		       : 0;
}

/* A file in memory, or an empty one. */
static int fetch(struct tool *t, const struct content_side *side,
		 const char *path, bool there, int *ret, struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_close_ int copy = memfd_create("layerctl", MFD_CLOEXEC);
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (copy < 0)
		return err_errno(err, errno, "cannot make a file in memory");
	if (there)
		r = tool_call_long(t, "VersionFile",
				   json_pack("{s:s?, s:O?, s:s}", "reference",
					     side->reference, "target",
					     side->target, "path", path),
				   -1, &reply, &fd, err);
	if (r == 0 && there)
		r = copy_entry(json_object_get(reply, "entry"), fd, copy, err);
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

int content_diff(struct tool *t, const struct content_side sides[2],
		 const json_t *difference, struct err *err)
{
	static const char *const keys[] = {"before", "after"};
	const char *path = reply_string(difference, "path");
	const char *shown[2] = {"/dev/null", "/dev/null"};
	_cleanup_free_ char *old_label = NULL;
	_cleanup_free_ char *new_label = NULL;
	_cleanup_close_ int old = -1;
	_cleanup_close_ int new = -1;
	char **labels[] = {&old_label, &new_label};
	int *fds[] = {&old, &new};
	bool any = false;

	if (!has_content(difference))
		return 0;
	for (size_t i = 0; i < 2; i++)
		any = any || is_file(difference, keys[i]);
	for (size_t i = 0; any && i < 2; i++) {
		bool there = is_file(difference, keys[i]);
		int r;

		if (asprintf(labels[i], "%s:%s", sides[i].label, path) < 0) {
			*labels[i] = NULL;
			return err_oom(err);
		}
		r = fetch(t, &sides[i], path, there, fds[i], err);
		if (r < 0)
			return r;
		if (there)
			shown[i] = *labels[i];
	}
	return any ? run_diff((const int[]){old, new}, shown, err) : 0;
}
