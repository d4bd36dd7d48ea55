/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: afterwards no path is both needed in the list and extra. */
#include "volume/extra-names.h"

#include "format/entry.h"
#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Merged inodes of the linked files that go into the layer. */
static int collect_wanted(const struct changes *c, struct walker *merged,
			  struct inode_set *wanted)
{
	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t index;
		struct stat st;
		int dir;

		if (!(c->items[i].flags & CHANGE_NEEDED) ||
		    !(c->items[i].flags & CHANGE_LINKED))
			continue;
		dir = walker_open(merged, c->items[i].parent);
		if (dir < 0 || fstatat(dir, change_name(c, i), &st,
				       AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (inode_set_add(wanted, &st, &index) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Drops extra names that the change list has, and needs their items. */
static int match_items(struct changes *c, struct link_names *extra)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	size_t kept = 0, next = 0;

	for (uint32_t i = 0; i < c->n && next < extra->n; i++) {
		int order = 1;

		if (change_path(c, i, &path) < 0)
			return -ENOMEM;
		while (next < extra->n) {
			order = entry_path_compare(extra->items[next].path,
						   (char *)path.data);
			if (order >= 0)
				break;
			extra->items[kept++] = extra->items[next++];
		}
		if (order == 0) {
			changes_need(c, i);
			free(extra->items[next++].path);
		}
	}
	while (next < extra->n)
		extra->items[kept++] = extra->items[next++];
	extra->n = kept;
	return 0;
}

int extra_names_find(const struct emit_request *request, struct walker *merged,
		     struct link_names *ret, struct err *err)
{
	struct link_names extra = {0};
	struct inode_set wanted = {0};
	int r = collect_wanted(request->changes, merged, &wanted);

	if (r < 0)
		err_oom(err);
	else
		r = link_names_find(request->layers, request->n_layers,
				    request->merged_fd, &wanted,
				    request->links_since_ns, &extra, err);
	inode_set_release(&wanted);
	if (r < 0)
		return r;
	/* From here on the caller releases what there is. */
	*ret = extra;
	return match_items(request->changes, ret) < 0 ? err_oom(err) : 0;
}
