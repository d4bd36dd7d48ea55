/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: nothing that the cache remembers is believed. */
#include "volume/verify.h"

#include "format/archive-reader.h"
#include "format/erofs-writer.h"
#include "format/pack.h"
#include "format/places.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fd.h"
#include "volume/contents.h"

#include <errno.h>
#include <fcntl.h>

#define PLACES_MAX (1u << 30)

struct verify {
	struct host *host;
	const struct progress *progress;
	struct layer_object object;
	struct buf index;
	struct places places;
	int tar_fd; /* the tarball, put together anew, without a name */
	struct err *err;
};

static int load_places(struct verify *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char key[STORE_KEY_MAX];
	int r;

	store_key_places(key, &v->object.tar);
	r = store_get(v->host->store, key, PLACES_MAX, &b, v->err);
	if (r == -ENOENT)
		return err_set(v->err, EBADMSG, "%s lacks %s",
			       store_name(v->host->store), key);
	if (r == 0)
		r = places_decode(b.data, b.size, &v->object.tar, &v->places,
				  v->err);
	if (r == 0 && v->places.n_rows != v->object.n_chunks)
		r = err_set(v->err, EBADMSG,
			    "%s has %zu rows for a layer of %zu chunks", key,
			    v->places.n_rows, v->object.n_chunks);
	return r;
}

static int read_chunk(struct verify *v, size_t i, struct pack_codec *codec,
		      struct buf *frame, uint8_t *data)
{
	const struct layer_chunk *chunk = &v->object.chunks[i];
	const struct place *place = &v->places.rows[i];
	char key[STORE_KEY_MAX];
	int r;

	store_key_pack(key, &v->places.packs[place->pack]);
	frame->size = 0;
	if (buf_reserve(frame, place->length) < 0)
		return err_oom(v->err);
	r = store_get_range(v->host->store, key, place->offset, place->length,
			    frame->data, v->err);
	if (r == -ENOENT)
		return err_set(v->err, EBADMSG, "%s lacks %s",
			       store_name(v->host->store), key);
	if (r == 0)
		r = pack_decompress(codec, frame->data, place->length,
				    &chunk->digest, data, chunk->size, v->err);
	if (r < 0)
		return err_prefix(v->err, r, "%s", key);
	r = pwrite_full(v->tar_fd, data, chunk->size, chunk->offset);
	return r < 0 ? err_errno(v->err, r, "cannot write to the cache") : 0;
}

static int read_chunks(struct verify *v)
{
	_cleanup_(pack_codec_freep) struct pack_codec *codec = NULL;
	_cleanup_(hasher_freep) struct hasher *hasher = NULL;
	_cleanup_buf_ struct buf frame = BUF_INIT;
	_cleanup_free_ uint8_t *data = malloc(1u << 20);
	struct digest actual;
	int r = 0;

	if (!data || pack_codec_new(&codec) < 0 || hasher_new(&hasher) < 0)
		return err_oom(v->err);
	for (size_t i = 0; r == 0 && i < v->object.n_chunks; i++) {
		const struct layer_chunk *chunk = &v->object.chunks[i];

		r = read_chunk(v, i, codec, &frame, data);
		if (r < 0)
			return r;
		hasher_add(hasher, data, chunk->size);
		r = progress_report(v->host, v->progress, "verify",
				    chunk->offset, v->object.tar_size, 0);
	}
	if (r < 0)
		return r;
	hasher_finish(hasher, &actual);
	if (!digest_equal(&actual, &v->object.tar))
		return err_set(v->err, EBADMSG,
			       "the chunks of the layer are intact but make "
			       "another tarball than the layer's");
	return 0;
}

static int add_entry(const struct entry *e, void *ctx, struct err *err)
{
	return erofs_writer_add(ctx, e, err);
}

static int check_index(struct verify *v)
{
	_cleanup_(erofs_writer_freep) struct erofs_writer *writer = NULL;
	_cleanup_close_ int fd = -1;
	uint64_t size;
	int r;

	fd = open(cache_path(v->host->cache), O_TMPFILE | O_RDWR | O_CLOEXEC,
		  0600);
	if (fd < 0)
		return err_errno(v->err, errno, "cannot create a file in %s",
				 cache_path(v->host->cache));
	if (erofs_writer_new(&writer) < 0)
		return err_oom(v->err);
	r = archive_read_entries(v->tar_fd, v->object.tar_size,
				 v->object.origin, add_entry, writer, v->err);
	if (r == 0)
		r = erofs_writer_finish(writer, &v->object.tar,
					v->object.tar_size, fd, &size, v->err);
	if (r < 0)
		return r;
	r = file_has(fd, v->index.data, v->index.size);
	if (r == 0)
		return err_set(v->err, EBADMSG,
			       "the layer's index is not the one its tarball "
			       "makes");
	return r < 0 ? err_errno(v->err, r, "cannot compare the index") : 0;
}

static int verify(struct verify *v)
{
	int r = load_places(v);

	if (r < 0)
		return r;
	v->tar_fd = open(cache_path(v->host->cache),
			 O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (v->tar_fd < 0)
		return err_errno(v->err, errno, "cannot create a file in %s",
				 cache_path(v->host->cache));
	r = read_chunks(v);
	return r < 0 ? r : check_index(v);
}

/* The layer object as the store has it. */
static int load_object(struct verify *v, const struct digest *tar,
		       const struct digest *object)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char key[STORE_KEY_MAX];
	struct digest actual;
	int r;

	store_key_blob(key, object);
	r = store_get(v->host->store, key, LAYER_OBJECT_MAX, &b, v->err);
	if (r == -ENOENT)
		return err_set(v->err, EBADMSG, "%s lacks the layer object %s",
			       store_name(v->host->store), key);
	if (r < 0)
		return r;
	if (digest_of(b.data, b.size, &actual) < 0)
		return err_oom(v->err);
	if (!digest_equal(&actual, object))
		return err_set(v->err, EBADMSG,
			       "the layer object %s is damaged: its bytes have "
			       "another digest",
			       key);
	r = layer_object_decode(b.data, b.size, &v->object, &v->index,
				LAYER_INDEX_MAX, v->err);
	if (r == 0 && !digest_equal(&v->object.tar, tar))
		r = err_set(v->err, EBADMSG,
			    "the layer object %s describes another layer", key);
	return r;
}

int layer_verify(struct host *h, const struct digest *tar,
		 const struct digest *object, const struct progress *progress,
		 struct verified *ret, struct err *err)
{
	struct verify v = {
		.host = h, .progress = progress, .tar_fd = -1, .err = err};
	int r = load_object(&v, tar, object);

	if (r == 0)
		r = verify(&v);
	if (r == 0)
		*ret = (struct verified){.tar_size = v.object.tar_size,
					 .chunks = v.object.n_chunks,
					 .packs = v.places.n_packs,
					 .entries = v.object.entries};
	if (r == -EBADMSG)
		contents_forget_layer(h, tar);
	closep(&v.tar_fd);
	layer_object_release(&v.object);
	places_release(&v.places);
	buf_release(&v.index);
	return r;
}
