/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A session: one writable mount of a volume, from "mount" to "finalize". It is
 * a directory sessions/<id>/ with upper, work      overlayfs' directories
 *   session.json     this structure; replaced as a whole
 *   captured.<n>     what the last seal captured (volume/captured.h)
 *   lock             held by whoever seals, attaches or ends the session
 * All that is needed to go on after a crash or a reboot is there.
 *
 * While it is alive the merged mount is attached at RUNTIME/mounts/<id>, where
 * only the daemon uses it; callers get copies of it. A copy's unmount is
 * therefore never hindered by the daemon, and a restarted daemon finds it.
 */

#include "format/manifest.h"
#include "mount/users.h"
#include "volume/host.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSION_ID_SIZE 17

struct session {
	char id[SESSION_ID_SIZE];
	char *volume;
	int64_t created;
	uint64_t epoch; /* of the lease */
	char *path;	/* where it was attached last */

	/* The plan: the version and layers it is mounted on, always. */
	bool has_base;
	struct digest base;
	uint64_t base_sequence;
	struct version_layer *layers;
	size_t n_layers;

	/* The layers that together with an empty upper show what was captured,
	 * and the version that was sealed from them. */
	bool has_sealed;
	struct digest sealed;
	struct version_layer *sealed_layers;
	size_t n_sealed_layers;
	uint64_t capture; /* n of captured.<n>; 0: nothing was captured */

	int dir_fd;  /* the session's directory */
	int lock_fd; /* -1 unless locked */
};

struct session *session_free(struct session *s);
void session_freep(struct session **s);

/* Opens a session by its id. With lock it is held until session_free();
 * -EBUSY when somebody else holds it and wait is false. */
int session_open(struct host *h, const char *id, bool lock, bool wait,
		 struct session **ret, struct err *err);

/* Writes session.json. */
int session_save(struct host *h, struct session *s, struct err *err);

/* Calls fn for each session; those that cannot be read come as NULL with their
 * id and the problem. */
typedef int (*session_fn)(const char *id, struct session *s,
			  const struct err *problem, void *ctx);
int session_each(struct host *h, session_fn fn, void *ctx, struct err *err);

/* The session of a volume. -ENOENT without a text. */
int session_find(struct host *h, const char *volume, bool lock,
		 struct session **ret, struct err *err);

/* The session whose overlay has this st_dev. -ENOENT without a text. */
int session_find_device(struct host *h, uint64_t device, bool lock,
			struct session **ret, struct err *err);

/*
 * Makes a session for a volume, on its newest version or on nothing, takes the
 * lease and prepares the upper directory. -EBUSY names the holder.
 */
int session_create(struct host *h, const char *volume, struct session **ret,
		   struct err *err);

/*
 * Gives up the lease, drops the session's own mount and ends the session.
 * Unsealed data goes with it. Its directory is only set aside, which is quick
 * however much is in it; session_collect_trash() deletes it.
 */
int session_remove(struct host *h, struct session *s, struct err *err);

/*
 * At the start, when nobody else works with sessions: sets those aside that
 * were not finished, and removes what seals that were cut short have left in
 * others. A session that cannot be read stays as it is.
 */
int session_tidy(struct host *h, struct err *err);

/* Deletes what was set aside. */
int session_collect_trash(struct host *h, struct err *err);

/* The name of capture n in the session's directory; returns name. */
#define SESSION_CAPTURE_MAX 40
char *session_capture_name(uint64_t n, char name[static SESSION_CAPTURE_MAX]);

/* RUNTIME/mounts/<id>, owned by the caller. */
char *session_mount_path(const struct host *h, const struct session *s);

/*
 * Makes sure that the session's own mount is there, fetching layers that are
 * not in the cache, and returns a descriptor of its root (O_RDONLY).
 */
int session_mount(struct host *h, struct session *s,
		  const struct progress *progress, int *ret_root_fd,
		  struct err *err);

/* st_dev of the session's mount. -ENOENT when it is not mounted. */
int session_device(struct host *h, const struct session *s, dev_t *ret);

/* Where copies of the session's mount are attached, the caller's first. */
int session_places(struct host *h, const struct session *s, pid_t caller,
		   struct mount_places *ret, struct err *err);
