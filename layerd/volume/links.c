/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers' indexes say which names were linked when they were sealed; the
 * merged mount is the judge of what they are now.
 */
#include "volume/links.h"

#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

void inode_set_release(struct inode_set *s)
{
	free(s->items);
	table_release(&s->table);
	*s = (struct inode_set){0};
}

static bool equal_inode(const void *key, uint32_t index, void *ctx)
{
	const struct inode_set *s = ctx;

	return *(const uint64_t *)key == s->items[index];
}

uint32_t inode_set_find(const struct inode_set *s, uint64_t inode)
{
	return table_find(&s->table, table_hash_int(inode), &inode, equal_inode,
			  (void *)s);
}

int inode_set_add(struct inode_set *s, uint64_t inode, uint32_t *ret)
{
	uint64_t *items;

	*ret = inode_set_find(s, inode);
	if (*ret != TABLE_NONE)
		return 0;
	if (s->n == s->alloc) {
		size_t n = s->alloc ? s->alloc * 2 : 64;

		items = reallocarray(s->items, n, sizeof(*items));
		if (!items)
			return -ENOMEM;
		s->items = items;
		s->alloc = n;
	}
	if (table_add(&s->table, table_hash_int(inode), (uint32_t)s->n) < 0)
		return -ENOMEM;
	s->items[s->n] = inode;
	*ret = (uint32_t)s->n++;
	return 0;
}

void link_names_release(struct link_names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i].path);
	free(l->items);
	*l = (struct link_names){0};
}

struct find {
	int merged_fd;
	const struct inode_set *wanted;
	struct link_names names;
	struct err *err;
};

static int add_name(struct link_names *l, const char *path, size_t size,
		    bool directory)
{
	struct link_name *items;

	if (l->n == l->alloc) {
		size_t n = l->alloc ? l->alloc * 2 : 32;

		items = reallocarray(l->items, n, sizeof(*items));
		if (!items)
			return -ENOMEM;
		l->items = items;
		l->alloc = n;
	}
	l->items[l->n].path = strndup(path, size);
	l->items[l->n].directory = directory;
	if (!l->items[l->n].path)
		return -ENOMEM;
	l->n++;
	return 0;
}

static int consider(struct find *f, const char *path)
{
	struct stat st;
	int r = 0;

	if (fstatat(f->merged_fd, path, &st,
		    AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0 ||
	    S_ISDIR(st.st_mode) ||
	    inode_set_find(f->wanted, st.st_ino) == TABLE_NONE)
		return 0;
	for (const char *p = strchr(path, '/'); p && r == 0;
	     p = strchr(p + 1, '/'))
		r = add_name(&f->names, path, (size_t)(p - path), true);
	if (r == 0)
		r = add_name(&f->names, path, strlen(path), false);
	return r;
}

static int visit(const struct entry *e, uint64_t nid, void *ctx,
		 struct err *err)
{
	struct find *f = ctx;
	int r;

	(void)nid;
	if (!(e->flags & ENTRY_HARDLINK))
		return 0;
	r = consider(f, e->target);
	if (r == 0)
		r = consider(f, e->path);
	return r < 0 ? err_oom(err) : 0;
}

static int compare(const void *a, const void *b)
{
	return entry_path_compare(((const struct link_name *)a)->path,
				  ((const struct link_name *)b)->path);
}

static void remove_duplicates(struct link_names *l)
{
	size_t kept = 0;

	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), compare);
	for (size_t i = 0; i < l->n; i++) {
		if (kept &&
		    strcmp(l->items[kept - 1].path, l->items[i].path) == 0)
			free(l->items[i].path);
		else
			l->items[kept++] = l->items[i];
	}
	l->n = kept;
}

int link_names_find(struct erofs_reader *const *layers, size_t n_layers,
		    int merged_fd, const struct inode_set *wanted,
		    struct link_names *ret, struct err *err)
{
	struct find f = {.merged_fd = merged_fd, .wanted = wanted};
	int r = 0;

	for (size_t i = 0; r == 0 && i < n_layers; i++)
		r = erofs_reader_walk(layers[i], "", visit, &f, err);
	if (r < 0) {
		link_names_release(&f.names);
		return r;
	}
	remove_duplicates(&f.names);
	*ret = f.names;
	return 0;
}
