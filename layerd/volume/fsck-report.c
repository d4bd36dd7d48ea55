/* SPDX-License-Identifier: Apache-2.0 */
/* What was found: one finding an object, with what it touches. */
#include "volume/fsck-private.h"

#include "util/cleanup.h"

#include <errno.h>
#include <stdarg.h>

static void finding_free(struct finding *found)
{
	for (size_t i = 0; i < found->n_paths; i++)
		free(found->paths[i]);
	free(found->touched);
	free(found->object);
	free(found->message);
	free(found);
}

void fsck_report_release(struct fsck *f)
{
	for (size_t i = 0; i < f->n_findings; i++)
		finding_free(f->findings[i]);
	free(f->findings);
}

struct finding *fsck_found(struct fsck *f, const char *object, const char *kind,
			   const char *format, ...)
{
	struct finding *found;
	va_list ap;
	int n;

	if (fsck_room(f, &f->findings, f->n_findings, &f->findings_alloc,
		      sizeof(struct finding *)) < 0)
		return NULL;
	found = calloc(1, sizeof(*found));
	if (!found) {
		err_oom(f->err);
		return NULL;
	}
	found->kind = kind;
	found->object = strdup(object);
	va_start(ap, format);
	n = vasprintf(&found->message, format, ap);
	va_end(ap);
	if (n < 0)
		found->message = NULL;
	if (!found->object || !found->message) {
		finding_free(found);
		err_oom(f->err);
		return NULL;
	}
	f->findings[f->n_findings++] = found;
	return found;
}

int fsck_touch(struct fsck *f, struct finding *finding, uint32_t version)
{
	int r;

	if (finding->n_touched &&
	    finding->touched[finding->n_touched - 1] == version)
		return 0;
	r = fsck_room(f, &finding->touched, finding->n_touched,
		      &finding->touched_alloc, sizeof(*finding->touched));
	if (r == 0)
		finding->touched[finding->n_touched++] = version;
	return r;
}

int fsck_touch_layer(struct fsck *f, struct finding *finding,
		     const struct fsck_layer *layer)
{
	return fsck_touch(f, finding,
			  (uint32_t)(layer - f->layers) | TOUCHED_LAYER);
}

int fsck_add_path(struct fsck *f, struct finding *finding, const char *path)
{
	finding->paths_total++;
	if (finding->n_paths == FSCK_PATHS_MAX)
		return 0;
	finding->paths[finding->n_paths] = strdup(path);
	if (!finding->paths[finding->n_paths])
		return err_oom(f->err);
	finding->n_paths++;
	return 0;
}

static void count(struct fsck *f, const struct finding *found)
{
	f->totals.findings++;
	f->totals.repairable += found->state == FSCK_REPAIRABLE;
	f->totals.repaired += found->state == FSCK_REPAIRED;
}

static void mark_touched(const struct fsck *f, const struct finding *found,
			 uint8_t *touched)
{
	memset(touched, 0, f->versions.n + 1);
	for (size_t i = 0; i < found->n_touched; i++) {
		uint32_t v = found->touched[i];
		const struct fsck_layer *layer;

		if (!(v & TOUCHED_LAYER)) {
			touched[v] = 1;
			continue;
		}
		layer = &f->layers[v & ~TOUCHED_LAYER];
		for (size_t j = 0; j < layer->n_users; j++)
			touched[layer->users[j]] = 1;
	}
}

/* touched has a byte for each version. */
static int report(struct fsck *f, const struct finding *found, uint8_t *touched,
		  fsck_fn fn, void *ctx)
{
	const char *versions[FSCK_VERSIONS_MAX];
	struct fsck_finding out = {
		.object = found->object,
		.kind = found->kind,
		.message = found->message,
		.state = found->state,
		.versions = versions,
		.paths = (const char *const *)found->paths,
		.n_paths = found->n_paths,
		.paths_total = found->paths_total,
	};

	mark_touched(f, found, touched);
	for (size_t i = 0; found->n_touched && i < f->n_names; i++) {
		if (!touched[f->names[i].version])
			continue;
		out.versions_total++;
		if (out.n_versions < FSCK_VERSIONS_MAX)
			versions[out.n_versions++] = f->names[i].text;
	}
	count(f, found);
	return fn(&out, ctx, f->err);
}

int fsck_report(struct fsck *f, fsck_fn fn, void *ctx)
{
	_cleanup_free_ uint8_t *touched = malloc(f->versions.n + 1);
	int r = 0;

	if (!touched)
		return err_oom(f->err);
	for (size_t i = 0; r == 0 && i < f->n_findings; i++)
		r = report(f, f->findings[i], touched, fn, ctx);
	return r;
}
