/* SPDX-License-Identifier: Apache-2.0 */
/* What a target leads to. */
#include "server/sessions.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

int find_target_session(struct call *c, const struct target *t,
			struct session **ret)
{
	int r = t->volume ? session_find(c->host, t->volume, true, ret, &c->err)
			  : session_find_device(c->host, t->device, true, ret,
						&c->err);

	if (r == 0)
		r = call_check_caller(c);
	if (r != -ENOENT || c->err.code)
		return r;
	if (t->volume) {
		_cleanup_(volume_freep) struct volume *v = NULL;

		r = volume_load(c->host, t->volume, &v, &c->err);
		if (r < 0)
			return r;
		return err_set(&c->err, ENOENT,
			       "volume %s is not mounted for writing; mount it "
			       "with \"layerctl mount %s\"",
			       t->volume, t->volume);
	}
	return -ENOENT;
}

int need_target_session(struct call *c, const struct target *t,
			struct session **ret)
{
	int r = find_target_session(c, t, ret);

	if (r == -ENOENT && !c->err.code)
		return err_set(&c->err, r,
			       "%s is not in a writable mount of layerd; "
			       "\"layerctl sessions\" lists those there are",
			       t->path);
	return r;
}

/* What of path is below top; NULL: it is somewhere else. */
static const char *below(const char *path, const char *top)
{
	size_t n = strlen(top);

	if (strcmp(top, "/") == 0)
		return path + 1;
	if (strncmp(path, top, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	return path + n + (path[n] == '/');
}

/* The innermost of the places in the caller's namespace that path is in. */
static const struct mount_place *find_place(const struct mount_places *places,
					    const char *path)
{
	const struct mount_place *found = NULL;

	for (size_t i = 0; i < places->n; i++) {
		const struct mount_place *p = &places->items[i];

		if (p->namespace == places->items[0].namespace &&
		    below(path, p->path) &&
		    (!found || strlen(p->path) >= strlen(found->path)))
			found = p;
	}
	return found;
}

int session_inside(struct call *c, const struct session *s, const char *path,
		   struct buf *b)
{
	_cleanup_mount_places_ struct mount_places places = {0};
	const struct mount_place *place;
	const char *rest;
	int r = session_places(c->host, s, c->pid, &places, &c->err);

	if (r < 0)
		return r;
	place = find_place(&places, path);
	/* Reached by a descriptor, or unmounted meanwhile: all of it. */
	rest = place ? below(path, place->path) : "";
	if (place && place->root[1])
		r = buf_printf(b, "%s%s", place->root + 1, *rest ? "/" : "");
	if (r == 0)
		r = buf_add_str(b, rest);
	return r < 0 || !buf_str(b) ? err_oom(&c->err) : 0;
}
