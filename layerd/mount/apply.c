/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every system call of a mount. What must hold: an image is never mounted
 * twice, a failure leaves no half-made overlay, and nothing is attached where
 * other mount namespaces would see it.
 */
#include "mount/apply.h"

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What the kernel wrote about the last failure, e.g. "overlay: ...". */
static void kernel_message(int fs_fd, char *text, size_t size)
{
	ssize_t n = read(fs_fd, text, size - 1);

	if (n <= 2) {
		text[0] = 0;
		return;
	}
	text[n] = 0;
	/* "e " marks an error; a newline ends it. */
	memmove(text, text + 2, (size_t)n - 1);
	text[strcspn(text, "\n")] = 0;
}

static int mount_failed(int fs_fd, int code, const char *what,
			const char *object, struct err *err)
{
	char text[256] = "";

	if (fs_fd >= 0)
		kernel_message(fs_fd, text, sizeof(text));
	switch (code < 0 ? -code : code) {
	case EPERM:
		return err_set(err, code,
			       "cannot mount %s %s: mounting needs root with "
			       "CAP_SYS_ADMIN in this mount namespace",
			       what, object);
	case ENODEV:
		return err_set(err, EOPNOTSUPP,
			       "cannot mount %s: this kernel has no %s; load "
			       "the module or use a kernel that has it",
			       object, what);
	case ENOTBLK:
		return err_set(
			err, EOPNOTSUPP,
			"cannot mount %s %s from a file: that needs "
			"Linux 6.12 and a state directory on a disk file "
			"system (not tmpfs or overlayfs)",
			what, object);
	default:
		return err_errno(err, code, "cannot mount %s %s%s%s%s", what,
				 object, text[0] ? " (" : "", text,
				 text[0] ? ")" : "");
	}
}

int mount_is_root(const char *path)
{
	struct statx stx;

	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW,
		  STATX_TYPE, &stx) < 0)
		return -errno;
	return (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* Sets a parameter of the kernel. Where sysfs cannot be written the mount works
 * all the same, with the limits that its callers name. */
static void set_parameter(const char *name, unsigned int value)
{
	_cleanup_close_ int fd = open(name, O_WRONLY | O_CLOEXEC);
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", value);

	if (fd >= 0 && write(fd, text, (size_t)n) < 0)
		return;
}

/* FS_IOC_GETFSSYSFSPATH of <linux/fs.h>, since 6.9. */
struct sysfs_path {
	uint8_t size;
	uint8_t name[128];
};
#define GET_SYSFS_PATH _IOR(0x15, 1, struct sysfs_path)

/*
 * A file-backed EROFS mount reads ahead 128 KiB until it is told otherwise. Its
 * device number is anonymous and not that of its entry in /sys/class/bdi, whose
 * name is that of its directory in /sys/fs/erofs.
 */
static void raise_read_ahead(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sysfs_path found = {0};
	char name[192];
	const char *last;

	if (fd < 0 || ioctl(fd, GET_SYSFS_PATH, &found) < 0)
		return;
	found.name[sizeof(found.name) - 1] = 0;
	last = strrchr((char *)found.name, '/');
	if (!last)
		return;
	snprintf(name, sizeof(name), "/sys/class/bdi%s/read_ahead_kb", last);
	set_parameter(name, MOUNT_READ_AHEAD_KB);
}

/*
 * Where a renamed directory came from is an xattr of at most 256 bytes until
 * overlayfs is told otherwise; beyond that a rename answers EXDEV.
 */
static void raise_redirect_max(void)
{
	set_parameter("/sys/module/overlay/parameters/redirect_max", PATH_MAX);
}

static int mount_image(struct plan_image *image, struct err *err)
{
	_cleanup_free_ char *options = NULL;
	int r = mount_is_root(image->directory);

	if (r > 0)
		return 0;
	if (r < 0 && mkdir(image->directory, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot create %s",
				 image->directory);
	if (asprintf(&options, "device=%s", image->data) < 0)
		return err_oom(err);
	r = fault_point("mount.image");
	if (r < 0)
		return r;
	if (mount(image->index, image->directory, "erofs",
		  MS_RDONLY | MS_NOATIME, options) < 0)
		return mount_failed(-1, errno, "EROFS image", image->index,
				    err);
	raise_read_ahead(image->directory);
	image->mounted = true;
	return 0;
}

static int set_string(int fs_fd, const char *key, const char *value)
{
	return fsconfig(fs_fd, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno
								       : 0;
}

/* Before 6.5 there is no "lowerdir+" and the list is one string. */
static int set_lowers_joined(int fs_fd, const struct mount_plan *plan)
{
	_cleanup_buf_ struct buf list = BUF_INIT;

	for (size_t i = 0; i < plan->n_lowers; i++)
		if (buf_printf(&list, "%s%s", i ? ":" : "", plan->lowers[i]) <
		    0)
			return -ENOMEM;
	if (!buf_str(&list))
		return -ENOMEM;
	return set_string(fs_fd, "lowerdir", buf_str(&list));
}

static int set_lowers(int fs_fd, const struct mount_plan *plan)
{
	for (size_t i = 0; i < plan->n_lowers; i++) {
		int r = set_string(fs_fd, "lowerdir+", plan->lowers[i]);

		if (r == -EINVAL && i == 0)
			return set_lowers_joined(fs_fd, plan);
		if (r < 0)
			return r;
	}
	return 0;
}

static int configure(int fs_fd, const struct mount_plan *plan)
{
	static const char *const features[] = {"redirect_dir", "metacopy",
					       "index", "xino"};
	int r = set_string(fs_fd, "source", plan->source);

	if (r == 0)
		r = set_lowers(fs_fd, plan);
	if (r == 0 && plan->upper) {
		r = set_string(fs_fd, "upperdir", plan->upper);
		if (r == 0)
			r = set_string(fs_fd, "workdir", plan->work);
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(features); i++) {
		/* An index lives in the work directory. */
		if (!plan->upper && strcmp(features[i], "index") == 0)
			continue;
		r = set_string(fs_fd, features[i], "on");
	}
	if (r == 0 && !plan->upper &&
	    fsconfig(fs_fd, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		r = -errno;
	if (r == 0 && fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = -errno;
	return r;
}

int mount_plan_apply(struct mount_plan *plan, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fs_fd = -1;
	unsigned int attributes = plan->upper ? 0 : MOUNT_ATTR_RDONLY;
	int fd, r;

	for (size_t i = 0; i < plan->n_images; i++) {
		r = mount_image(&plan->images[i], err);
		if (r < 0)
			return r;
	}
	r = fault_point("mount.overlay");
	if (r < 0)
		return r;
	fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs_fd < 0)
		return mount_failed(-1, errno, "overlay", plan->source, err);
	if (plan->upper)
		raise_redirect_max();
	r = configure(fs_fd, plan);
	if (r == -EBUSY)
		return err_set(err, r,
			       "cannot mount %s: its upper directory %s is in "
			       "use by another overlay mount; unmount that "
			       "first (findmnt -t overlay)",
			       plan->source, plan->upper);
	if (r == -ESTALE)
		return err_set(err, r,
			       "cannot mount %s: its upper directory %s was "
			       "made on other layers than those it would be "
			       "mounted on now",
			       plan->source, plan->upper);
	if (r < 0)
		return mount_failed(fs_fd, r, "overlay", plan->source, err);
	if (plan->restricted)
		attributes |= MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, attributes);
	if (fd < 0)
		return mount_failed(fs_fd, errno, "overlay", plan->source, err);
	*ret_fd = fd;
	return 0;
}

int mount_attach(int fd, const char *path, struct err *err)
{
	if (move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(err, errno, "cannot attach a mount to %s",
				 path);
	return 0;
}

int mount_copy(const char *path, const char *root, int *ret_fd, struct err *err)
{
	struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT |
					  RESOLVE_NO_SYMLINKS |
					  RESOLVE_NO_XDEV};
	_cleanup_close_ int top = open(path, O_PATH | O_CLOEXEC);
	_cleanup_close_ int from = -1;
	int fd = -1;

	if (top >= 0)
		from = (int)syscall(SYS_openat2, top, root, &how, sizeof(how));
	if (from >= 0)
		fd = open_tree(from, "",
			       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
				       AT_EMPTY_PATH);
	if (fd < 0)
		return err_errno(err, errno, "cannot copy the mount at %s",
				 path);
	*ret_fd = fd;
	return 0;
}

int mount_restrict(int fd, uint64_t attributes, struct err *err)
{
	struct mount_attr set = {.attr_set = attributes};

	/* These are values of one field, which is set as a whole. */
	if (attributes & MOUNT_ATTR__ATIME)
		set.attr_clr = MOUNT_ATTR__ATIME;
	if (attributes &&
	    mount_setattr(fd, "", AT_EMPTY_PATH, &set, sizeof(set)) < 0)
		return err_errno(err, errno,
				 "cannot set the attributes of a mount");
	return 0;
}

int mount_make_private(const char *path, struct err *err)
{
	int r = mount_is_root(path);

	if (r < 0)
		return err_errno(err, r, "cannot examine %s", path);
	if (r == 0 && mount(path, path, NULL, MS_BIND, NULL) < 0)
		return mount_failed(-1, errno, "directory", path, err);
	if (mount(NULL, path, NULL, MS_PRIVATE, NULL) < 0)
		return mount_failed(-1, errno, "directory", path, err);
	return 0;
}

static void *close_main(void *ctx)
{
	(void)close((int)(intptr_t)ctx);
	return NULL;
}

/* The last descriptor of a mount that is detached already. */
static void close_behind(int fd)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r = pthread_attr_init(&attr);

	if (r == 0) {
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		r = pthread_create(&thread, &attr, close_main,
				   (void *)(intptr_t)fd);
		pthread_attr_destroy(&attr);
	}
	if (r)
		(void)close(fd);
}

int mount_drop(const char *path, struct err *err)
{
	/* Whoever gives the last reference away waits until the kernel has
	 * forgotten every name and page, some microseconds each. */
	_cleanup_close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0) {
		if (errno == EINVAL || errno == ENOENT)
			return 0;
		return err_errno(err, errno, "cannot unmount %s", path);
	}
	if (fd >= 0)
		close_behind(TAKE_FD(fd));
	return 0;
}

/* What a child does in a mount namespace. */
struct errand {
	int (*run)(const struct errand *errand);
	ino_t namespace; /* the one that is meant; 0: whichever it is */
	int fd;		 /* of the mount to attach */
	const char *path;
	const char *name; /* in path, when it is a directory to work in */
	dev_t device;
	bool lazy;
};

/*
 * A child with a table of files of its own would keep what other threads are
 * about to close: a mount that they hand out would be busy, a lock that they
 * release still be held.
 */
static pid_t fork_sharing_files(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL,
			      NULL, NULL);
}

/*
 * Joins a mount namespace in a child, since threads share theirs. Between fork
 * and exit the child of a threaded process may only make system calls.
 */
static int run_in(pid_t pid, const struct errand *errand)
{
	_cleanup_close_ int ns = -1;
	_cleanup_close_ int root = -1;
	struct stat st;
	char name[64];
	int status;
	pid_t child;

	snprintf(name, sizeof(name), "/proc/%d/ns/mnt", (int)pid);
	ns = open(name, O_RDONLY | O_CLOEXEC);
	snprintf(name, sizeof(name), "/proc/%d/root", (int)pid);
	root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ns < 0 || root < 0)
		return -errno;
	if (errand->namespace &&
	    (fstat(ns, &st) < 0 || st.st_ino != errand->namespace))
		return -ESRCH;
	child = fork_sharing_files();
	if (child < 0)
		return -errno;
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setns(ns, CLONE_NEWNS) < 0 || fchdir(root) < 0 ||
		    chroot(".") < 0)
			_exit(errno & 0x7f);
		_exit(-errand->run(errand) & 0x7f);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static int attach_call(const struct errand *e)
{
	if (move_mount(e->fd, "", AT_FDCWD, e->path, MOVE_MOUNT_F_EMPTY_PATH) <
	    0)
		return -errno;
	return 0;
}

/* From the directory that holds the mount point: a mount point can neither be
 * renamed nor removed in its namespace, so what was checked is what is
 * unmounted. */
static int detach_call(const struct errand *e)
{
	struct stat st;

	if (chdir(e->path) < 0 ||
	    fstatat(AT_FDCWD, e->name, &st,
		    AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return -errno;
	if (st.st_dev != e->device)
		return -EINVAL;
	if (umount2(e->name, UMOUNT_NOFOLLOW | (e->lazy ? MNT_DETACH : 0)) < 0)
		return -errno;
	return 0;
}

int mount_attach_in(pid_t pid, ino_t namespace, int fd, const char *path)
{
	struct errand errand = {.run = attach_call,
				.namespace = namespace,
				.fd = fd,
				.path = path};

	return run_in(pid, &errand);
}

int mount_detach_in(pid_t pid, dev_t device, const char *path, bool lazy)
{
	struct errand errand = {
		.run = detach_call, .device = device, .lazy = lazy};
	_cleanup_free_ char *parent = strdup(path);
	size_t n = strlen(path);
	char *slash;

	if (!parent)
		return -ENOMEM;
	while (n > 1 && parent[n - 1] == '/')
		parent[--n] = 0;
	slash = strrchr(parent, '/');
	if (!slash)
		return -EINVAL;
	*slash = 0;
	errand.path = slash == parent ? "/" : parent;
	errand.name = slash[1] ? slash + 1 : ".";
	return run_in(pid, &errand);
}
