/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The error contract of the whole tree.
 *
 * Functions return 0 or a negative errno, which callers forward unchanged;
 * positive results are named outcomes that the direct caller handles. Where a
 * person can act on a failure, the last parameter is a struct err that receives
 * one sentence: the object, what was tried, what to do next. Whoever fills it
 * first knows most; callers do not overwrite it, they may put context in front.
 *
 * The errno is also the error's kind: the API's named errors and the exit codes
 * of the tools are derived from it (see server/errors.c and tools/exit.h):
 *   EINVAL bad input            ENOENT no such object    EEXIST exists already
 *   EBUSY in use                EPERM/EACCES refused     ENOSPC/EDQUOT full
 *   EROFS store is read-only    EBADMSG corrupt data     ESTALE changed
 * meanwhile EAGAIN would not hold still ENOSYS/EOPNOTSUPP not possible on this
 * host
 */

#include <stddef.h>

#define ERR_TEXT_MAX 1024

struct err {
	int code; /* negative errno, 0 while empty */
	char text[ERR_TEXT_MAX];
};

#define ERR_INIT                                                               \
	(struct err)                                                           \
	{                                                                      \
		.code = 0, .text = ""                                          \
	}

/*
 * Fills err unless it is NULL or already filled and returns the negative errno
 * of code, whose sign does not matter. Text too long is cut and ends in "...".
 */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set(), with ": " and the errno's own description appended. */
int err_errno(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "CONTEXT: " in front of a filled err; returns err's code, or code. */
int err_prefix(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Allocation failed while working on what. Returns -ENOMEM. */
int err_oom(struct err *err);
