/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: changes and the session's sealed layers together are what the
 * merged mount shows. */
#include "volume/unsealed.h"

#include "util/cleanup.h"
#include "volume/links.h"
#include "volume/mounting.h"

#include <errno.h>
#include <fcntl.h>

static void close_readers(struct unsealed *u)
{
	while (u->n_readers)
		erofs_reader_free(u->readers[--u->n_readers]);
	free(u->readers);
	u->readers = NULL;
}

void unsealed_release(struct unsealed *u)
{
	close_readers(u);
	closep(&u->root_fd);
	closep(&u->merged_fd);
	changes_release(&u->changes);
}

/* The indexes of the layers that were sealed last, bottom first. */
static int open_readers(struct unsealed *u)
{
	const struct session *session = u->session;

	close_readers(u);
	u->readers = calloc(session->n_sealed_layers + 1, sizeof(*u->readers));
	if (!u->readers)
		return err_oom(u->err);
	for (size_t i = 0; i < session->n_sealed_layers; i++) {
		_cleanup_cache_layer_ struct cache_layer layer =
			CACHE_LAYER_INIT;
		int r = mounting_open_layer(u->host, &session->sealed_layers[i],
					    u->progress, &layer, u->err);

		if (r == 0)
			r = erofs_reader_open_fd(&u->readers[u->n_readers++],
						 layer.index_fd, u->err);
		if (r < 0)
			return r;
	}
	return 0;
}

int unsealed_open(struct unsealed *u)
{
	int r = session_mount(u->host, u->session, u->progress, &u->merged_fd,
			      u->err);

	if (r < 0)
		return r;
	u->root_fd = openat(u->session->dir_fd, "upper",
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (u->root_fd < 0)
		return err_errno(u->err, errno,
				 "cannot open the upper directory of session "
				 "%s",
				 u->session->id);
	return open_readers(u);
}

/* Where an index cannot be read there may be something. */
static bool lower_has(const char *path, void *ctx)
{
	struct unsealed *u = ctx;

	for (size_t i = u->n_readers; i-- > 0;) {
		struct entry entry;
		uint64_t nid;
		int r = erofs_reader_lookup(u->readers[i], path, &entry, &nid,
					    NULL);

		if (r != -ENOENT)
			return r < 0 || !(entry.flags & ENTRY_WHITEOUT);
	}
	return false;
}

/* What the last seal captured; NULL when there was none. */
static int open_before(struct unsealed *u, struct captured_reader **ret)
{
	struct session *session = u->session;
	_cleanup_close_ int fd = -1;
	char name[SESSION_CAPTURE_MAX];

	*ret = NULL;
	if (!session || !session->capture)
		return 0;
	fd = openat(session->dir_fd,
		    session_capture_name(session->capture, name),
		    O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && captured_reader_open(ret, fd, NULL) == 0)
		return 0;
	/* Without it nobody knows what was deleted since the base. What the
	 * upper shows over the base is the whole truth: take all of it, on the
	 * layers the session was made on. */
	free(session->sealed_layers);
	session->n_sealed_layers = session->n_layers;
	session->sealed_layers =
		calloc(session->n_layers + 1, sizeof(struct version_layer));
	if (!session->sealed_layers)
		return err_oom(u->err);
	if (session->n_layers)
		memcpy(session->sealed_layers, session->layers,
		       session->n_layers * sizeof(struct version_layer));
	return open_readers(u);
}

/* A file that lost its name in the upper directory is not in the scan. */
static int scan_index(struct unsealed *u, const struct scan_request *request)
{
	const struct captured_reader *before = request->before;
	int64_t slack = request->fine_times ? 0 : SCAN_RACY_NS;
	int64_t since = before ? captured_stamp(before) - slack : INT64_MIN;
	int r = u->session ? link_index_changed(u->session->dir_fd, since) : 0;

	if (r < 0)
		return err_errno(u->err, r,
				 "cannot read the index of session %s",
				 u->session->id);
	u->links_since = r > 0 ? since : INT64_MAX;
	if (r > 0)
		changes_need(&u->changes, CHANGE_ROOT);
	return 0;
}

int unsealed_scan(struct unsealed *u, struct captured_writer *after)
{
	_cleanup_(captured_reader_freep) struct captured_reader *before = NULL;
	struct scan_request request = {
		.host = u->host,
		.progress = u->progress,
		.root_fd = u->root_fd,
		.merged_fd = u->merged_fd,
		.after = after,
		.fine_times = scan_has_fine_times(u->root_fd),
		.lower_has = u->session ? lower_has : NULL,
		.lower_ctx = u,
	};
	int r;

	changes_release(&u->changes);
	r = open_before(u, &before);
	if (r < 0)
		return r;
	request.before = before;
	r = scan_upper(&request, &u->changes, u->err);
	return r == 0 ? scan_index(u, &request) : r;
}

struct emit_request unsealed_emit(struct unsealed *u)
{
	return (struct emit_request){
		.changes = &u->changes,
		.progress = u->progress,
		.root_fd = u->root_fd,
		.merged_fd = u->merged_fd,
		.layers = u->readers,
		.n_layers = u->n_readers,
		.links_since_ns = u->links_since,
		.lower_has = u->session ? lower_has : NULL,
		.lower_ctx = u,
	};
}
