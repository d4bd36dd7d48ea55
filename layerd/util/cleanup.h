/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every local resource is declared together with its destructor, so no early
 * return can leak it. A destructor takes a pointer to the variable, accepts the
 * empty value (NULL, -1) and leaves it behind.
 */

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

/* Defines namep(T **), which calls name(*p); name must accept NULL. */
#define DEFINE_CLEANUP(type, name)                                             \
	static inline void name##p(type *p)                                    \
	{                                                                      \
		if (*p)                                                        \
			name(*p);                                              \
		*p = NULL;                                                     \
	}

/* Moves a pointer or descriptor out of a variable with a destructor. */
#define TAKE_PTR(p)                                                            \
	({                                                                     \
		__typeof__(p) *_pp = &(p);                                     \
		__typeof__(p) _v = *_pp;                                       \
		*_pp = NULL;                                                   \
		_v;                                                            \
	})
#define TAKE_FD(fd)                                                            \
	({                                                                     \
		int *_fp = &(fd);                                              \
		int _v = *_fp;                                                 \
		*_fp = -1;                                                     \
		_v;                                                            \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

static inline void freep(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

/* For descriptors that were only read, or whose loss is already reported. */
static inline void closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}
