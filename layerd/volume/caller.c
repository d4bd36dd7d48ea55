/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: a thread that could not get the credentials does nothing with
 * those it has. All calls are for this thread alone: the C library's
 * setgroups() would change every thread.
 */
#include "volume/caller.h"

#include "util/cleanup.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

void caller_release(struct caller *c)
{
	free(c->groups);
	*c = (struct caller){0};
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

int caller_become(const struct caller *c)
{
	if (c->uid == geteuid())
		return 0;
	if (syscall(SYS_setgroups, c->n_groups, c->groups) < 0)
		return -errno;
	/* They answer with the id before; only a second call tells. */
	(void)setfsgid(c->gid);
	(void)setfsuid(c->uid);
	if ((gid_t)setfsgid((gid_t)-1) != c->gid ||
	    (uid_t)setfsuid((uid_t)-1) != c->uid)
		return -EPERM;
	return drop_capabilities();
}

bool caller_is_kept_out(int fd)
{
	struct statfs fs;

	/* Who is let in is told the size of its blocks (fs/fuse/inode.c). */
	return fstatfs(fd, &fs) == 0 && fs.f_type == FUSE_SUPER_MAGIC &&
	       fs.f_bsize == 0;
}

struct run {
	const struct caller *caller;
	caller_fn fn;
	void *ctx;
	struct err *err;
	int result;
};

static void *run_main(void *ctx)
{
	struct run *run = ctx;

	run->result = caller_become(run->caller);
	if (run->result < 0)
		err_errno(run->err, run->result,
			  "cannot take the credentials of user %u",
			  (unsigned int)run->caller->uid);
	else
		run->result = run->fn(run->ctx, run->err);
	return NULL;
}

int caller_run(const struct caller *c, caller_fn fn, void *ctx, struct err *err)
{
	struct run run = {.caller = c, .fn = fn, .ctx = ctx, .err = err};
	pthread_t thread;
	int r = pthread_create(&thread, NULL, run_main, &run);

	if (r)
		return err_errno(err, r, "cannot start a thread");
	(void)pthread_join(thread, NULL);
	return run.result;
}
