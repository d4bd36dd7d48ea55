/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: nothing is lost when a task is never done. */
#include "server/janitor.h"

#include "util/cleanup.h"
#include "util/log.h"
#include "volume/mounted.h"
#include "volume/mounting.h"
#include "volume/session.h"

#include <errno.h>
#include <time.h>

#define SYNC_MAX 64
/* How often what nobody reports is looked for. */
#define LOOK_SECONDS 60

struct janitor {
	struct host *host;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	bool trash;
	struct timespec look; /* when to look around next */
	/* A layer that does not fit stays unsynced, and is fetched again
	 * after a reboot. */
	struct digest sync[SYNC_MAX];
	size_t n_sync;
};

static void collect_trash(struct janitor *j)
{
	struct err err = ERR_INIT;

	if (session_collect_trash(j->host, &err) < 0)
		log_warning("%s", err.text);
}

/* Whoever calls umount(2) does not call us. */
static void forget_mounts(struct janitor *j)
{
	struct err err = ERR_INIT;
	int r = mounted_forget_gone(j->host, &err);

	if (r == 0)
		r = mounting_sweep(j->host, &err);
	if (r < 0)
		log_warning("%s", err.text);
}

/* Until there is something to do; true if it is time to look around, which
 * tasks do not put off. */
static bool wait_for_task(struct janitor *j)
{
	return pthread_cond_clockwait(&j->wake, &j->lock, CLOCK_MONOTONIC,
				      &j->look) == ETIMEDOUT;
}

static void set_next_look(struct janitor *j)
{
	clock_gettime(CLOCK_MONOTONIC, &j->look);
	j->look.tv_sec += LOOK_SECONDS;
}

static void sync_layer(struct janitor *j, const struct digest *tar)
{
	struct err err = ERR_INIT;

	if (cache_sync_layer(j->host->cache, tar, &err) < 0)
		log_warning("%s", err.text);
}

static void *janitor_main(void *ctx)
{
	struct janitor *j = ctx;

	pthread_mutex_lock(&j->lock);
	while (!j->stop) {
		if (j->trash) {
			j->trash = false;
			pthread_mutex_unlock(&j->lock);
			collect_trash(j);
			pthread_mutex_lock(&j->lock);
		} else if (j->n_sync) {
			struct digest tar = j->sync[--j->n_sync];

			pthread_mutex_unlock(&j->lock);
			sync_layer(j, &tar);
			pthread_mutex_lock(&j->lock);
		} else if (wait_for_task(j)) {
			pthread_mutex_unlock(&j->lock);
			forget_mounts(j);
			set_next_look(j);
			pthread_mutex_lock(&j->lock);
		}
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

int janitor_new(struct janitor **ret, struct host *h, struct err *err)
{
	struct janitor *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return err_oom(err);
	j->host = h;
	j->trash = true;
	set_next_look(j);
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->wake, NULL);
	r = pthread_create(&j->thread, NULL, janitor_main, j);
	if (r) {
		free(j);
		return err_errno(err, r, "cannot start a thread");
	}
	*ret = j;
	return 0;
}

struct janitor *janitor_free(struct janitor *j)
{
	if (!j)
		return NULL;
	pthread_mutex_lock(&j->lock);
	j->stop = true;
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->thread, NULL);
	pthread_cond_destroy(&j->wake);
	pthread_mutex_destroy(&j->lock);
	free(j);
	return NULL;
}

void janitor_freep(struct janitor **j)
{
	*j = janitor_free(*j);
}

void janitor_wake(struct janitor *j)
{
	pthread_mutex_lock(&j->lock);
	j->trash = true;
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
}

void janitor_sync_layer(struct janitor *j, const struct digest *tar)
{
	pthread_mutex_lock(&j->lock);
	if (j->n_sync < SYNC_MAX)
		j->sync[j->n_sync++] = *tar;
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
}
