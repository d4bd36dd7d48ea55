/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry "TRAILER!!!" ends the archive. In newc a file with several names has
 * its data at the last one. What must hold: memory is bounded by the names of
 * such files.
 */
#include "format/cpio-reader.h"

#include "format/cpio-header.h"
#include "format/entry-path.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/quote.h"
#include "util/table.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define TRAILER "TRAILER!!!"
/* Bytes kept of files with several names. */
#define LINKS_MAX (256u << 20)
#define NONE UINT32_MAX

/* A file with several names. */
struct file {
	uint64_t device;
	uint64_t inode;
	struct entry entry; /* attributes; path is not used */
	size_t path;	    /* of the name that was delivered, in names */
	bool delivered;
	uint32_t first, last; /* names that wait for it */
};

struct waiting {
	size_t path;
	uint32_t next;
};

struct cpio_reader {
	struct archive_input *in;
	const struct cpio_layout *layout;
	uint64_t fields[CPIO_COUNT];
	uint64_t at; /* offset in the archive */
	bool ended;

	uint64_t left; /* data of the entry at hand */
	uint32_t padding;
	uint32_t sum;
	bool summed; /* the sum must be the header's */

	struct buf name;
	struct buf path;
	struct buf target;

	struct file *files;
	size_t n_files, files_alloc;
	struct table table;
	struct waiting *waiting;
	size_t n_waiting, waiting_alloc;
	struct buf names;
	uint32_t link; /* to be delivered next, names of file linked */
	uint32_t linked;
	uint32_t rest; /* at the end: the next file to look at */
	struct err *err;
};

int cpio_reader_new(struct cpio_reader **ret, struct archive_input *in)
{
	struct cpio_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->in = in;
	r->link = NONE;
	*ret = r;
	return 0;
}

struct cpio_reader *cpio_reader_free(struct cpio_reader *r)
{
	if (!r)
		return NULL;
	buf_release(&r->name);
	buf_release(&r->path);
	buf_release(&r->target);
	buf_release(&r->names);
	table_release(&r->table);
	free(r->files);
	free(r->waiting);
	free(r);
	return NULL;
}

void cpio_reader_freep(struct cpio_reader **r)
{
	*r = cpio_reader_free(*r);
}

static int damaged(struct cpio_reader *r, const char *what)
{
	return err_set(r->err, EBADMSG,
		       "the cpio archive has %s near byte %llu; it is damaged "
		       "or was cut off",
		       what, (unsigned long long)r->at);
}

static int refuse(struct cpio_reader *r, const char *what)
{
	char quoted[QUOTE_SIZE];
	const char *name = buf_str(&r->name);

	return err_set(r->err, EBADMSG,
		       "the archive's entry %s has %s; it cannot be used",
		       quote_text(name ? name : "", quoted), what);
}

static int read_bytes(struct cpio_reader *r, void *data, size_t size)
{
	int e = archive_input_read_full(r->in, data, size, r->err);

	r->at += size;
	return e == -ENODATA ? damaged(r, "no end") : e;
}

static int skip_bytes(struct cpio_reader *r, uint64_t size)
{
	uint8_t scratch[16384];
	int e = 0;

	while (e == 0 && size) {
		size_t n = (size_t)MIN(size, (uint64_t)sizeof(scratch));

		e = read_bytes(r, scratch, n);
		size -= n;
	}
	return e;
}

static int read_header(struct cpio_reader *r)
{
	uint8_t h[CPIO_HEADER_MAX];
	const struct cpio_layout *l;
	int e = read_bytes(r, h, CPIO_MAGIC_SIZE);

	if (e < 0)
		return e;
	l = cpio_layout_find(h);
	if (!l)
		return damaged(r, "no header where there must be one");
	e = read_bytes(r, h + CPIO_MAGIC_SIZE, l->size - CPIO_MAGIC_SIZE);
	if (e < 0)
		return e;
	r->layout = l;
	return cpio_header_parse(l, h, r->fields)
		       ? 0
		       : damaged(r, "a header that is no number");
}

static uint32_t padding(const struct cpio_layout *l, uint64_t size)
{
	return (uint32_t)((l->align - size % l->align) % l->align);
}

static int read_name(struct cpio_reader *r)
{
	uint64_t n = r->fields[CPIO_NAME];
	int e;

	r->name.size = 0;
	if (n < 2 || n > ENTRY_PATH_MAX + 1)
		return damaged(r, "a name without length or without end");
	if (buf_reserve(&r->name, (size_t)n) < 0)
		return err_oom(r->err);
	e = read_bytes(r, r->name.data, (size_t)n);
	if (e == 0)
		e = skip_bytes(r, padding(r->layout, r->layout->size + n));
	if (e < 0)
		return e;
	if (memchr(r->name.data, 0, (size_t)n) != r->name.data + n - 1)
		return damaged(r, "a name that does not end where it should");
	r->name.size = (size_t)n - 1;
	return 0;
}

/* The end of what belongs to the entry before. */
static int skip_data(struct cpio_reader *r)
{
	int e = skip_bytes(r, r->left);

	if (e == 0)
		e = skip_bytes(r, r->padding);
	r->left = r->padding = 0;
	return e;
}

/* Writers fill the last block with zeros. What else is there was meant to be
 * read, and is not. */
static int check_rest(struct cpio_reader *r)
{
	uint8_t data[4096];
	ssize_t n;

	r->ended = true;
	while ((n = archive_input_read(r->in, data, sizeof(data), r->err)) > 0)
		for (ssize_t i = 0; i < n; i++)
			if (data[i])
				return err_set(
					r->err, EBADMSG,
					"something follows the end of the cpio "
					"archive, at byte %llu; take the "
					"archives apart first",
					(unsigned long long)r->at);
	return (int)n;
}

static int read_target(struct cpio_reader *r, struct entry *e)
{
	uint64_t n = r->left;
	int f;

	r->target.size = 0;
	if (n == 0 || n > ENTRY_TARGET_MAX)
		return refuse(r, "a link target that is empty or has more than "
				 "4095 bytes");
	if (buf_reserve(&r->target, (size_t)n) < 0)
		return err_oom(r->err);
	f = read_bytes(r, r->target.data, (size_t)n);
	if (f < 0)
		return f;
	r->left = 0;
	if (memchr(r->target.data, 0, (size_t)n))
		return refuse(r, "a link target with a NUL byte");
	r->target.size = (size_t)n;
	e->target = buf_str(&r->target);
	return e->target ? 0 : err_oom(r->err);
}

/* Also sets what is left to be read. */
static int make_entry(struct cpio_reader *r, struct entry *e)
{
	const uint64_t *f = r->fields;
	int p = entry_path_clean(&r->path, (const char *)r->name.data);

	*e = (struct entry){
		.mode = (uint32_t)f[CPIO_MODE],
		.uid = (uint32_t)f[CPIO_UID],
		.gid = (uint32_t)f[CPIO_GID],
		.mtime = (int64_t)f[CPIO_MTIME],
	};
	r->left = f[CPIO_SIZE];
	r->padding = padding(r->layout, r->left);
	r->sum = 0;
	r->summed = r->layout->has_check && S_ISREG(e->mode);
	if (p == -ENOMEM)
		return err_oom(r->err);
	if (p < 0)
		return refuse(r, "a path that leads out of the layer or is too "
				 "long");
	e->path = (const char *)r->path.data;
	if (f[CPIO_MODE] > 0177777)
		return refuse(r, "a mode that is out of range");
	if (S_ISREG(e->mode))
		e->size = r->left;
	if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		e->rdev_major = (uint32_t)f[CPIO_RDEV_MAJOR];
		e->rdev_minor = (uint32_t)f[CPIO_RDEV_MINOR];
	}
	if (S_ISLNK(e->mode))
		e->mode = S_IFLNK | 0777; /* as the kernel has it */
	if (!*e->path && !S_ISDIR(e->mode))
		return refuse(r, "a path that is the root of the tree, but is "
				 "no directory");
	return S_ISLNK(e->mode) ? read_target(r, e) : 0;
}

static const char *name_at(const struct cpio_reader *r, size_t offset)
{
	return (const char *)r->names.data + offset;
}

static int keep_name(struct cpio_reader *r, const char *path, size_t *ret)
{
	uint64_t used = r->names.size + r->n_files * sizeof(*r->files) +
			r->n_waiting * sizeof(*r->waiting);

	if (used > LINKS_MAX)
		return err_set(r->err, EBADMSG,
			       "the cpio archive has more files with several "
			       "names than can be kept in mind (%u MiB)",
			       LINKS_MAX >> 20);
	*ret = r->names.size;
	return buf_add(&r->names, path, strlen(path) + 1) < 0 ? err_oom(r->err)
							      : 0;
}

static bool equal_file(const void *key, uint32_t index, void *ctx)
{
	const struct cpio_reader *r = ctx;
	const struct file *want = key, *f = &r->files[index];

	return f->device == want->device && f->inode == want->inode;
}

static int find_file(struct cpio_reader *r, const struct entry *e,
		     uint32_t *ret)
{
	struct file key = {
		.device = r->fields[CPIO_DEVICE_MAJOR] << 32 |
			  r->fields[CPIO_DEVICE_MINOR],
		.inode = r->fields[CPIO_INODE],
		.entry = *e,
		.first = NONE,
	};
	uint64_t hash = table_hash_int(key.inode * 31 + key.device);

	*ret = table_find(&r->table, hash, &key, equal_file, r);
	if (*ret != NONE)
		return 0;
	if (r->n_files == r->files_alloc) {
		size_t n = r->files_alloc ? r->files_alloc * 2 : 64;
		struct file *files = reallocarray(r->files, n, sizeof(*files));

		if (!files)
			return err_oom(r->err);
		r->files = files;
		r->files_alloc = n;
	}
	if (table_add(&r->table, hash, (uint32_t)r->n_files) < 0)
		return err_oom(r->err);
	*ret = (uint32_t)r->n_files;
	r->files[r->n_files++] = key;
	return 0;
}

/* A name without data: perhaps that comes with another name. */
static int hold(struct cpio_reader *r, struct file *f, const char *path)
{
	uint32_t index = (uint32_t)r->n_waiting;
	size_t offset;
	int e = keep_name(r, path, &offset);

	if (e < 0)
		return e;
	if (r->n_waiting == r->waiting_alloc) {
		size_t n = r->waiting_alloc ? r->waiting_alloc * 2 : 64;
		struct waiting *w = reallocarray(r->waiting, n, sizeof(*w));

		if (!w)
			return err_oom(r->err);
		r->waiting = w;
		r->waiting_alloc = n;
	}
	r->waiting[r->n_waiting++] = (struct waiting){offset, NONE};
	if (f->first == NONE)
		f->first = index;
	else
		r->waiting[f->last].next = index;
	f->last = index;
	return 0;
}

static void make_link(struct cpio_reader *r, const char *path,
		      const struct file *f, struct entry *e)
{
	*e = (struct entry){
		.path = path,
		.flags = ENTRY_HARDLINK,
		.mode = f->entry.mode,
		.uid = f->entry.uid,
		.gid = f->entry.gid,
		.mtime = f->entry.mtime,
		.target = name_at(r, f->path),
	};
}

#define AGAIN 2 /* nothing to deliver yet */

/* One of several names of a file. */
static int read_name_of_several(struct cpio_reader *r, struct entry *e)
{
	struct file *f;
	uint32_t index;
	int n = find_file(r, e, &index);

	if (n < 0)
		return n;
	f = &r->files[index];
	if (f->delivered) {
		bool same = strcmp(e->path, name_at(r, f->path)) == 0;

		r->summed = false;
		make_link(r, e->path, f, e);
		return same ? AGAIN : 0;
	}
	if (e->size == 0 && r->layout->data_last) {
		n = hold(r, f, e->path);
		return n < 0 ? n : AGAIN;
	}
	n = keep_name(r, e->path, &f->path);
	if (n < 0)
		return n;
	f->delivered = true;
	f->entry = *e;
	r->link = f->first;
	r->linked = index;
	return 0;
}

static int read_entry(struct cpio_reader *r, struct entry *e)
{
	int f = skip_data(r);

	if (f == 0)
		f = read_header(r);
	if (f == 0)
		f = read_name(r);
	if (f < 0)
		return f;
	if (strcmp((const char *)r->name.data, TRAILER) == 0) {
		f = check_rest(r);
		return f < 0 ? f : AGAIN;
	}
	f = make_entry(r, e);
	if (f < 0)
		return f;
	if (S_ISSOCK(e->mode) ||
	    (S_ISCHR(e->mode) && !e->rdev_major && !e->rdev_minor))
		return AGAIN;
	if (!S_ISREG(e->mode) && !S_ISDIR(e->mode) && !S_ISLNK(e->mode) &&
	    !S_ISCHR(e->mode) && !S_ISBLK(e->mode) && !S_ISFIFO(e->mode))
		return refuse(r, "a type that is not known");
	if (S_ISREG(e->mode) && r->fields[CPIO_LINKS] > 1)
		return read_name_of_several(r, e);
	return 0;
}

/* Names whose data never came are those of an empty file. */
static int deliver_empty(struct cpio_reader *r, struct entry *e)
{
	for (; r->rest < r->n_files; r->rest++) {
		struct file *f = &r->files[r->rest];

		if (f->delivered || f->first == NONE)
			continue;
		f->delivered = true;
		f->path = r->waiting[f->first].path;
		*e = f->entry;
		e->path = name_at(r, f->path);
		r->link = r->waiting[f->first].next;
		r->linked = r->rest;
		return 0;
	}
	return CPIO_READER_END;
}

/* The path may be the file's own, which an archive can name twice. */
static int deliver_link(struct cpio_reader *r, struct entry *e)
{
	const struct file *f = &r->files[r->linked];
	const struct waiting *w = &r->waiting[r->link];
	int n = skip_data(r);

	if (n < 0)
		return n;
	make_link(r, name_at(r, w->path), f, e);
	r->link = w->next;
	return strcmp(e->path, e->target) == 0 ? AGAIN : 0;
}

int cpio_reader_next(struct cpio_reader *r, struct entry *ret, struct err *err)
{
	struct err unused = ERR_INIT;
	int f = AGAIN;

	r->err = err ? err : &unused;
	while (f == AGAIN)
		f = r->link != NONE ? deliver_link(r, ret)
		    : r->ended	    ? deliver_empty(r, ret)
				    : read_entry(r, ret);
	return f;
}

ssize_t cpio_reader_data(struct cpio_reader *r, void *data, size_t size,
			 struct err *err)
{
	struct err unused = ERR_INIT;
	const uint8_t *p = data;
	ssize_t n;

	r->err = err ? err : &unused;
	if (r->left == 0)
		return 0;
	n = archive_input_read(r->in, data, (size_t)MIN(r->left, size), r->err);
	if (n < 0)
		return n;
	if (n == 0)
		return damaged(r, "no end");
	for (ssize_t i = 0; r->summed && i < n; i++)
		r->sum += p[i];
	r->left -= (uint64_t)n;
	r->at += (uint64_t)n;
	if (r->summed && r->left == 0 && r->sum != r->fields[CPIO_CHECK])
		return refuse(r, "another checksum than its data");
	return n;
}
