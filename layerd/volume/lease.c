/* SPDX-License-Identifier: Apache-2.0 */
/* The right to be a volume's only writer, which its record says. */
#include "util/cleanup.h"
#include "volume/volume-private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool volume_lease_is(const struct volume *v, const struct host *h,
		     const char *session)
{
	return v->lease_session && strcmp(v->lease_session, session) == 0 &&
	       strcmp(v->lease_host, h->id) == 0;
}

/* A lease of this host whose session is gone: the host crashed between ending
 * the one and giving up the other. */
static bool lease_is_stale(const struct volume *v, struct host *h)
{
	_cleanup_free_ char *path = NULL;

	if (strcmp(v->lease_host, h->id) != 0 ||
	    asprintf(&path, "sessions/%s", v->lease_session) < 0)
		return false;
	return faccessat(h->state_fd, path, F_OK, 0) < 0 && errno == ENOENT;
}

bool volume_is_leased(const struct volume *v, struct host *h)
{
	return v->lease_session && !lease_is_stale(v, h);
}

int volume_lease_take(struct host *h, const char *name, const char *session,
		      uint64_t *ret_epoch, struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r = volume_load(h, name, &v, err);

	if (r < 0)
		return r;
	if (!volume_lease_is(v, h, session) && volume_is_leased(v, h))
		return err_set(err, EBUSY,
			       "volume %s is being written by session %s of "
			       "host %s; finalize that session, or fork the "
			       "volume to write on your own",
			       name, v->lease_session, v->lease_host);
	free(v->lease_host);
	free(v->lease_session);
	v->lease_host = strdup(h->id);
	v->lease_session = strdup(session);
	if (!v->lease_host || !v->lease_session)
		return err_oom(err);
	v->lease_epoch++;
	r = volume_save(h, v, err);
	if (r == 0)
		*ret_epoch = v->lease_epoch;
	return r;
}

int volume_lease_release(struct host *h, const char *name, const char *session,
			 struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r = volume_load(h, name, &v, err);

	if (r < 0 || !volume_lease_is(v, h, session))
		return r;
	freep(&v->lease_host);
	freep(&v->lease_session);
	return volume_save(h, v, err);
}
