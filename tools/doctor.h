/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What this host can and cannot do. Each check is one row of a table; it looks
 * with system calls, changes nothing that others could see, and leaves nothing.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_UNSEEN,	/* could not be looked at, and why */
	DOCTOR_WARNING, /* works, with a drawback */
	DOCTOR_PROBLEM, /* layerd cannot do its work */
};

#define DOCTOR_TEXT_MAX 320

struct doctor_finding {
	enum doctor_state state;
	char found[DOCTOR_TEXT_MAX];
	char follows[DOCTOR_TEXT_MAX]; /* "" when nothing does */
	char todo[DOCTOR_TEXT_MAX];    /* "" when there is nothing to do */
};

/* What checks start from. */
struct doctor {
	const char *state_dir;
	bool admin; /* has CAP_SYS_ADMIN */

	const json_t *status; /* the daemon's, NULL when there is none */
	int daemon_error;     /* then: negative errno, and its sentence */
	const char *daemon_text;
};

struct doctor_check {
	const char *name; /* for programs */
	const char *title;
	void (*look)(const struct doctor *d, struct doctor_finding *ret);
};

/* Ended by one without a name. */
extern const struct doctor_check doctor_checks[];

/* "ok", "unseen", "warning", "problem". */
const char *doctor_state_name(enum doctor_state state);

/* Each sets one text; the state is set with the second. */
void doctor_found(struct doctor_finding *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void doctor_follows(struct doctor_finding *d, enum doctor_state state,
		    const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_todo(struct doctor_finding *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether a release ("6.12.3-amd64") is high.low or newer. */
bool doctor_release_is(const char *release, unsigned int high,
		       unsigned int low);

/* Looks of doctor-host.c and doctor-mount.c. */
void doctor_kernel(const struct doctor *d, struct doctor_finding *ret);
void doctor_page_size(const struct doctor *d, struct doctor_finding *ret);
void doctor_privileges(const struct doctor *d, struct doctor_finding *ret);
void doctor_namespaces(const struct doctor *d, struct doctor_finding *ret);
void doctor_group(const struct doctor *d, struct doctor_finding *ret);
void doctor_clock(const struct doctor *d, struct doctor_finding *ret);
void doctor_files(const struct doctor *d, struct doctor_finding *ret);
void doctor_programs(const struct doctor *d, struct doctor_finding *ret);
void doctor_loop(const struct doctor *d, struct doctor_finding *ret);
void doctor_fuse(const struct doctor *d, struct doctor_finding *ret);
void doctor_io_uring(const struct doctor *d, struct doctor_finding *ret);
void doctor_daemon(const struct doctor *d, struct doctor_finding *ret);
void doctor_overlay(const struct doctor *d, struct doctor_finding *ret);
void doctor_erofs(const struct doctor *d, struct doctor_finding *ret);
void doctor_state_type(const struct doctor *d, struct doctor_finding *ret);
void doctor_state_space(const struct doctor *d, struct doctor_finding *ret);
void doctor_state_xattrs(const struct doctor *d, struct doctor_finding *ret);
