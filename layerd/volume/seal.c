/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a seal is put together.
 *
 *   scan -> (nothing changed) -----------------------------> version
 *        -> layer: packs, places, layer object -> squash? -> version
 *   version: config, manifest -> sequence object -> head -> session -> catalog
 *
 * Invariants
 *  1. Each arrow is durable before the next step begins.
 *  2. The session names a capture only when that capture and the layers it
 *     belongs to are durable: session.json ties both and is replaced at once.
 *  3. Until the head has moved nothing that exists is changed. After it has,
 * the old session.json is still right: the next seal then writes once more what
 *     this one did, on top of the same layers.
 */
#include "volume/seal.h"

#include "util/cleanup.h"
#include "util/fault.h"
#include "volume/squash.h"
#include "volume/unsealed.h"
#include "volume/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

void seal_result_release(struct seal_result *r)
{
	r->version = version_free(r->version);
}

struct seal {
	struct host *host;
	struct session *session; /* NULL for a plain directory */
	const struct seal_options *options;
	struct unsealed from;
	int capture_fd; /* of the new capture */
	int64_t stamp;	/* what is changed from then on counts as changed */
	bool has_layer;
	struct version_layer layer;
	uint64_t stored;
	struct err *err;
};

static int64_t coarse_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/*
 * The start of the next clock tick, after it has come. File times are taken
 * from the clock of ticks, so that what was changed before this call has an
 * earlier time and what is changed after it has not.
 */
static int64_t next_tick(void)
{
	const struct timespec pause = {.tv_nsec = 500000};
	int64_t start = coarse_ns();
	int64_t now = start;

	/* A clock that was set back has had its tick as well. */
	while (now == start) {
		(void)nanosleep(&pause, NULL);
		now = coarse_ns();
	}
	return now;
}

static void release(struct seal *s)
{
	unsealed_release(&s->from);
	closep(&s->capture_fd);
}

static int open_after(struct seal *s, struct captured_writer **ret)
{
	char name[SESSION_CAPTURE_MAX];

	*ret = NULL;
	if (!s->session)
		return 0;
	closep(&s->capture_fd);
	s->capture_fd =
		openat(s->session->dir_fd,
		       session_capture_name(s->session->capture + 1, name),
		       O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (s->capture_fd < 0)
		return err_errno(s->err, errno, "cannot create a capture");
	return captured_writer_new(ret, s->capture_fd) < 0 ? err_oom(s->err)
							   : 0;
}

static int build_layer(struct seal *s, struct captured_writer *after)
{
	_cleanup_layer_build_ struct layer_build build = {0};
	struct emit_request request = unsealed_emit(&s->from);
	int r = layer_build_init(&build, s->host, s->err);

	request.build = &build;
	request.after = after;
	request.stamp_ns = s->stamp;
	if (r == 0)
		r = emit_changes(&request, s->err);
	if (r == 0)
		r = fault_point("seal.emitted");
	if (r == 0)
		r = layer_build_end(&build, s->err);
	if (r == 0)
		r = layer_build_finish(&build, &s->layer, &s->stored, s->err);
	if (r == 0)
		s->has_layer = true;
	return r;
}

/* One scan and, if anything changed, one layer. */
static int try_seal(struct seal *s)
{
	_cleanup_(captured_writer_freep) struct captured_writer *after = NULL;
	int r = open_after(s, &after);

	if (r == 0)
		r = unsealed_scan(&s->from, after);
	if (r == 0)
		r = fault_point("seal.scanned");
	if (r == 0 && s->from.changes.needed)
		r = build_layer(s, after);
	if (r == 0 && after) {
		r = captured_finish(after, s->stamp);
		if (r < 0)
			return err_errno(s->err, r, "cannot write a capture");
	}
	return r;
}

static bool has_text(const struct seal *s)
{
	return s->err && s->err->code;
}

static int seal_tree(struct seal *s)
{
	int r = -EAGAIN;

	for (int i = 0; i < UNSEALED_TRIES; i++) {
		r = try_seal(s);
		/* -EAGAIN with a sentence names a file and is final. */
		if ((r != -EAGAIN && r != -ESTALE) || has_text(s))
			return r;
	}
	return err_set(s->err, EAGAIN,
		       "the tree changed its shape each of the %d times it was "
		       "looked at; nothing was sealed and nothing was lost, "
		       "pause what writes it and commit again",
		       UNSEALED_TRIES);
}

static int describe(struct seal *s, struct version *v,
		    const struct volume *record, uint64_t sequence)
{
	const struct seal_options *o = s->options;
	struct timespec now;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	v->created = now.tv_sec;
	v->created_nsec = (uint32_t)now.tv_nsec;
	v->volume = strdup(record->name);
	free(v->consistency);
	v->consistency = strdup("settled");
	v->sequence = sequence;
	v->has_parent = record->has_head;
	v->parent = record->head;
	v->changed = s->from.changes.changed;
	v->added = s->has_layer ? s->layer.tar_size : 0;
	if (!v->volume || !v->consistency)
		return err_oom(s->err);
	r = version_set_message(v, o->message ? o->message : "", s->err);
	for (size_t i = 0; r == 0 && i < o->n_labels; i++)
		r = version_add_label(v, o->labels[i].key, o->labels[i].value,
				      s->err);
	return r;
}

static int collect_layers(struct seal *s, struct version *v,
			  const struct version_layer *below, size_t n)
{
	_cleanup_free_ struct version_layer *layers = NULL;
	int r = 0;

	layers = calloc(n + 1, sizeof(*layers));
	if (!layers)
		return err_oom(s->err);
	if (n)
		memcpy(layers, below, n * sizeof(*layers));
	if (s->has_layer)
		layers[n++] = s->layer;
	/* As in seal_tree(): a pack that was to be reused was lost. */
	r = n > VERSION_LAYERS_MAX ? -ESTALE : 0;
	for (int i = 0; i < UNSEALED_TRIES && r == -ESTALE && !has_text(s); i++)
		r = squash_tail(s->host, layers, &n, s->options->progress,
				s->err);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (version_add_layer(v, &layers[i]) < 0)
			r = err_oom(s->err);
	return r;
}

/* Checks what the user gave before any work is done. */
static int check_options(const struct seal_options *o, struct err *err)
{
	_cleanup_(version_freep) struct version *v = NULL;
	int r = version_new(&v);

	if (r < 0)
		return err_oom(err);
	r = version_set_message(v, o->message ? o->message : "", err);
	for (size_t i = 0; r == 0 && i < o->n_labels; i++)
		r = version_add_label(v, o->labels[i].key, o->labels[i].value,
				      err);
	return r;
}

int seal_check_new(struct host *h, const char *name,
		   const struct seal_options *options, struct err *err)
{
	int r = check_options(options, err);

	return r < 0 ? r : volume_check_new(h, name, err);
}

/* The session goes on from what was just sealed. */
static int update_session(struct seal *s, const struct version *v)
{
	struct session *session = s->session;
	struct version_layer *layers;
	char old[SESSION_CAPTURE_MAX];
	int r;

	layers = calloc(v->n_layers + 1, sizeof(*layers));
	if (!layers)
		return err_oom(s->err);
	if (v->n_layers)
		memcpy(layers, v->layers, v->n_layers * sizeof(*layers));
	(void)session_capture_name(session->capture, old);
	free(session->sealed_layers);
	session->sealed_layers = layers;
	session->n_sealed_layers = v->n_layers;
	session->has_sealed = true;
	session->sealed = v->digest;
	session->capture++;
	r = session_save(s->host, session, s->err);
	if (r < 0)
		return r;
	/* A capture nobody names any more only takes room. */
	(void)unlinkat(session->dir_fd, old, 0);
	return fault_point("publish.session");
}

static int advance(struct seal *s, struct volume *record,
		   const struct version *v)
{
	int r = volume_advance(s->host, record, &v->digest, s->session->id,
			       s->session->epoch, s->err);

	if (r == 0)
		r = update_session(s, v);
	if (r < 0)
		return r;
	/* It is sealed. The index is rebuilt from the store when it is damaged,
	 * and until then the version is found by its number. */
	(void)catalog_add_version(s->host->catalog, &v->digest, record->name,
				  record->sequence, NULL);
	return fault_point("publish.catalog");
}

static int publish(struct seal *s, struct volume *record,
		   const struct version_layer *below, size_t n,
		   struct seal_result *ret)
{
	_cleanup_(version_freep) struct version *v = NULL;
	uint64_t sequence;
	int r = version_new(&v);

	if (r < 0)
		return err_oom(s->err);
	r = progress_report(s->host, s->options->progress, "publish", 0, 0,
			    s->from.changes.changed);
	if (r == 0)
		r = volume_next_sequence(s->host, record, &sequence, s->err);
	if (r == 0)
		r = describe(s, v, record, sequence);
	if (r == 0)
		r = collect_layers(s, v, below, n);
	if (r == 0)
		r = version_store(s->host, v, s->err);
	if (r == 0)
		r = s->session ? advance(s, record, v)
			       : volume_fork(s->host, &v->digest, record->name,
					     s->err);
	if (r < 0)
		return r;
	ret->version = TAKE_PTR(v);
	ret->sockets = s->from.changes.sockets;
	ret->stored = s->stored;
	return 0;
}

static int finish(struct seal *s, int r)
{
	if (r == -ECANCELED && s->err && !s->err->code)
		err_set(s->err, r,
			"the seal was stopped before it was "
			"published; nothing was lost");
	release(s);
	return r;
}

int seal_session(struct host *h, struct session *session,
		 const struct seal_options *options, struct seal_result *ret,
		 struct err *err)
{
	_cleanup_(volume_freep) struct volume *record = NULL;
	struct seal s = {
		.host = h,
		.session = session,
		.options = options,
		.from = UNSEALED_INIT(h, session, options->progress, err),
		.capture_fd = -1,
		.err = err};
	int r = check_options(options, err);

	if (r == 0)
		r = volume_load(h, session->volume, &record, err);
	if (r == 0)
		r = unsealed_open(&s.from);
	if (r < 0)
		return finish(&s, r);
	/* Write-protects mapped pages, so that later stores show in ctime: the
	 * first one to a page does, those after it do not. A file whose ctime
	 * is not before the stamp may thus still be changing. */
	s.stamp = next_tick();
	if (syncfs(s.from.root_fd) < 0)
		return finish(&s, err_errno(err, errno,
					    "cannot sync the upper directory "
					    "of session %s",
					    session->id));
	r = seal_tree(&s);
	if (r == 0)
		r = publish(&s, record, session->sealed_layers,
			    session->n_sealed_layers, ret);
	return finish(&s, r);
}

int seal_directory(struct host *h, const char *name, int dir_fd,
		   const struct seal_options *options, struct seal_result *ret,
		   struct err *err)
{
	/* The volume appears with its first version, or not at all. */
	struct volume record = {.name = (char *)name};
	struct seal s = {.host = h,
			 .options = options,
			 .from = UNSEALED_INIT(h, NULL, options->progress, err),
			 .capture_fd = -1,
			 .err = err};
	int r;

	s.from.root_fd =
		openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s.from.root_fd < 0)
		return err_errno(err, errno,
				 "cannot open the directory to "
				 "import");
	r = seal_check_new(h, name, options, err);
	if (r == 0)
		r = seal_tree(&s);
	if (r == 0)
		r = publish(&s, &record, NULL, 0, ret);
	return finish(&s, r);
}

int seal_layer(struct host *h, const char *name,
	       const struct version_layer *layer, uint64_t stored,
	       uint64_t files, const struct seal_options *options,
	       struct seal_result *ret, struct err *err)
{
	struct volume record = {.name = (char *)name};
	struct seal s = {.host = h,
			 .options = options,
			 .from = UNSEALED_INIT(h, NULL, options->progress, err),
			 .capture_fd = -1,
			 .has_layer = true,
			 .layer = *layer,
			 .stored = stored,
			 .err = err};

	s.from.changes.changed = files;
	return finish(&s, publish(&s, &record, NULL, 0, ret));
}
