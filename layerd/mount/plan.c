/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planning is a function of its request. What must hold: the order of the
 * lowers is the version's, no directory is listed twice, and every lower other
 * than the empty directory is one of the images.
 */
#include "mount/plan.h"

#include "util/buf.h"
#include "util/cleanup.h"

#include <errno.h>

/* OVL_MAX_STACK in Linux fs/overlayfs/params.c. */
#define PLAN_LOWERS_MAX 500

void mount_plan_release(struct mount_plan *plan)
{
	for (size_t i = 0; i < plan->n_images; i++) {
		free(plan->images[i].index);
		free(plan->images[i].data);
		free(plan->images[i].directory);
	}
	free(plan->images);
	free(plan->lowers);
	free(plan->source);
	free(plan->empty);
	free(plan->upper);
	free(plan->work);
	*plan = MOUNT_PLAN_INIT;
}

static bool has_image(const struct mount_plan *plan,
		      const struct digest *object)
{
	for (size_t i = 0; i < plan->n_images; i++)
		if (digest_equal(&plan->images[i].object, object))
			return true;
	return false;
}

static int add_image(struct mount_plan *plan, const struct plan_source *layer,
		     const char *lower_root)
{
	struct plan_image *image = &plan->images[plan->n_images];
	char hex[DIGEST_HEX_SIZE];

	image->object = layer->object;
	image->index = strdup(layer->index);
	image->data = strdup(layer->data);
	if (asprintf(&image->directory, "%s/%s", lower_root,
		     digest_hex(&layer->object, hex)) < 0)
		image->directory = NULL;
	plan->n_images++;
	if (!image->index || !image->data || !image->directory)
		return -ENOMEM;
	plan->lowers[plan->n_lowers++] = image->directory;
	return 0;
}

static int copy_strings(const struct plan_request *request,
			struct mount_plan *plan)
{
	plan->source = strdup(request->source);
	plan->empty = strdup(request->empty);
	plan->upper = request->upper ? strdup(request->upper) : NULL;
	plan->work = request->upper ? strdup(request->work) : NULL;
	if (!plan->source || !plan->empty)
		return -ENOMEM;
	if (request->upper && (!plan->upper || !plan->work))
		return -ENOMEM;
	return 0;
}

int mount_plan_make(const struct plan_request *request, struct mount_plan *ret,
		    struct err *err)
{
	_cleanup_mount_plan_ struct mount_plan plan = MOUNT_PLAN_INIT;
	size_t wanted = request->upper ? 1 : 2;

	if (request->n_layers == 0 && !request->upper)
		return err_set(err, EINVAL,
			       "%s has no layers, there is nothing to mount "
			       "read-only",
			       request->source);
	if (request->n_layers > PLAN_LOWERS_MAX)
		return err_set(err, EINVAL,
			       "%s has %zu layers and overlayfs takes %d at "
			       "most; squash the version first",
			       request->source, request->n_layers,
			       PLAN_LOWERS_MAX);
	plan.images = calloc(request->n_layers + 1, sizeof(*plan.images));
	plan.lowers = calloc(request->n_layers + 1, sizeof(*plan.lowers));
	if (!plan.images || !plan.lowers || copy_strings(request, &plan) < 0)
		return err_oom(err);
	plan.restricted = request->restricted;
	for (size_t i = request->n_layers; i-- > 0;) {
		if (has_image(&plan, &request->layers[i].object))
			continue;
		if (add_image(&plan, &request->layers[i], request->lower_root) <
		    0)
			return err_oom(err);
	}
	if (plan.n_lowers < wanted)
		plan.lowers[plan.n_lowers++] = plan.empty;
	*ret = plan;
	plan = MOUNT_PLAN_INIT;
	return 0;
}
