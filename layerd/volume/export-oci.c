/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/export-oci.h"

#include "store/beneath.h"
#include "store/layout.h"
#include "store/staged.h"
#include "util/cleanup.h"
#include "util/fd.h"
#include "util/transfer.h"
#include "volume/mounting.h"
#include "volume/oci-index.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define STEP_SIZE (UINT64_C(16) << 20)
#define BLOBS "blobs/sha256"
#define INDEX "index.json"
#define LAYOUT "oci-layout"

/* One blob: a file's bytes, or those in memory. */
struct blob {
	struct digest digest;
	uint64_t size;
	int fd;
	const void *data;
};

struct layout {
	struct host *host;
	const struct export_oci *q;
	struct cache_layer layers[VERSION_LAYERS_MAX];
	struct buf manifest, config;
	struct digest config_digest;
	int fd, blobs_fd;
	uint64_t done, total;
	struct export_oci_result result;
};

int export_oci_check_ref(const char *ref, struct err *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789";
	const char *p = ref;
	size_t n = strspn(p, letters);

	/* Runs of letters with others between them. */
	while (n && p[n]) {
		p += n;
		p += strspn(p, "-._:@+/");
		n = strspn(p, letters);
	}
	if (n)
		return 0;
	return err_set(err, EINVAL,
		       "an image in an OCI layout cannot be named \"%s\"; give "
		       "another name as DIR:NAME, of letters and digits with "
		       "\"-._:@+/\" between them",
		       ref);
}

static int fail(const struct layout *l, int code, const char *what,
		struct err *err)
{
	if (code == -ECANCELED)
		return err_set(err, code,
			       "the export was stopped; %s is as it was but "
			       "for blobs that the next one takes up",
			       l->q->to);
	return err_errno(err, code, "cannot write %s%s%s", l->q->to,
			 *what ? "/" : "", what);
}

static int report(struct layout *l, uint64_t more)
{
	l->done += more;
	return progress_report(l->host, l->q->progress, "export", l->done,
			       l->total, 0);
}

static int hash_file(struct layout *l, int fd, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *hasher = NULL;
	_cleanup_free_ uint8_t *buffer = malloc(1 << 20);
	int r = buffer ? hasher_new(&hasher) : -ENOMEM;

	while (r == 0) {
		ssize_t n = read(fd, buffer, 1 << 20);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			break;
		if (n < 0)
			return -errno;
		hasher_add(hasher, buffer, (size_t)n);
		r = report(l, (uint64_t)n);
	}
	if (r == 0)
		hasher_finish(hasher, ret);
	return r;
}

/* 1 when the blob is there already, whole; a damaged one is replaced. */
static int is_there(struct layout *l, const struct blob *b, const char *hex)
{
	_cleanup_close_ int fd = -1;
	struct digest digest;
	uint64_t size, before = l->done;
	int r = beneath_open_file(l->blobs_fd, hex, &fd, &size);

	if (r == -ENOENT || r == -EBADMSG || r == -ELOOP)
		return 0;
	if (r < 0)
		return r;
	if (size != b->size)
		return 0;
	r = hash_file(l, fd, &digest);
	if (r < 0)
		return r;
	if (digest_equal(&digest, &b->digest))
		return 1;
	l->done = before;
	return 0;
}

static int copy_blob(struct layout *l, const struct blob *b, int out)
{
	int r = 0;

	if (b->data)
		return pwrite_full(out, b->data, (size_t)b->size, 0);
	for (uint64_t at = 0; r == 0 && at < b->size; at += STEP_SIZE) {
		uint64_t n = MIN(b->size - at, STEP_SIZE);

		r = transfer_bytes(b->fd, at, out, at, n);
		if (r == 0)
			r = report(l, n);
	}
	return r;
}

static int put_blob(struct layout *l, const struct blob *b, struct err *err)
{
	_cleanup_staged_ struct staged st = STAGED_INIT;
	char hex[DIGEST_HEX_SIZE];
	int r = is_there(l, b, digest_hex(&b->digest, hex));

	if (r > 0)
		return 0;
	if (r == 0)
		r = staged_open(&st, l->blobs_fd);
	if (r == 0 && fchmod(st.fd, 0644) < 0)
		r = -errno;
	if (r == 0)
		r = copy_blob(l, b, st.fd);
	if (r == 0)
		r = staged_sync(&st);
	if (r == 0)
		r = staged_rename(&st, l->blobs_fd, hex);
	if (r < 0)
		return fail(l, r, BLOBS, err);
	l->result.blobs++;
	l->result.bytes += b->size;
	return 0;
}

static int put_blobs(struct layout *l, struct err *err)
{
	const struct version *v = l->q->version;
	struct blob config = {.digest = l->config_digest,
			      .size = l->config.size,
			      .data = l->config.data};
	struct blob manifest = {.digest = v->digest,
				.size = l->manifest.size,
				.data = l->manifest.data};
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->n_layers; i++) {
		struct blob b = {.digest = v->layers[i].tar,
				 .size = v->layers[i].tar_size,
				 .fd = l->layers[i].tar_fd};

		r = put_blob(l, &b, err);
	}
	if (r == 0)
		r = put_blob(l, &config, err);
	if (r == 0)
		r = put_blob(l, &manifest, err);
	if (r == 0 && fsync(l->blobs_fd) < 0)
		r = fail(l, -errno, BLOBS, err);
	return r;
}

static int read_file(const struct layout *l, const char *path, struct buf *b)
{
	_cleanup_close_ int fd = -1;
	uint64_t size;
	int r = beneath_open_file(l->fd, path, &fd, &size);

	if (r == 0 && size > VERSION_BLOB_MAX)
		r = -EFBIG;
	if (r == 0)
		r = buf_reserve(b, (size_t)size + 1);
	if (r == 0)
		r = read_full(fd, b->data, (size_t)size);
	b->size = r < 0 ? 0 : (size_t)size;
	return r;
}

/* An empty directory becomes a layout. */
static int check_layout(const struct layout *l, bool *ret_new, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = read_file(l, LAYOUT, &b);

	*ret_new = r == -ENOENT;
	if (*ret_new)
		r = is_empty_directory(l->fd);
	if (*ret_new && r == 0)
		return err_set(err, EINVAL,
			       "%s is neither empty nor an OCI image layout; "
			       "choose another directory",
			       l->q->to);
	if (r < 0)
		return err_errno(err, r, "cannot read %s/" LAYOUT, l->q->to);
	return *ret_new ? 0 : oci_layout_check(&b, l->q->to, err);
}

static int add_to_index(struct layout *l, bool dry, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT, after = BUF_INIT;
	const struct oci_image image = {.digest = &l->q->version->digest,
					.size = l->manifest.size,
					.ref = l->q->ref};
	int r = read_file(l, INDEX, &b);

	if (r < 0 && r != -ENOENT)
		return err_errno(err, r, "cannot read %s/" INDEX, l->q->to);
	r = oci_index_add(&b, &image, l->q->force, l->q->to, &after, err);
	if (r < 0 || dry || after.size == 0)
		return r;
	r = write_file_at(l->fd, INDEX, after.data, after.size, 0644);
	return r < 0 ? fail(l, r, INDEX, err) : 0;
}

static int cannot(const struct export_oci *q, const char *what, int code,
		  struct err *err)
{
	if (code == EACCES && caller_is_kept_out(q->dir_fd))
		return err_set(err, code, "%s " CALLER_KEPT_OUT, q->to);
	return err_errno(err, code, "cannot %s %s", what, q->to);
}

static int open_layout(struct layout *l, struct err *err)
{
	const struct export_oci *q = l->q;
	int r = 0;

	if (q->name && mkdirat(q->dir_fd, q->name, 0755) < 0 && errno != EEXIST)
		return cannot(q, "make", errno, err);
	l->fd = openat(q->dir_fd, q->name ? q->name : ".",
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l->fd < 0)
		return cannot(q, "open", errno, err);
	r = lock_fd(l->fd, false);
	if (r == -EWOULDBLOCK)
		return err_set(err, EBUSY,
			       "somebody else is writing to %s; try again "
			       "when they are done",
			       q->to);
	return r < 0 ? cannot(q, "lock", -r, err) : 0;
}

/* By steps: what is there may be a link. */
static int open_blobs(struct layout *l, struct err *err)
{
	_cleanup_close_ int blobs = -1;
	int r = mkdirat(l->fd, "blobs", 0755) < 0 ? -errno : 0;

	if (r == 0 || r == -EEXIST)
		r = blobs =
			beneath_open(l->fd, "blobs", O_RDONLY | O_DIRECTORY);
	if (r >= 0)
		r = mkdirat(blobs, "sha256", 0755) < 0 ? -errno : 0;
	if (r == 0 || r == -EEXIST)
		r = l->blobs_fd =
			beneath_open(blobs, "sha256", O_RDONLY | O_DIRECTORY);
	return r < 0 ? fail(l, r, BLOBS, err) : 0;
}

static int write_layout(void *ctx, struct err *err)
{
	static const char text[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	struct layout *l = ctx;
	bool is_new;
	int r = open_layout(l, err);

	if (r == 0)
		r = check_layout(l, &is_new, err);
	/* Before gigabytes are copied for nothing. */
	if (r == 0)
		r = add_to_index(l, true, err);
	if (r < 0)
		return r;
	if (is_new) {
		r = write_file_at(l->fd, LAYOUT, text, strlen(text), 0644);
		if (r < 0)
			return fail(l, r, LAYOUT, err);
	}
	r = open_blobs(l, err);
	if (r == 0)
		r = put_blobs(l, err);
	if (r == 0)
		r = add_to_index(l, false, err);
	return r;
}

static int load_blob(struct host *h, const struct digest *digest, struct buf *b,
		     struct err *err)
{
	char key[STORE_KEY_MAX];

	return store_get(h->store, store_key_blob(key, digest),
			 VERSION_BLOB_MAX, b, err);
}

static int load(struct layout *l, struct err *err)
{
	const struct version *v = l->q->version;
	int r = load_blob(l->host, &v->digest, &l->manifest, err);

	if (r == 0)
		r = version_config_digest(l->manifest.data, l->manifest.size,
					  &l->config_digest, err);
	if (r == 0)
		r = load_blob(l->host, &l->config_digest, &l->config, err);
	for (size_t i = 0; r == 0 && i < v->n_layers; i++) {
		r = mounting_open_layer(l->host, &v->layers[i], l->q->progress,
					&l->layers[i], err);
		l->total += v->layers[i].tar_size;
	}
	return r;
}

int export_oci(struct host *h, const struct export_oci *request,
	       struct export_oci_result *ret, struct err *err)
{
	struct layout l = {.host = h, .q = request, .fd = -1, .blobs_fd = -1};
	int r;

	for (size_t i = 0; i < VERSION_LAYERS_MAX; i++)
		l.layers[i] = CACHE_LAYER_INIT;
	r = load(&l, err);
	if (r == 0)
		r = caller_run(request->caller, write_layout, &l, err);
	if (r == 0)
		*ret = l.result;
	for (size_t i = 0; i < VERSION_LAYERS_MAX; i++)
		cache_layer_release(&l.layers[i]);
	buf_release(&l.manifest);
	buf_release(&l.config);
	closep(&l.blobs_fd);
	closep(&l.fd);
	return r;
}
