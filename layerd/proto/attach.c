/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/attach.h"

#include "proto/message.h"
#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* The source of the mount with that id in a line of mountinfo (proc(5)), cut
 * out of it; NULL if the line is about another. */
static char *line_source(char *line, uint64_t id)
{
	char *end, *p;

	if (strtoull(line, &end, 10) != id || *end != ' ')
		return NULL;
	p = strstr(line, " - ");
	p = p ? strchr(p + 3, ' ') : NULL;
	if (!p)
		return NULL;
	p[1 + strcspn(p + 1, " \n")] = 0;
	return p + 1;
}

static int mount_source(uint64_t id, char **ret)
{
	_cleanup_free_ char *line = NULL;
	const char *source = NULL;
	size_t alloc = 0;
	FILE *f;

	f = fopen("/proc/self/mountinfo", "re");
	while (f && !source && getline(&line, &alloc, f) > 0)
		source = line_source(line, id);
	if (f)
		(void)fclose(f);
	*ret = source ? strdup(source) : NULL;
	return *ret ? 0 : -ENOENT;
}

int attach_source(const char *path, char **ret)
{
	struct statx st;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID,
		  &st) < 0 ||
	    !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return -ENOENT;
	return mount_source(st.stx_mnt_id, ret);
}

static int check_directory(const char *path, struct err *err)
{
	_cleanup_free_ char *source = NULL;
	struct statx st;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return err_errno(err, errno, "cannot look at %s", path);
	if (!S_ISDIR(st.stx_mode))
		return err_set(err, EINVAL,
			       "%s is not a directory, so nothing can be "
			       "mounted on it",
			       path);
	if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return 0;
	(void)attach_source(path, &source);
	return err_set(err, EBUSY,
		       "%s is a mount point already (%s); unmount it first or "
		       "choose another path",
		       path, source ? source : "of something unknown");
}

static int not_permitted(const char *path, struct err *err)
{
	return err_set(err, EPERM,
		       "you may not mount on %s: that needs CAP_SYS_ADMIN; "
		       "do it as root",
		       path);
}

/* Cloning a mount needs the same privilege as attaching one, so that who may
 * not is refused before anything is made for them. */
static int check_privilege(const char *path, struct err *err)
{
	_cleanup_close_ int fd = -1;

	fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return fd < 0 && errno == EPERM ? not_permitted(path, err) : 0;
}

int attach_check(const char *path, char **ret, struct err *err)
{
	_cleanup_free_ char *absolute = NULL;
	int r;

	if (!path) {
		path = ATTACH_DEFAULT;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_errno(err, errno,
					 "cannot create %s; give a path to "
					 "mount on",
					 path);
	}
	absolute = realpath(path, NULL);
	if (!absolute && errno == ENOENT)
		return err_set(err, ENOENT,
			       "%s does not exist; create it with "
			       "`mkdir -p %s`",
			       path, path);
	if (!absolute)
		return err_errno(err, errno, "cannot resolve %s", path);
	r = check_directory(absolute, err);
	if (r == 0)
		r = check_privilege(absolute, err);
	if (r == 0)
		*ret = TAKE_PTR(absolute);
	return r;
}

json_t *attach_parameters(const char *reference, const char *path,
			  const struct mount_options *options)
{
	return json_pack("{s:s, s:o, s:b}", "reference", reference, "path",
			 message_bytes(path, strlen(path)), "readonly",
			 (int)options->readonly);
}

static int attach(int fd, const char *path, const struct mount_options *options,
		  struct err *err)
{
	struct mount_attr attr = {.attr_set = options->set,
				  .attr_clr = options->clear};

	if ((attr.attr_set || attr.attr_clr) &&
	    mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_errno(err, errno,
				 "cannot set the options of a mount");
	if (move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0)
		return 0;
	if (errno == EPERM || errno == EACCES)
		return not_permitted(path, err);
	return err_errno(err, errno, "cannot mount on %s", path);
}

int attach_reply(const json_t *reply, int *fd, const char *reference,
		 const char *path, const struct mount_options *options,
		 struct err *err)
{
	int r;

	if (*fd < 0)
		return err_set(err, EBADMSG,
			       "the daemon's answer has no mount in it");
	r = attach(*fd, path, options, err);
	closep(fd);
	if (r < 0 && json_is_string(json_object_get(reply, "session")))
		return err_prefix(err, r,
				  "the session of %s is there but detached "
				  "(`layerctl mount %s` takes it up)",
				  reference, reference);
	return r;
}
