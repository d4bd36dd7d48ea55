/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: steps are a chain from the root, each inside the one before.
 */
#include "volume/walker.h"

#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>

void walker_release(struct walker *w)
{
	while (w->n)
		(void)close(w->steps[--w->n].fd);
	free(w->steps);
	w->steps = NULL;
	w->alloc = 0;
}

/* Items from the root down to item, as far as they are not open yet. */
static int missing(struct walker *w, uint32_t item, uint32_t **ret, size_t *n)
{
	size_t depth = 0;
	uint32_t *chain;

	for (uint32_t i = item; i != CHANGE_ROOT;
	     i = w->changes->items[i].parent)
		depth++;
	chain = malloc((depth + 1) * sizeof(*chain));
	if (!chain)
		return -ENOMEM;
	*n = depth;
	for (uint32_t i = item; depth; i = w->changes->items[i].parent)
		chain[--depth] = i;
	*ret = chain;
	return 0;
}

static int push(struct walker *w, uint32_t item)
{
	int parent = w->n ? w->steps[w->n - 1].fd : w->root_fd;
	int fd;

	if (w->n == w->alloc) {
		size_t alloc = w->alloc ? w->alloc * 2 : 32;
		struct walker_step *steps;

		steps = reallocarray(w->steps, alloc, sizeof(*steps));
		if (!steps)
			return -ENOMEM;
		w->steps = steps;
		w->alloc = alloc;
	}
	fd = openat(parent, change_name(w->changes, item),
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	w->steps[w->n++] = (struct walker_step){.item = item, .fd = fd};
	return 0;
}

int walker_open(struct walker *w, uint32_t item)
{
	_cleanup_free_ uint32_t *chain = NULL;
	size_t depth, same = 0;
	int r;

	if (item == CHANGE_ROOT)
		return w->root_fd;
	if (w->n && w->steps[w->n - 1].item == item)
		return w->steps[w->n - 1].fd;
	r = missing(w, item, &chain, &depth);
	if (r < 0)
		return r;
	while (same < w->n && same < depth &&
	       w->steps[same].item == chain[same])
		same++;
	while (w->n > same)
		(void)close(w->steps[--w->n].fd);
	for (; r == 0 && same < depth; same++)
		r = push(w, chain[same]);
	return r < 0 ? r : w->steps[w->n - 1].fd;
}
