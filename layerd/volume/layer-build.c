/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: index and tarball are made from the same entries, so that the
 * index of the tarball alone is the same; the store has each part durably
 * before the one that names it.
 */
#include "volume/layer-build.h"

#include "format/chunker.h"
#include "format/tar-writer.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fault.h"
#include "util/quote.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int layer_build_init(struct layer_build *b, struct host *h, struct err *err)
{
	int r;

	*b = (struct layer_build){.host = h};
	r = cache_stage_new(h->cache, &b->stage, err);
	if (r == 0)
		r = pipeline_new(&b->pipeline, h->store, h->catalog,
				 b->stage->tar_fd, err);
	if (r == 0 && erofs_writer_new(&b->writer) < 0)
		r = err_oom(err);
	if (r < 0)
		layer_build_release(b);
	return r;
}

int layer_build_init_draft(struct layer_build *b, struct host *h,
			   struct err *err)
{
	*b = (struct layer_build){.host = h};
	return erofs_writer_new(&b->writer) < 0 ? err_oom(err) : 0;
}

void layer_build_release(struct layer_build *b)
{
	b->pipeline = pipeline_free(b->pipeline);
	b->writer = erofs_writer_free(b->writer);
	b->stage = cache_stage_free(b->stage);
	buf_release(&b->header);
}

int layer_build_header(struct layer_build *b, struct entry *e, struct err *err)
{
	uint64_t size = e->flags & ENTRY_HARDLINK ? 0 : entry_data_size(e);
	int r;

	if (!b->pipeline) {
		e->payload = size ? b->draft_end : 0;
		b->draft_end += size + tar_padding(size);
		return 0;
	}
	b->header.size = 0;
	r = tar_add_header(&b->header, e, err);
	if (r == 0)
		r = pipeline_write(b->pipeline, b->header.data, b->header.size,
				   err);
	e->payload = size ? pipeline_offset(b->pipeline) : 0;
	if (r == 0 && size >= CHUNK_FORCE_SIZE)
		r = pipeline_cut(b->pipeline, err);
	return r;
}

int layer_build_copy(struct layer_build *b, int tar_fd, uint64_t from,
		     uint64_t size, struct err *err)
{
	while (size) {
		size_t room;
		void *to = pipeline_space(b->pipeline, &room, err);
		ssize_t n;
		int r;

		if (!to)
			return -ENOMEM;
		n = pread(tar_fd, to, (size_t)MIN((uint64_t)room, size),
			  (off_t)from);
		if (n <= 0)
			return err_errno(err, n ? errno : EIO,
					 "cannot read a cached tarball");
		from += (uint64_t)n;
		size -= (uint64_t)n;
		r = pipeline_advance(b->pipeline, (size_t)n, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int layer_build_end_data(struct layer_build *b, const struct entry *e,
			 struct err *err)
{
	uint64_t size = entry_data_size(e);
	int r = 0;

	if (size >= CHUNK_FORCE_SIZE)
		r = pipeline_cut(b->pipeline, err);
	return r < 0 ? r : pipeline_zeros(b->pipeline, tar_padding(size), err);
}

int layer_build_index(struct layer_build *b, const struct entry *e,
		      struct err *err)
{
	int r = erofs_writer_add(b->writer, e, err);
	char quoted[QUOTE_SIZE];

	if (r < 0)
		return r;
	b->files += !S_ISDIR(e->mode);
	if (b->memory_max && erofs_writer_memory(b->writer) > b->memory_max)
		return err_set(err, EINVAL,
			       "the layer has more names and attributes than "
			       "it may, up to %s: its index takes more than "
			       "%llu MiB of memory",
			       quote_text(e->path, quoted),
			       (unsigned long long)b->memory_max >> 20);
	return 0;
}

int layer_build_add(struct layer_build *b, struct entry *e, struct err *err)
{
	int r = layer_build_header(b, e, err);

	return r < 0 ? r : layer_build_index(b, e, err);
}

/* Encodes the layer object with the index that was just written. */
static int encode_object(struct layer_build *b,
			 const struct pipeline_result *result, struct buf *ret,
			 struct err *err)
{
	struct layer_object object = {
		.tar = result->tar,
		.tar_size = result->tar_size,
		.entries = erofs_writer_count(b->writer),
		.origin = b->origin,
		.chunks = result->chunks,
		.n_chunks = result->n_chunks,
	};
	void *map;
	int r = erofs_writer_finish(b->writer, &result->tar, result->tar_size,
				    b->stage->index_fd, &object.index_size,
				    err);

	b->writer = erofs_writer_free(b->writer);
	if (r < 0)
		return r;
	map = mmap(NULL, object.index_size, PROT_READ, MAP_SHARED,
		   b->stage->index_fd, 0);
	if (map == MAP_FAILED)
		return err_errno(err, errno, "cannot map a new index");
	r = layer_object_encode(&object, map, ret, err);
	(void)munmap(map, object.index_size);
	return r;
}

static int publish_parts(struct layer_build *b,
			 const struct pipeline_result *result,
			 const struct buf *object,
			 const struct digest *object_digest, struct err *err)
{
	_cleanup_buf_ struct buf places = BUF_INIT;
	struct store *store = b->host->store;
	char key[STORE_KEY_MAX];
	int r = places_encode(&result->places, &result->tar, &places);

	if (r < 0)
		return err_oom(err);
	r = store_replace(store, store_key_places(key, &result->tar),
			  places.data, places.size, err);
	if (r == 0)
		r = fault_point("publish.places");
	if (r == 0)
		r = store_put(store, store_key_blob(key, object_digest),
			      object->data, object->size, err);
	return r == 0 ? fault_point("publish.object") : r;
}

static int finish(struct layer_build *b, const struct pipeline_result *result,
		  struct version_layer *ret, struct err *err)
{
	_cleanup_buf_ struct buf object = BUF_INIT;
	int r = encode_object(b, result, &object, err);

	if (r < 0)
		return r;
	ret->tar = result->tar;
	ret->tar_size = result->tar_size;
	if (digest_of(object.data, object.size, &ret->object) < 0)
		return err_oom(err);
	/* A stream that was rewound may have been longer. */
	if (ftruncate(b->stage->tar_fd, (off_t)result->tar_size) < 0)
		return err_errno(err, errno, "cannot trim a new tarball");
	r = fault_point("seal.indexed");
	if (r == 0)
		r = publish_parts(b, result, &object, &ret->object, err);
	if (r == 0)
		r = cache_stage_publish(b->stage, &result->tar,
					result->tar_size, &object, err);
	if (r == 0)
		r = fault_point("publish.cache");
	if (r == 0)
		r = catalog_add_layer(b->host->catalog, &ret->tar, &ret->object,
				      ret->tar_size, err);
	return r == 0 ? fault_point("publish.layer") : r;
}

int layer_build_read(struct layer_build *b, archive_entry_fn fn, void *ctx,
		     struct err *err)
{
	int r = pipeline_flush(b->pipeline, err);

	return r < 0 ? r
		     : archive_read_entries(b->stage->tar_fd,
					    pipeline_offset(b->pipeline),
					    b->origin, fn, ctx, err);
}

int layer_build_end(struct layer_build *b, struct err *err)
{
	b->header.size = 0;
	if (tar_add_end(&b->header) < 0)
		return err_oom(err);
	return pipeline_write(b->pipeline, b->header.data, b->header.size, err);
}

int layer_build_finish(struct layer_build *b, struct version_layer *ret,
		       uint64_t *ret_stored, struct err *err)
{
	struct pipeline_result result = {0};
	int r = pipeline_finish(b->pipeline, &result, err);

	if (r < 0)
		return r;
	b->pipeline = pipeline_free(b->pipeline);
	r = finish(b, &result, ret, err);
	*ret_stored = result.stored;
	pipeline_result_release(&result);
	return r;
}

int layer_build_finish_draft(struct layer_build *b, int fd, struct err *err)
{
	const struct digest none = {0};
	uint64_t size;

	return erofs_writer_finish(b->writer, &none, b->draft_end, fd, &size,
				   err);
}
