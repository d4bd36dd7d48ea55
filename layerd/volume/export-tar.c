/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/export-tar.h"

#include "format/tar-writer.h"
#include "util/cleanup.h"
#include "volume/first-names.h"
#include "volume/sink.h"
#include "volume/tree-data.h"
#include "volume/tree-walk.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define REPORT_ENTRIES 1024

struct export
{
	const struct export_tar *q;
	struct sink sink;
	struct first_names firsts;
	struct buf header;
};

/* Below the path that becomes the root. */
static const char *path_in(const struct export *x, const struct entry *e)
{
	const char *root = x->q->path;
	const char *slash = strrchr(root, '/');
	size_t n = strlen(root);

	if (e->path[n] == '/' && n)
		return e->path + n + 1;
	if (n == 0)
		return e->path;
	/* The path itself. */
	return S_ISDIR(e->mode) ? "" : slash ? slash + 1 : root;
}

static int add_data(struct export *x, const struct tree_node *node,
		    const struct entry *e, struct err *err)
{
	static const uint8_t zeros[TAR_BLOCK];
	uint64_t size = entry_data_size(e);
	int r;

	if (!size)
		return 0;
	r = sink_copy(&x->sink, tree_data_fd(x->q->tree, node->part.layer),
		      e->payload, size, err);
	return r < 0 ? r : sink_write(&x->sink, zeros, tar_padding(size), err);
}

static int add_entry(const struct tree_node *node, const struct entry *entry,
		     void *ctx, struct err *err)
{
	struct export *x = ctx;
	struct entry e = *entry;
	const char *first = NULL;
	uint32_t links = 1;
	int r = 0;

	e.path = path_in(x, entry);
	e.flags = 0;
	if (!S_ISDIR(e.mode))
		r = tree_links(x->q->tree, &node->part, &links, err);
	if (r == 0 && links > 1 &&
	    first_names_take(&x->firsts, &node->part, e.path, &first) < 0)
		r = err_oom(err);
	if (r < 0)
		return r;
	if (first)
		e = (struct entry){.path = e.path,
				   .flags = ENTRY_HARDLINK,
				   .mode = e.mode,
				   .target = first};
	x->header.size = 0;
	r = tar_add_header(&x->header, &e, err);
	if (r == 0)
		r = sink_write(&x->sink, x->header.data, x->header.size, err);
	if (r == 0 && !first)
		r = add_data(x, node, &e, err);
	if (r == 0 && ++x->sink.files % REPORT_ENTRIES == 0)
		r = sink_report(&x->sink);
	return r;
}

static int write_tarball(void *ctx, struct err *err)
{
	struct export *x = ctx;
	int r = tree_walk(x->q->tree, x->q->path, true, add_entry, x, err);

	x->header.size = 0;
	if (r == 0 && tar_add_end(&x->header) < 0)
		r = err_oom(err);
	if (r == 0)
		r = sink_write(&x->sink, x->header.data, x->header.size, err);
	if (r == 0)
		r = sink_flush(&x->sink, err);
	return r == -ECANCELED
		       ? err_set(err, ECANCELED, "the export was stopped")
		       : r;
}

int export_tar(struct host *h, const struct export_tar *request,
	       struct export_tar_result *ret, struct err *err)
{
	struct export x = {.q = request, .sink = SINK_INIT};
	struct tree_totals totals;
	int r = tree_data_fetch(request->tree, request->path, &totals, err);

	if (r == 0)
		r = sink_open(&x.sink, request->fd, err);
	if (r < 0)
		return r;
	x.sink.host = h;
	x.sink.progress = request->progress;
	x.sink.total = totals.bytes;
	r = caller_run(request->caller, write_tarball, &x, err);
	*ret = (struct export_tar_result){.entries = x.sink.files,
					  .size = x.sink.offset};
	sink_release(&x.sink);
	first_names_release(&x.firsts);
	buf_release(&x.header);
	return r;
}
