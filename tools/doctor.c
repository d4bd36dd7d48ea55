/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>

const struct doctor_check doctor_checks[] = {
	{"kernel", "kernel", doctor_kernel},
	{"page-size", "page size", doctor_page_size},
	{"privileges", "privileges", doctor_privileges},
	{"overlayfs", "overlayfs", doctor_overlay},
	{"erofs", "EROFS on files", doctor_erofs},
	{"state-type", "state directory", doctor_state_type},
	{"state-space", "free space", doctor_state_space},
	{"state-xattrs", "attributes", doctor_state_xattrs},
	{"daemon", "daemon", doctor_daemon},
	{"group", "group", doctor_group},
	{"clock", "clock", doctor_clock},
	{"open-files", "open files", doctor_files},
	{"loop", "loop devices", doctor_loop},
	{"fuse", "FUSE", doctor_fuse},
	{"io_uring", "io_uring", doctor_io_uring},
	{"user-namespaces", "user namespaces", doctor_namespaces},
	{"programs", "programs", doctor_programs},
	{0},
};

const char *doctor_state_name(enum doctor_state state)
{
	static const char *const names[] = {
		[DOCTOR_OK] = "ok",
		[DOCTOR_UNSEEN] = "unseen",
		[DOCTOR_WARNING] = "warning",
		[DOCTOR_PROBLEM] = "problem",
	};

	return names[state];
}

void doctor_found(struct doctor_finding *d, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(d->found, sizeof(d->found), format, ap);
	va_end(ap);
}

void doctor_follows(struct doctor_finding *d, enum doctor_state state,
		    const char *format, ...)
{
	va_list ap;

	d->state = state;
	va_start(ap, format);
	(void)vsnprintf(d->follows, sizeof(d->follows), format, ap);
	va_end(ap);
}

void doctor_todo(struct doctor_finding *d, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(d->todo, sizeof(d->todo), format, ap);
	va_end(ap);
}

bool doctor_release_is(const char *release, unsigned int high, unsigned int low)
{
	unsigned int a = 0, b = 0;

	(void)sscanf(release, "%u.%u", &a, &b);
	return a > high || (a == high && b >= low);
}
