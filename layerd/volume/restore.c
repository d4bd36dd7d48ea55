/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of a restore: one walks, the others write, and the calling one
 * tells the progress until all have ended. The first failure stops them; what
 * was made by then stays.
 */
#include "volume/restore.h"

#include "util/cleanup.h"
#include "util/fault.h"
#include "volume/restore-private.h"
#include "volume/tree-data.h"

#include <errno.h>
#include <stdarg.h>
#include <time.h>

#define REPORT_NS 100000000

int restore_fail_err(struct restore *r, int code, const struct err *err)
{
	pthread_mutex_lock(&r->lock);
	if (r->result == 0) {
		r->result = code;
		r->err = *err;
	}
	r->stop = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return code;
}

int restore_refuse(struct restore *r, int code, const char *format, ...)
{
	struct err err = {.code = -code};
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(err.text, sizeof(err.text), format, ap);
	va_end(ap);
	return restore_fail_err(r, -code, &err);
}

int restore_fail(struct restore *r, int code, const struct place *place,
		 const char *name, const char *what)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct err err = ERR_INIT, part = ERR_INIT;

	if (code == -ECANCELED)
		(void)err_set(&err, code, "the restore was stopped");
	else if (code == -EACCES && caller_is_kept_out(r->q->dir_fd))
		(void)err_set(&err, code, "%.600s " CALLER_KEPT_OUT, r->q->to);
	else if (place_path(r, place, name, &path) < 0)
		(void)err_oom(&err);
	else
		(void)err_errno(&err, code, "cannot %s %.600s", what,
				(char *)path.data);
	if (r->entries == 0)
		return restore_fail_err(r, code, &err);
	(void)err_set(&part, code,
		      "%.800s; %.100s has a part by now, which the same with "
		      "--overwrite completes",
		      err.text, r->q->to);
	return restore_fail_err(r, code, &part);
}

static void write_batch(struct writer *w, struct batch *b)
{
	const uint8_t *p = b->names.data;
	int k = 0;

	for (size_t i = 0; k == 0 && i < b->n && !w->restore->stop; i++) {
		struct tree_part part;
		const char *name = (const char *)p + sizeof(part);

		memcpy(&part, p, sizeof(part));
		p += sizeof(part) + strlen(name) + 1;
		k = object_make(w, b->place, &part, name);
	}
	place_release(w, b->place);
	(void)batch_free(b);
}

static void write_batches(struct writer *w)
{
	struct batch *b;

	while ((b = restore_queue_take(w->restore)))
		write_batch(w, b);
}

static void end_thread(struct restore *r, bool walker)
{
	pthread_mutex_lock(&r->lock);
	if (walker)
		r->walked = true;
	r->running--;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static int thread_init(struct writer *w, struct restore *r)
{
	struct err err = ERR_INIT;
	int k = caller_become(r->q->caller);

	if (k == 0)
		k = writer_init(w, r);
	if (k == 0)
		return 0;
	(void)err_errno(&err, k, "cannot begin the restore");
	return restore_fail_err(r, k, &err);
}

static void *walker_main(void *ctx)
{
	struct restore *r = ctx;
	struct writer w = {0};

	if (thread_init(&w, r) == 0)
		(void)restore_walk(&w);
	writer_release(&w);
	end_thread(r, true);
	return NULL;
}

/* Also after a failure: batches hold directories. */
static void *writer_main(void *ctx)
{
	struct restore *r = ctx;
	struct writer w = {0};

	(void)thread_init(&w, r);
	w.restore = r;
	write_batches(&w);
	writer_release(&w);
	end_thread(r, false);
	return NULL;
}

/* Until all threads have ended. */
static void report(struct restore *r, const struct tree_totals *totals)
{
	pthread_mutex_lock(&r->lock);
	while (r->running) {
		struct timespec until;
		int k;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += REPORT_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		if (pthread_cond_timedwait(&r->changed, &r->lock, &until) !=
		    ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&r->lock);
		k = r->stop ? 0
			    : progress_report(r->host, r->q->progress,
					      "restore", r->bytes,
					      totals->bytes, r->entries);
		if (k < 0)
			(void)restore_fail(r, -ECANCELED, NULL, NULL, "write");
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
}

static void start_thread(struct restore *r, pthread_t *threads, size_t *n,
			 void *(*main)(void *))
{
	struct err err = ERR_INIT;
	int k;

	pthread_mutex_lock(&r->lock);
	k = -fault_point("restore.thread");
	if (k == 0)
		k = pthread_create(&threads[*n], NULL, main, r);
	if (k == 0) {
		r->running++;
		++*n;
	}
	pthread_mutex_unlock(&r->lock);
	if (k == 0)
		return;
	(void)err_errno(&err, k, "cannot start a thread");
	(void)restore_fail_err(r, -k, &err);
}

static void run(struct restore *r, const struct tree_totals *totals)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t writers = (size_t)MAX(2, MIN(cores, RESTORE_THREADS_MAX));
	pthread_t threads[RESTORE_THREADS_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < writers; i++)
		start_thread(r, threads, &n, writer_main);
	start_thread(r, threads, &n, walker_main);
	if (n < writers + 1) {
		pthread_mutex_lock(&r->lock);
		r->walked = true;
		pthread_cond_broadcast(&r->changed);
		pthread_mutex_unlock(&r->lock);
	}
	report(r, totals);
	for (size_t i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
}

/* One sync for all that was made, though others' files are synced with it. */
static int sync_all(struct restore *r)
{
	if (r->single_fd < 0)
		return syncfs(r->top_fd) < 0 ? -errno : 0;
	if (fsync(r->single_fd) < 0 || fsync(r->top_fd) < 0)
		return -errno;
	return 0;
}

/* What could not be written is told here at last. */
static int finish(struct restore *r, struct restore_result *ret,
		  struct err *err)
{
	int k = r->result == 0 ? sync_all(r) : 0;

	if (k < 0)
		(void)restore_fail(r, k, NULL, NULL, "write to");
	if (r->result < 0)
		return err_set(err, r->result, "%s", r->err.text);
	*ret = (struct restore_result){
		.entries = r->entries,
		.bytes = r->bytes,
		.devices = r->devices,
		.set_ids = r->set_ids,
		.attributes = r->attributes,
		.links = r->links,
		.directories = r->directories,
	};
	return 0;
}

int restore_tree(struct host *h, const struct restore_request *request,
		 struct restore_result *ret, struct err *err)
{
	struct restore r = {
		.host = h, .q = request, .top_fd = -1, .single_fd = -1};
	struct tree_totals totals;
	int k = tree_data_fetch(request->tree, request->path, &totals, err);

	if (k < 0)
		return k;
	pthread_mutex_init(&r.lock, NULL);
	pthread_cond_init(&r.changed, NULL);
	run(&r, &totals);
	k = finish(&r, ret, err);
	closep(&r.top_fd);
	closep(&r.single_fd);
	pthread_cond_destroy(&r.changed);
	pthread_mutex_destroy(&r.lock);
	return k;
}
