/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One method call in progress, and the tools that methods are written with. */

#include "proto/varlink.h"
#include "volume/caller.h"
#include "volume/host.h"
#include "volume/volume.h"

#include <stdbool.h>
#include <sys/types.h>

struct janitor;
struct session;

struct call {
	struct host *host;
	struct janitor *janitor;
	struct varlink *connection;
	json_t *parameters; /* an object */
	bool more;
	bool oneway; /* the caller waits for no reply, and may go */
	pid_t pid;   /* of the caller */
	uid_t uid;
	int fd; /* passed along by the caller, or -1; borrowed */

	json_t *reply; /* parameters of the reply; owned */
	int reply_fd;  /* goes along with it; owned */
	/* A locked session whose mount the reply hands out; owned. It stays
	 * locked until the caller had the time to attach it. */
	struct session *held;
	struct progress progress;
	int64_t reported_ms;
	struct err err;
};

/* A method: 0 with reply set, or a negative errno with err filled. */
typedef int (*method_fn)(struct call *c);

/* What a caller is told instead of a reply beyond VARLINK_MESSAGE_MAX. */
#define CALL_TOO_LONG                                                          \
	"the answer is longer than a message may be; ask for less of it, or "  \
	"call with \"more\""

/* Whether the caller has hung up before it got its reply: what it asked for is
 * not done then. -ECANCELED. */
int call_check_caller(struct call *c);

/* Sends parameters (taken over) as a reply that others follow. */
int call_send_more(struct call *c, json_t *parameters);

/* Whether the parameters have the member, and not as null. */
bool call_has(struct call *c, const char *name);

/* Optional members of the parameters; -EINVAL with a sentence for a member of
 * the wrong type. What is absent or null leaves *ret alone. */
int call_get_string(struct call *c, const char *name, const char **ret);
int call_get_bool(struct call *c, const char *name, bool *ret);
int call_get_uint(struct call *c, const char *name, uint64_t *ret);
/* The same as call_get_string() for a member that must be there. */
int call_need_string(struct call *c, const char *name, const char **ret);

/* The optional member of that name, a list of strings, as an array that is the
 * caller's; the strings borrow. */
int call_get_strings(struct call *c, const char *name, const char ***ret,
		     size_t *ret_n);

/* The optional member "path", a path in a layer or version, without '/' at
 * either end: "" is the root. A C string. */
int call_get_layer_path(struct call *c, struct buf *b);

/* The member "name", a single name in a directory, if it is there. */
int call_get_name(struct call *c, struct buf *b, const char **ret);

/* Who is calling, with all groups. */
int call_get_caller(struct call *c, struct caller *ret);

/* -ENOENT with a sentence for a path that a version does not have. */
int call_no_such_path(struct call *c, const char *reference, const char *path);

/* The labels member as an array, owned by the caller; the strings borrow. */
int call_get_labels(struct call *c, struct label **ret, size_t *ret_n);

/* The same where null, which is NULL then, stands for any value. */
int call_get_wanted_labels(struct call *c, struct label **ret, size_t *ret_n);

/* What "target" points at: a volume, or a path with its st_dev. */
struct target {
	const char *volume;
	char *path; /* owned */
	uint64_t device;
};
#define _cleanup_target_ __attribute__((cleanup(target_release)))
void target_release(struct target *t);
int call_get_target(struct call *c, struct target *ret);
