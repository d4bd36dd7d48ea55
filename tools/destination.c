/* SPDX-License-Identifier: Apache-2.0 */
#include "destination.h"

#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

void destination_release(struct destination *d)
{
	closep(&d->fd);
	json_decref(d->name);
	d->name = NULL;
}

static int open_directory(const char *path, struct destination *d,
			  struct err *err)
{
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return d->fd < 0 ? err_errno(err, errno, "cannot open the directory %s",
				     path)
			 : 0;
}

/* What is not there yet is made by the daemon, once it knows what it is. */
static int open_above(const char *path, struct destination *d, struct err *err)
{
	_cleanup_free_ char *above = strdup(path);
	char *slash;
	int r;

	if (!above)
		return err_oom(err);
	for (size_t n = strlen(above); n > 1 && above[n - 1] == '/';)
		above[--n] = 0;
	slash = strrchr(above, '/');
	d->name = target_path_json(slash ? slash + 1 : above);
	if (slash)
		slash[slash == above] = 0;
	r = open_directory(slash ? above : ".", d, err);
	return r < 0 || d->name ? r : err_oom(err);
}

int destination_open(const char *path, struct destination *ret, struct err *err)
{
	struct stat st;

	if (!*path)
		return err_set(err, EINVAL,
			       "the name of what to write to is empty");
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return open_directory(path, ret, err);
	return open_above(path, ret, err);
}
