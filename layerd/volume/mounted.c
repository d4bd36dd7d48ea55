/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/mounted.h"

#include "mount/users.h"
#include "util/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* So long a mount that was handed out may be on its way to its place. */
#define ATTACH_SECONDS 60

static bool is_gone(const struct host *h, const struct catalog_mount *m,
		    bool attached)
{
	if (strcmp(m->boot_id, h->boot_id) != 0)
		return true;
	return !attached && time(NULL) - m->created >= ATTACH_SECONDS;
}

struct each {
	struct host *host;
	pid_t first;
	mounted_fn fn;
	void *ctx;
	struct err *err;
};

/* Once a mount is gone its st_dev may be that of something else, also of a
 * mount of another daemon's. */
static bool is_ours(const struct host *h, const struct mount_place *place)
{
	return strstr(place->options, h->lower_dir) ||
	       strstr(place->options, h->empty_dir);
}

static const struct mount_place *find_ours(const struct host *h,
					   const struct mount_places *places)
{
	for (size_t i = 0; i < places->n; i++)
		if (is_ours(h, &places->items[i]))
			return &places->items[i];
	return NULL;
}

static int look(const struct catalog_mount *m, void *ctx)
{
	_cleanup_mount_places_ struct mount_places places = {0};
	struct each *each = ctx;
	const struct mount_place *place;
	struct host *h = each->host;
	int r = 0;

	if (strcmp(m->boot_id, h->boot_id) == 0)
		r = mount_places_find((dev_t)m->device, each->first, NULL,
				      &places, NULL);
	place = find_ours(h, &places);
	if (place)
		return each->fn(m, place->path, true, each->ctx);
	/* Where it is cannot be told, but it may be somewhere. */
	if (r < 0 || !is_gone(h, m, false))
		return each->fn(m, m->path, false, each->ctx);
	return catalog_remove_mount(h->catalog, m->id, each->err);
}

int mounted_each(struct host *h, pid_t first, mounted_fn fn, void *ctx,
		 struct err *err)
{
	struct each each = {
		.host = h, .first = first, .fn = fn, .ctx = ctx, .err = err};

	return catalog_each_mount(h->catalog, look, &each, err);
}

struct forget {
	struct host *host;
	struct err *err;
	const dev_t *devices; /* in order */
	size_t n;
};

static int compare_devices(const void *a, const void *b)
{
	const dev_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int forget_if_gone(const struct catalog_mount *m, void *ctx)
{
	struct forget *f = ctx;
	dev_t device = (dev_t)m->device;

	if (!is_gone(f->host, m,
		     bsearch(&device, f->devices, f->n, sizeof(device),
			     compare_devices)))
		return 0;
	return catalog_remove_mount(f->host->catalog, m->id, f->err);
}

int mounted_forget_gone(struct host *h, struct err *err)
{
	_cleanup_mount_places_ struct mount_places places = {0};
	_cleanup_free_ dev_t *devices = NULL;
	struct forget f = {.host = h, .err = err};
	int r = mount_places_find(0, 0, NULL, &places, err);

	if (r < 0)
		return r;
	devices = calloc(places.n + 1, sizeof(*devices));
	if (!devices)
		return err_oom(err);
	for (size_t i = 0; i < places.n; i++)
		if (is_ours(h, &places.items[i]))
			devices[f.n++] = places.items[i].device;
	qsort(devices, f.n, sizeof(*devices), compare_devices);
	f.devices = devices;
	return catalog_each_mount(h->catalog, forget_if_gone, &f, err);
}
