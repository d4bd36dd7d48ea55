/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that mount, and those of the file system that is mounted from. Mounts
 * are made in a mount namespace that ends with the child that made it; files
 * have no name and vanish when they are closed.
 */
#include "doctor.h"

#include "output.h"
#include "reply.h"

#include "util/cleanup.h"
#include "util/fd.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* Any directory will do: only the child sees what is mounted on it. */
#define MOUNT_POINT "/tmp"

#define CHILD_FAILED 255

/* Runs fn in a child with a mount namespace of its own. Its result, 0 to 254,
 * or CHILD_FAILED. */
static int in_namespace(int (*fn)(void *), void *ctx)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return CHILD_FAILED;
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(CHILD_FAILED);
		_exit(fn(ctx));
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return CHILD_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_FAILED;
}

static bool in_list_of_file_systems(const char *name)
{
	_cleanup_free_ char *line = NULL;
	FILE *f = fopen("/proc/filesystems", "re");
	bool found = false;
	size_t size = 0;

	while (f && !found && getline(&line, &size, f) > 0) {
		const char *tab = strchr(line, '\t');

		line[strcspn(line, "\n")] = 0;
		found = tab && strcmp(tab + 1, name) == 0;
	}
	if (f)
		(void)fclose(f);
	return found;
}

/* What can be said of a file system without mounting it. */
static void unseen(const struct doctor *d, const char *name,
		   struct doctor_finding *ret)
{
	if (in_list_of_file_systems(name))
		doctor_found(ret, "the kernel has %s", name);
	else
		doctor_found(ret, "%s is not loaded; the kernel may have it",
			     name);
	if (d->admin) {
		doctor_follows(ret, DOCTOR_UNSEEN,
			       "it could not be tried in a mount namespace of "
			       "its own");
		return;
	}
	doctor_follows(ret, DOCTOR_UNSEEN,
		       "whether it can be mounted as layerd does, only root "
		       "can see");
	doctor_todo(ret, "sudo layerctl doctor");
}

static const char *const features[] = {"redirect_dir", "metacopy", "index",
				       "xino"};

/* One overlay with one feature, or none; unmounted by closing it. */
static int try_overlay(const char *feature)
{
	_cleanup_close_ int fd = fsopen("overlay", FSOPEN_CLOEXEC);
	int bad;

	if (fd < 0)
		return -errno;
	bad = fsconfig(fd, FSCONFIG_SET_STRING, "lowerdir+", MOUNT_POINT "/l",
		       0) < 0 &&
	      fsconfig(fd, FSCONFIG_SET_STRING, "lowerdir", MOUNT_POINT "/l",
		       0) < 0;
	bad |= fsconfig(fd, FSCONFIG_SET_STRING, "upperdir", MOUNT_POINT "/u",
			0) < 0;
	bad |= fsconfig(fd, FSCONFIG_SET_STRING, "workdir", MOUNT_POINT "/w",
			0) < 0;
	if (feature)
		bad |= fsconfig(fd, FSCONFIG_SET_STRING, feature, "on", 0) < 0;
	if (bad || fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -EINVAL;
	return 0;
}

/* A bit for each feature that is refused; 128: all of it. */
static int try_features(void *ctx)
{
	int refused = 0;

	(void)ctx;
	if (mount("layerctl", MOUNT_POINT, "tmpfs", 0, "size=1m") < 0 ||
	    mkdir(MOUNT_POINT "/l", 0700) < 0 ||
	    mkdir(MOUNT_POINT "/u", 0700) < 0 ||
	    mkdir(MOUNT_POINT "/w", 0700) < 0)
		return CHILD_FAILED;
	if (try_overlay(NULL) < 0)
		return 128;
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (try_overlay(features[i]) < 0)
			refused |= 1 << i;
	return refused;
}

void doctor_overlay(const struct doctor *d, struct doctor_finding *ret)
{
	int refused = d->admin ? in_namespace(try_features, NULL) : 0;
	size_t used = 0;

	if (!d->admin || refused == CHILD_FAILED) {
		unseen(d, "overlay", ret);
		return;
	}
	if (refused == 128) {
		doctor_found(ret, "it cannot be mounted");
		doctor_follows(ret, DOCTOR_PROBLEM, "no volume can be mounted");
		doctor_todo(ret, "modprobe overlay, or a kernel that has it");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (!refused || (refused & 1 << i))
			used += (size_t)snprintf(
				ret->found + used, sizeof(ret->found) - used,
				"%s%s", used ? ", " : "", features[i]);
	if (refused) {
		doctor_follows(ret, DOCTOR_PROBLEM,
			       "these are refused: no volume can be mounted");
		doctor_todo(ret, "use a kernel with them");
	}
}

/*
 * An EROFS image of 4096 bytes (Linux, fs/erofs/erofs_fs.h): the superblock at
 * 1024; at 1152, which is nid 36, a compact inode of a directory whose two
 * names stand inline behind it.
 */
static void make_image(uint8_t image[static 4096])
{
	static const struct {
		unsigned int at;
		uint8_t bytes[4];
	} rows[] = {
		{1024, {0xe2, 0xe1, 0xf5, 0xe0}}, /* magic */
		{1024 + 12, {12}},		  /* block size 2^12 */
		{1024 + 14, {36}},		  /* root's nid */
		{1024 + 16, {1}},		  /* inodes */
		{1024 + 36, {1}},		  /* blocks */
		{1152, {4}},			  /* inode: inline, compact */
		{1152 + 4, {0xed, 0x41, 2}},	  /* 040755, two links */
		{1152 + 8, {27}},		  /* size of the names */
		{1152 + 20, {1}},		  /* inode number */
		{1184, {36}},			  /* nid */
		{1184 + 8, {24, 0, 2}},		  /* "." at 24, a directory */
		{1184 + 12, {36}},		  /* nid */
		{1184 + 20, {25, 0, 2}},	  /* ".." at 25, a directory */
		{1184 + 24, {'.', '.', '.'}},
	};

	memset(image, 0, 4096);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		memcpy(image + rows[i].at, rows[i].bytes,
		       sizeof(rows[i].bytes));
}

/* The nearest directory above path, or path itself, that exists. */
static void existing(const char *path, char found[static PATH_MAX])
{
	(void)snprintf(found, PATH_MAX, "%s", path);
	while (access(found, F_OK) < 0 && strcmp(found, "/") != 0) {
		const char *above = dirname(found);

		/* It has cut found, or is a constant. */
		memmove(found, above, strlen(above) + 1);
	}
}

/* A file without a name in the state directory's file system. */
static int nameless(const struct doctor *d)
{
	char path[PATH_MAX];
	int fd;

	existing(d->state_dir, path);
	fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* 0, or the errno. */
static int try_image(void *ctx)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", *(int *)ctx);
	if (mount(path, MOUNT_POINT, "erofs", MS_RDONLY, NULL) == 0)
		return 0;
	return MIN(errno, CHILD_FAILED - 1);
}

static int mount_image(const struct doctor *d)
{
	_cleanup_close_ int fd = nameless(d);
	uint8_t image[4096];

	if (fd < 0)
		return CHILD_FAILED;
	make_image(image);
	if (write_full(fd, image, sizeof(image)) < 0)
		return CHILD_FAILED;
	return in_namespace(try_image, &fd);
}

void doctor_erofs(const struct doctor *d, struct doctor_finding *ret)
{
	int r = d->admin ? mount_image(d) : CHILD_FAILED;

	/* The daemon goes by the kernel's version. */
	if (!d->admin && reply_bool(d->status, "file_backed_erofs")) {
		doctor_found(ret, "layerd says that the kernel can");
		return;
	}
	switch (r) {
	case 0:
		doctor_found(ret, "a small image was mounted from a file");
		return;
	case CHILD_FAILED:
		unseen(d, "erofs", ret);
		return;
	case ENODEV:
		doctor_found(ret, "the kernel has no EROFS");
		doctor_todo(ret, "modprobe erofs, or a kernel that has it");
		break;
	case ENOTBLK:
		doctor_found(ret, "only from block devices");
		doctor_todo(ret,
			    "boot Linux 6.12 or newer, and put %s on a "
			    "disk file system",
			    d->state_dir);
		break;
	default:
		doctor_found(ret, "refused: %s", strerror(r));
		doctor_todo(ret, "see what the kernel says (dmesg)");
		break;
	}
	doctor_follows(ret, DOCTOR_PROBLEM,
		       "volumes with versions cannot be mounted");
}

struct file_system {
	unsigned long type;
	const char *name;
	const char *why; /* it does not do, or NULL */
};

static const struct file_system file_systems[] = {
	{EXT4_SUPER_MAGIC, "ext4", NULL},
	{XFS_SUPER_MAGIC, "xfs", NULL},
	{BTRFS_SUPER_MAGIC, "btrfs", NULL},
	{F2FS_SUPER_MAGIC, "f2fs", NULL},
	{OVERLAYFS_SUPER_MAGIC, "overlayfs",
	 "it cannot hold the upper directory of another overlay"},
	{TMPFS_MAGIC, "tmpfs",
	 "EROFS cannot be mounted from its files, and it is lost at reboot"},
	{NFS_SUPER_MAGIC, "nfs",
	 "it cannot hold the upper directory of an overlay"},
	{FUSE_SUPER_MAGIC, "fuse",
	 "it cannot hold the upper directory of an overlay"},
};

static bool has_reflinks(const struct doctor *d)
{
	_cleanup_close_ int from = nameless(d), to = nameless(d);

	return from >= 0 && to >= 0 && write_full(from, "layerd", 6) == 0 &&
	       ioctl(to, FICLONE, from) == 0;
}

static void unfit(const struct doctor *d, const char *why,
		  struct doctor_finding *ret)
{
	doctor_follows(ret, DOCTOR_PROBLEM, "%s", why);
	doctor_todo(ret,
		    "put %s on a disk file system (ext4, xfs, btrfs), or "
		    "choose another place with LAYERD_STATE_DIR",
		    d->state_dir);
}

void doctor_state_type(const struct doctor *d, struct doctor_finding *ret)
{
	const struct file_system *known = NULL;
	char path[PATH_MAX];
	struct statfs fs;

	existing(d->state_dir, path);
	if (statfs(path, &fs) < 0) {
		doctor_found(ret, "%s: %s", path, strerror(errno));
		ret->state = DOCTOR_UNSEEN;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(file_systems); i++)
		if (file_systems[i].type == (unsigned long)fs.f_type)
			known = &file_systems[i];
	doctor_found(ret, "%s, on %s%s", d->state_dir,
		     known ? known->name : "a file system of another kind",
		     has_reflinks(d) ? " with reflinks" : "");
	if (strchr(d->state_dir, ','))
		unfit(d, "mount options cannot hold the comma in its path",
		      ret);
	else if (fs.f_flags & ST_RDONLY)
		unfit(d, "it is mounted read-only", ret);
	else if (known && known->why)
		unfit(d, known->why, ret);
	else if (!known)
		doctor_follows(ret, DOCTOR_WARNING,
			       "layerd is tested on ext4, xfs and btrfs");
}

#define SPACE_MIN (64ull << 20)
#define SPACE_LOW (1ull << 30)
#define INODES_LOW 10000

void doctor_state_space(const struct doctor *d, struct doctor_finding *ret)
{
	char path[PATH_MAX], size[OUTPUT_SIZE_MAX];
	unsigned long long free_bytes;
	struct statvfs fs;

	existing(d->state_dir, path);
	if (statvfs(path, &fs) < 0) {
		doctor_found(ret, "%s: %s", path, strerror(errno));
		ret->state = DOCTOR_UNSEEN;
		return;
	}
	free_bytes = (unsigned long long)fs.f_bavail * fs.f_frsize;
	doctor_found(ret, "%s", output_size(free_bytes, size));
	/* File systems that make inodes as they need them have no number. */
	if (fs.f_files)
		doctor_found(ret, "%s and %llu inodes", size,
			     (unsigned long long)fs.f_favail);
	if (free_bytes < SPACE_MIN || (fs.f_files && fs.f_favail == 0))
		doctor_follows(ret, DOCTOR_PROBLEM, "nothing can be sealed");
	else if (free_bytes < SPACE_LOW)
		doctor_follows(ret, DOCTOR_WARNING,
			       "a large seal may find the disk full");
	else if (fs.f_files && fs.f_favail < INODES_LOW)
		doctor_follows(ret, DOCTOR_WARNING,
			       "writing many files may fail");
	if (ret->state != DOCTOR_OK)
		doctor_todo(ret, "free space where %s is", d->state_dir);
}

void doctor_state_xattrs(const struct doctor *d, struct doctor_finding *ret)
{
	_cleanup_close_ int fd = nameless(d);

	if (fd < 0) {
		doctor_found(ret, "no file could be made to try it on: %s",
			     strerror(-fd));
		doctor_follows(ret, DOCTOR_UNSEEN,
			       "overlayfs needs trusted.* attributes");
		if (geteuid() != 0)
			doctor_todo(ret, "sudo layerctl doctor");
		return;
	}
	if (fsetxattr(fd, "trusted.layerd", "1", 1, 0) == 0) {
		doctor_found(ret, "trusted.* can be set");
		return;
	}
	doctor_found(ret, "trusted.*: %s", strerror(errno));
	if (errno != EPERM || d->admin) {
		unfit(d, "overlayfs needs trusted.* attributes", ret);
		return;
	}
	doctor_follows(ret, DOCTOR_UNSEEN, "only root may set them");
	doctor_todo(ret, "sudo layerctl doctor");
}
