/* SPDX-License-Identifier: Apache-2.0 */
#include "exec.h"

#include "util/cleanup.h"
#include "util/paths.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

static int drop_from_namespace(const char *name, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s", paths_runtime_dir(), name) < 0)
		return err_oom(err);
	/* Not there, or not a mount: nothing to be kept busy. */
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 &&
	    errno != EINVAL && errno != ENOENT)
		return err_errno(err, errno, "cannot unmount %s", path);
	return 0;
}

int exec_enter_namespace(struct err *err)
{
	int r;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
		if (errno == EPERM)
			return err_set(err, EPERM,
				       "you may not make a mount namespace: "
				       "that needs CAP_SYS_ADMIN; do it as "
				       "root");
		return err_errno(err, errno, "cannot make a mount namespace");
	}
	r = drop_from_namespace("mounts", err);
	return r < 0 ? r : drop_from_namespace("lower", err);
}

static int spawn(char *const *argv, const char *directory,
		 const sigset_t *signals, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	r = posix_spawn_file_actions_addchdir_np(&actions, directory);
	if (r == 0)
		r = posix_spawnattr_setflags(&attributes,
					     POSIX_SPAWN_SETSIGMASK);
	if (r == 0)
		r = posix_spawnattr_setsigmask(&attributes, signals);
	if (r == 0)
		r = posix_spawnp(ret, argv[0], &actions, &attributes, argv,
				 environ);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* Until the process has ended. signals are blocked. */
static int wait_and_forward(pid_t pid, const sigset_t *signals)
{
	siginfo_t info;
	int status;

	for (;;) {
		int s = sigwaitinfo(signals, &info);

		if (s < 0)
			continue;
		if (s != SIGCHLD) {
			/* What the kernel sent, the terminal's driver did, to
			 * all of its foreground processes. */
			if (info.si_code <= 0)
				(void)kill(pid, s);
			continue;
		}
		if (waitpid(pid, &status, WNOHANG) != pid)
			continue;
		return WIFSIGNALED(status) ? EXEC_SIGNAL + WTERMSIG(status)
					   : WEXITSTATUS(status);
	}
}

int exec_run(char *const *argv, const char *directory, int *ret_status,
	     struct err *err)
{
	static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t signals, before;
	pid_t pid;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&signals, forwarded[i]);
	/* Whoever started us may have chosen not to be told. */
	(void)signal(SIGCHLD, SIG_DFL);
	if (sigprocmask(SIG_BLOCK, &signals, &before) < 0)
		return err_errno(err, errno, "cannot block signals");
	r = spawn(argv, directory, &before, &pid);
	if (r == 0)
		*ret_status = wait_and_forward(pid, &signals);
	else
		*ret_status = r == -ENOENT ? EXEC_NOT_FOUND : EXEC_CANNOT_RUN;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return r < 0 ? err_errno(err, r, "cannot run %s", argv[0]) : 0;
}
