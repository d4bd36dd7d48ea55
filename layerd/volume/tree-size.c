/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/tree-size.h"

#include "util/cleanup.h"
#include "volume/tree-pair.h"

#include <sys/stat.h>

struct count {
	struct tree_size *size;
	struct tree *trees[2];
};

void tree_size_release(struct tree_size *s)
{
	s->last = tree_free(s->last);
}

/* The sums are right in the end, however they wrap on the way. */
static int add(const struct tree_node *const nodes[2], const char *path,
	       void *ctx, struct err *err)
{
	struct count *c = ctx;

	for (size_t i = 0; i < 2; i++) {
		struct entry e;
		int r;

		if (!nodes[i] || !S_ISREG(nodes[i]->mode))
			continue;
		r = tree_entry(c->trees[i], nodes[i], path, &e, err);
		if (r < 0)
			return r;
		c->size->bytes += i ? e.size : -e.size;
		c->size->files += i ? 1 : -(uint64_t)1;
	}
	return 0;
}

static int open_empty(struct host *h, struct tree **ret, struct err *err)
{
	_cleanup_(version_freep) struct version *none = NULL;

	if (version_new(&none) < 0)
		return err_oom(err);
	return tree_open(ret, h, none, NULL, err);
}

int tree_size_next(struct tree_size *s, struct host *h, const struct version *v,
		   const struct progress *progress, struct err *err)
{
	_cleanup_(tree_freep) struct tree *next = NULL;
	struct count c = {.size = s};
	int r = s->last ? 0 : open_empty(h, &s->last, err);

	if (r == 0)
		r = tree_open_like(&next, h, v, s->last, progress, err);
	if (r < 0)
		return r;
	c.trees[0] = s->last;
	c.trees[1] = next;
	r = tree_pairs(c.trees, "", add, &c, err);
	if (r < 0)
		return r;
	tree_free(s->last);
	s->last = TAKE_PTR(next);
	return 0;
}
