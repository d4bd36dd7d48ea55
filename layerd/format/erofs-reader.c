/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Opens an image and finds objects in it. The head of an image is checked by
 * making it again from the five values that it holds.
 */

#include "format/erofs-reader.h"

#include "format/erofs-check.h"
#include "format/erofs-directory.h"
#include "format/erofs-walk.h"
#include "util/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

struct erofs_reader {
	struct erofs_view view;
	struct erofs_head head;
	void *map;		      /* NULL when the caller owns the bytes */
	char *path;		      /* of the last look-up */
	struct erofs_entry_buf entry; /* likewise */
};

struct erofs_reader *erofs_reader_free(struct erofs_reader *r)
{
	if (r) {
		if (r->map)
			(void)munmap(r->map, r->view.size);
		erofs_entry_buf_release(&r->entry);
		free(r->path);
		free(r);
	}
	return NULL;
}

void erofs_reader_freep(struct erofs_reader **r)
{
	*r = erofs_reader_free(*r);
}

static int read_head(struct erofs_reader *r, struct err *err)
{
	const uint8_t *data = r->view.data;
	uint8_t again[EROFS_HEAD_SIZE];
	char hex[DIGEST_HEX_SIZE] = {0};
	struct erofs_super super;
	struct erofs_device device;

	if (r->view.size < EROFS_IMAGE_ALIGN ||
	    r->view.size % EROFS_IMAGE_ALIGN)
		return err_set(err, EBADMSG,
			       "the index is damaged: %" PRIu64 " bytes are "
			       "not a multiple of 4096",
			       r->view.size);
	memcpy(&super, data + EROFS_SUPER_OFFSET, sizeof(super));
	memcpy(&device, data + EROFS_DEVICE_OFFSET, sizeof(device));
	if (le32toh(super.magic) != EROFS_MAGIC)
		return err_set(err, EBADMSG, "the index is not an EROFS image");
	memcpy(hex, device.tag, sizeof(device.tag));
	if (digest_parse(hex, &r->head.tar) < 0)
		return err_set(err, EBADMSG,
			       "the index does not say which tarball it is "
			       "of, so it is damaged or not ours");
	r->head.tar_blocks = le32toh(device.blocks);
	r->head.blocks = le32toh(super.blocks);
	r->head.inodes = le64toh(super.inodes);
	r->head.root_nid = le16toh(super.root_nid);
	erofs_head_encode(&r->head, again);
	if (memcmp(data, again, sizeof(again)) != 0)
		return err_set(err, EBADMSG,
			       "the superblock of the index is damaged or not "
			       "ours");
	if (r->head.blocks != r->view.size / EROFS_BLOCK)
		return err_set(err, EBADMSG,
			       "the index is cut short: it has %" PRIu64
			       " blocks, its superblock says %" PRIu32,
			       r->view.size / EROFS_BLOCK, r->head.blocks);
	r->view.tar_blocks = r->head.tar_blocks;
	r->view.root_nid = r->head.root_nid;
	return 0;
}

static int open_view(struct erofs_reader **ret, const void *data, size_t size,
		     void *map, struct err *err)
{
	_cleanup_(erofs_reader_freep) struct erofs_reader *r =
		calloc(1, sizeof(*r));
	int k;

	if (!r) {
		if (map)
			(void)munmap(map, size);
		return err_oom(err);
	}
	r->view.data = data;
	r->view.size = size;
	r->map = map;
	k = read_head(r, err);
	if (k < 0)
		return k;
	*ret = TAKE_PTR(r);
	return 0;
}

int erofs_reader_open(struct erofs_reader **ret, const void *data, size_t size,
		      struct err *err)
{
	return open_view(ret, data, size, NULL, err);
}

int erofs_reader_open_fd(struct erofs_reader **ret, int fd, struct err *err)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "cannot stat a layer's index");
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    (uint64_t)st.st_size > SIZE_MAX)
		return err_set(err, EBADMSG,
			       "the index is empty or not a regular file");
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return err_errno(err, errno, "cannot map a layer's index");
	return open_view(ret, map, (size_t)st.st_size, map, err);
}

const struct digest *erofs_reader_tar(const struct erofs_reader *r)
{
	return &r->head.tar;
}

uint64_t erofs_reader_tar_size(const struct erofs_reader *r)
{
	return (uint64_t)r->head.tar_blocks * EROFS_BLOCK;
}

const struct erofs_view *erofs_reader_view(const struct erofs_reader *r)
{
	return &r->view;
}

uint64_t erofs_reader_inodes(const struct erofs_reader *r)
{
	return r->head.inodes;
}

/* Follows path from the root. -ENOENT without a text. */
static int find_path(struct erofs_reader *r, const char *path,
		     struct erofs_object *ret, uint64_t *ret_parent,
		     struct err *err)
{
	struct erofs_object o;
	uint64_t parent = r->view.root_nid;
	int k;

	if (strlen(path) > ENTRY_PATH_MAX)
		return -ENOENT;
	k = erofs_object_read(&r->view, r->view.root_nid, &o, err);
	if (k < 0)
		return k;
	while (*path) {
		size_t length = strcspn(path, "/");
		struct erofs_item item;

		if (!S_ISDIR(o.mode) || erofs_directory_is_dots(path, length))
			return -ENOENT;
		k = erofs_directory_find(&r->view, &o, path, length, &item,
					 err);
		if (k < 0)
			return k;
		parent = o.nid;
		k = erofs_object_read(&r->view, item.nid, &o, err);
		if (k < 0)
			return k;
		path += length;
		if (*path && !*++path)
			return -ENOENT;
	}
	*ret = o;
	*ret_parent = parent;
	return 0;
}

struct public_walk {
	erofs_entry_fn fn;
	void *ctx;
};

static int visit_public(const struct entry *e, const struct erofs_object *o,
			bool first, void *ctx, struct err *err)
{
	const struct public_walk *w = ctx;

	return w->fn(e, o->nid, w->ctx, err);
}

int erofs_reader_walk(struct erofs_reader *r, const char *path,
		      erofs_entry_fn fn, void *ctx, struct err *err)
{
	struct public_walk w = {fn, ctx};
	struct erofs_object o;
	uint64_t parent;
	int k;

	k = find_path(r, path, &o, &parent, err);
	if (k < 0)
		return k;
	return erofs_walk(&r->view, o.nid, parent, path, !*path, true,
			  visit_public, &w, err);
}

int erofs_reader_lookup(struct erofs_reader *r, const char *path,
			struct entry *ret, uint64_t *ret_nid, struct err *err)
{
	struct erofs_object o;
	uint64_t parent;
	char *copy;
	int k;

	k = find_path(r, path, &o, &parent, err);
	if (k < 0)
		return k;
	copy = strdup(path);
	if (!copy)
		return err_oom(err);
	/* path may be the one that the last look-up gave out. */
	free(r->path);
	r->path = copy;
	k = erofs_object_entry(&r->view, &o, r->path, &r->entry, err);
	if (k < 0)
		return k;
	*ret = r->entry.entry;
	*ret_nid = o.nid;
	return 0;
}

int erofs_reader_entry(struct erofs_reader *r, uint64_t nid, const char *path,
		       struct entry *ret, struct err *err)
{
	struct erofs_object o;
	int k = erofs_object_read(&r->view, nid, &o, err);

	if (k == 0)
		k = erofs_object_entry(&r->view, &o, path, &r->entry, err);
	if (k < 0)
		return k;
	*ret = r->entry.entry;
	return 0;
}

int erofs_reader_check(struct erofs_reader *r, const struct digest *tar,
		       uint64_t tar_size, struct err *err)
{
	char want[DIGEST_HEX_SIZE], have[DIGEST_HEX_SIZE];

	if (!digest_equal(tar, &r->head.tar))
		return err_set(
			err, EBADMSG, "the index is of tarball %s, not of %s",
			digest_hex(&r->head.tar, have), digest_hex(tar, want));
	if (tar_size / EROFS_BLOCK + !!(tar_size % EROFS_BLOCK) !=
	    r->head.tar_blocks)
		return err_set(err, EBADMSG,
			       "the index of tarball %s is made for %" PRIu64
			       " bytes, but the tarball has %" PRIu64,
			       digest_hex(tar, want), erofs_reader_tar_size(r),
			       tar_size);
	return erofs_check(&r->view, &r->head, err);
}
