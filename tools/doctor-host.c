/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the host that mount nothing. */
#include "doctor.h"

#include "reply.h"

#include "util/cleanup.h"
#include "util/paths.h"
#include "util/release.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>

#define KERNEL_ADVICE "boot Linux 6.12 or newer"

void doctor_kernel(const struct doctor *d, struct doctor_finding *ret)
{
	struct utsname name;

	if (uname(&name) < 0) {
		doctor_found(ret, "uname: %s", strerror(errno));
		ret->state = DOCTOR_UNSEEN;
		return;
	}
	doctor_found(ret, "%s %s, %s", name.sysname, name.release,
		     name.machine);
	if (doctor_release_is(name.release, 6, 12))
		return;
	if (!doctor_release_is(name.release, 5, 2))
		doctor_follows(ret, DOCTOR_PROBLEM,
			       "it has no fsopen(), with which volumes are "
			       "mounted");
	else
		doctor_follows(ret, DOCTOR_PROBLEM,
			       "it cannot mount EROFS straight from files: "
			       "volumes with versions cannot be mounted; "
			       "sealing, reading and comparing work");
	doctor_todo(ret, KERNEL_ADVICE);
}

void doctor_page_size(const struct doctor *d, struct doctor_finding *ret)
{
	long size = sysconf(_SC_PAGESIZE);

	doctor_found(ret, "%ld bytes", size);
	if (size != 4096)
		doctor_follows(ret, DOCTOR_WARNING,
			       "layerd is tested with pages of 4096 bytes");
}

void doctor_privileges(const struct doctor *d, struct doctor_finding *ret)
{
	bool root = geteuid() == 0;

	doctor_found(ret, "%s, %s CAP_SYS_ADMIN", root ? "root" : "not root",
		     d->admin ? "with" : "without");
	if (root && d->admin)
		return;
	if (root) {
		doctor_follows(ret, DOCTOR_PROBLEM,
			       "nothing can be mounted from here");
		doctor_todo(ret, "in a container, add CAP_SYS_ADMIN");
		return;
	}
	if (d->status)
		return;
	doctor_follows(ret, DOCTOR_WARNING,
		       "a layerd that you start cannot mount");
	doctor_todo(ret, "let root start layerd, or be root");
}

/* The number in a file of /proc or /sys, -1 without one. */
static long read_number(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return -1;
	text[n] = 0;
	return strtol(text, NULL, 10);
}

void doctor_namespaces(const struct doctor *d, struct doctor_finding *ret)
{
	long most = read_number("/proc/sys/user/max_user_namespaces");
	long allowed =
		read_number("/proc/sys/kernel/unprivileged_userns_clone");

	if (most > 0 && allowed != 0) {
		doctor_found(ret, "anybody may make them");
		return;
	}
	doctor_found(ret, most > 0 ? "only root may make them" : "none");
	doctor_follows(ret, DOCTOR_OK,
		       "volumes are mounted by root alone, which is all that "
		       "layerd offers by now");
}

void doctor_group(const struct doctor *d, struct doctor_finding *ret)
{
	const struct group *group = getgrnam("layer");
	bool member = group && group->gr_gid == getegid();
	gid_t *groups = NULL;
	int n = getgroups(0, NULL);

	groups = calloc((size_t)MAX(n, 1), sizeof(*groups));
	n = groups && n > 0 ? getgroups(n, groups) : 0;
	for (int i = 0; group && i < n; i++)
		member |= groups[i] == group->gr_gid;
	free(groups);
	if (!group) {
		doctor_found(ret, "there is no group layer");
		doctor_follows(ret, geteuid() ? DOCTOR_WARNING : DOCTOR_OK,
			       "only root may use the daemon");
		doctor_todo(ret, "groupadd --system layer, restart layerd, and "
				 "add who may use it");
		return;
	}
	doctor_found(ret, "layer is there%s", member ? ", you are in it" : "");
	if (member || geteuid() == 0)
		return;
	doctor_follows(ret, DOCTOR_WARNING, "you may not use the daemon");
	doctor_todo(ret, "usermod -aG layer USER, and log in again");
}

/* 2024-01-01: before the first version of this program. */
#define CLOCK_MIN 1704067200

void doctor_clock(const struct doctor *d, struct doctor_finding *ret)
{
	struct timex t = {0};
	time_t now = time(NULL);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm))
		(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &tm);
	if (now < CLOCK_MIN) {
		doctor_found(ret, "it says %s", text);
		doctor_follows(ret, DOCTOR_WARNING,
			       "versions will be dated in the past");
		doctor_todo(ret, "set the clock (timedatectl set-ntp true)");
	} else if (adjtimex(&t) >= 0 && (t.status & STA_UNSYNC)) {
		doctor_found(ret, "%s, which nobody keeps right", text);
		doctor_follows(ret, DOCTOR_WARNING,
			       "the times of versions are no better than it");
		doctor_todo(ret, "timedatectl set-ntp true");
	} else {
		doctor_found(ret, "%s", text);
	}
}

void doctor_files(const struct doctor *d, struct doctor_finding *ret)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		doctor_found(ret, "getrlimit: %s", strerror(errno));
		ret->state = DOCTOR_UNSEEN;
		return;
	}
	doctor_found(ret, "up to %llu a process",
		     (unsigned long long)limit.rlim_max);
	if (limit.rlim_max >= 4096)
		return;
	doctor_follows(ret, DOCTOR_WARNING,
		       "trees deeper than that, or many callers at once, are "
		       "refused");
	doctor_todo(ret, "raise the limit (LimitNOFILE= of the service)");
}

static bool in_search_path(const char *name)
{
	static const char *const directories[] = {
		"/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"};

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "%s/%s", directories[i],
			       name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

void doctor_programs(const struct doctor *d, struct doctor_finding *ret)
{
	static const struct {
		const char *name;
		const char *package;
	} rows[] = {
		{"fusermount3", "fuse3"},
		{"fsck.erofs", "erofs-utils"},
	};
	size_t used = 0, missing = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (in_search_path(rows[i].name))
			continue;
		used += (size_t)snprintf(
			ret->found + used, sizeof(ret->found) - used,
			"%s%s (package %s)", missing ? ", " : "no ",
			rows[i].name, rows[i].package);
		missing++;
	}
	if (missing)
		doctor_follows(ret, DOCTOR_OK,
			       "nothing: layerd runs no other programs; they "
			       "help who looks for errors");
	else
		doctor_found(ret, "fusermount3, fsck.erofs");
}

static void optional_device(const char *path, const char *what,
			    struct doctor_finding *ret)
{
	if (access(path, F_OK) == 0) {
		doctor_found(ret, "%s is there", path);
		return;
	}
	doctor_found(ret, "there is no %s", path);
	doctor_follows(ret, DOCTOR_OK,
		       "nothing: layerd mounts %s, and does not use it", what);
}

void doctor_loop(const struct doctor *d, struct doctor_finding *ret)
{
	optional_device("/dev/loop-control", "straight from files", ret);
}

void doctor_fuse(const struct doctor *d, struct doctor_finding *ret)
{
	optional_device("/dev/fuse", "what is in its cache", ret);
}

void doctor_io_uring(const struct doctor *d, struct doctor_finding *ret)
{
	struct io_uring_params p = {0};
	_cleanup_close_ int fd = (int)syscall(SYS_io_uring_setup, 1, &p);

	if (fd >= 0) {
		doctor_found(ret, "works");
		return;
	}
	doctor_found(ret, "refused: %s", strerror(errno));
	doctor_follows(ret, DOCTOR_OK, "nothing: layerd does not use it");
}

static void no_daemon(const struct doctor *d, struct doctor_finding *ret)
{
	if (d->daemon_error == -ECONNREFUSED) {
		doctor_found(ret, "none is listening at %s",
			     paths_runtime_dir());
		doctor_follows(ret, DOCTOR_OK,
			       "the next command starts one, unless a service "
			       "is to");
		return;
	}
	doctor_found(ret, "%s", d->daemon_text);
	if (d->daemon_error == -EACCES) {
		doctor_follows(ret, DOCTOR_WARNING,
			       "you cannot use the daemon that runs");
		return;
	}
	doctor_follows(ret, DOCTOR_PROBLEM, "no command will work");
	doctor_todo(ret, "look into the log of layerd, and restart it");
}

void doctor_daemon(const struct doctor *d, struct doctor_finding *ret)
{
	const char *version = reply_string(d->status, "version");

	if (!d->status) {
		no_daemon(d, ret);
		return;
	}
	doctor_found(ret, "layerd %s, process %lld, serves %s", version,
		     (long long)reply_int(d->status, "pid"),
		     reply_string(d->status, "state"));
	if (strcmp(version, release_text) != 0) {
		doctor_follows(ret, DOCTOR_WARNING,
			       "this is layerctl %s; what only one of them "
			       "knows is refused",
			       release_text);
		doctor_todo(ret, "restart layerd; mounts stay");
	}
}
