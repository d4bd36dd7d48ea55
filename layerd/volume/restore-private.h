/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts of a restore.
 *
 *   restore.c            threads, progress, the first error
 *   restore-walk.c       one thread goes through the version, makes directories
 *                        and what is hard linked, hands out batches of names
 *   restore-queue.c      the batches, between that thread and the writers
 *   restore-object.c     makes one object: all writers do
 *   restore-place.c      directories in the destination
 *   restore-temporary.c  names for files until they replace others
 */

#include "util/buf.h"
#include "volume/restore.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * A directory that is being restored. It is held by what is in it, and by
 * whoever makes something in it; the last one who lets go of it gives it its
 * attributes.
 */
struct place {
	struct place *above; /* held; NULL: the top */
	atomic_uint holders;
	int fd;
	ino_t ino;
	bool existed;	 /* before the restore */
	bool in_version; /* whether part says what attributes it gets */
	bool acl;	 /* what is made in it gets an ACL from it */
	gid_t gid;	 /* what is made in it belongs to this group */
	struct tree_part part;
	char name[];
};

/* Names in one directory, one after the other: a part and a C string each. */
struct batch {
	struct place *place; /* held */
	struct buf names;
	size_t n;
};

#define RESTORE_BATCH 64 /* names */
#define RESTORE_QUEUE 32 /* batches that wait */
#define RESTORE_THREADS_MAX 6

struct restore {
	struct host *host;
	const struct restore_request *q;
	/* For the end: of the top place, -1 until it is open, and of the file
	 * that is all there is to restore, or -1. */
	int top_fd, single_fd;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* the queue, and running */
	struct batch *queue[RESTORE_QUEUE];
	size_t first, n;
	bool walked; /* no more batches come */
	unsigned int running;
	struct err err; /* the first one */
	int result;

	atomic_bool stop;
	atomic_uint_fast64_t entries, bytes, devices, set_ids, attributes,
		links, directories;
};

/* What one thread makes objects with. */
struct writer {
	struct restore *restore;
	struct erofs_entry_buf entry;
	uint8_t *buffer;
};
int writer_init(struct writer *w, struct restore *r);
void writer_release(struct writer *w);

/* Takes note of the first failure, at name in place (NULL: the destination
 * itself), and stops all threads. Returns code. */
int restore_fail(struct restore *r, int code, const struct place *place,
		 const char *name, const char *what);
/* The same with the sentence that is in err. */
int restore_fail_err(struct restore *r, int code, const struct err *err);

/* The same with a sentence of its own. */
int restore_refuse(struct restore *r, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds a batch (taken over) when there is room. False: the restore is to stop,
 * and the batch stays the caller's. */
bool restore_queue_add(struct restore *r, struct batch *b);
/* The next one; NULL at the end of all. */
struct batch *restore_queue_take(struct restore *r);
/* The place is not let go of. */
struct batch *batch_free(struct batch *b);
int batch_new(struct batch **ret, struct place *place);
int batch_add(struct batch *b, const struct tree_part *part, const char *name);

/* Opens the destination itself, which must be empty unless overwrite is set. */
int place_open_top(struct restore *r, bool contents, struct place **ret);
/* Makes, or finds, a directory in above. */
int place_make(struct restore *r, struct place *above, const char *name,
	       const struct tree_part *part, struct place **ret);
struct place *place_hold(struct place *p);
/* Lets go; w is the calling thread's. */
void place_release(struct writer *w, struct place *p);
/* Removes what stands in the way of name: 0, or a failure that was noted. */
int place_clear(struct restore *r, struct place *p, const char *name);
/* Appends the path of name in p (NULL: in the destination). */
int place_path(const struct restore *r, const struct place *p, const char *name,
	       struct buf *b);

/* A name that no restore has used, for a file in p. */
#define RESTORE_TEMPORARY_SIZE 75
int temporary_name(const struct restore *r, const struct place *p,
		   char name[static RESTORE_TEMPORARY_SIZE]);
/* Removes from p what a daemon that died had under such names. */
void temporary_remove_leftovers(const struct restore *r, const struct place *p);

/* Makes one object that is no directory. */
int object_make(struct writer *w, struct place *p, const struct tree_part *part,
		const char *name);
/* Gives a directory that is done its attributes. */
int object_finish_directory(struct writer *w, struct place *p);
/* Makes name a hard link of what is at path in the destination. 1: that cannot
 * be done here. */
#define OBJECT_E_NO_LINK 1
int object_link(struct restore *r, int root_fd, const char *path,
		struct place *p, const char *name);

/* The walk; runs in a thread of its own. */
int restore_walk(struct writer *w);
