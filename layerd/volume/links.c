/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers' indexes say which names were linked when they were sealed; the
 * merged mount is the judge of what they are now.
 */
#include "volume/links.h"

#include "store/beneath.h"
#include "util/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

void inode_set_release(struct inode_set *s)
{
	free(s->items);
	table_release(&s->table);
	*s = (struct inode_set){0};
}

static bool equal_inode(const void *key, uint32_t index, void *ctx)
{
	const struct stat *st = key;
	const struct inode_set *s = ctx;

	return s->items[index].number == st->st_ino &&
	       s->items[index].device == st->st_dev;
}

uint32_t inode_set_find(const struct inode_set *s, const struct stat *st)
{
	return table_find(&s->table, table_hash_int(st->st_ino), st,
			  equal_inode, (void *)s);
}

int inode_set_add(struct inode_set *s, const struct stat *st, uint32_t *ret)
{
	struct inode *items;

	*ret = inode_set_find(s, st);
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
	if (table_add(&s->table, table_hash_int(st->st_ino), (uint32_t)s->n) <
	    0)
		return -ENOMEM;
	s->items[s->n] =
		(struct inode){.device = st->st_dev, .number = st->st_ino};
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
	int64_t since_ns;
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

/* Bytes of path that one system call takes, cut at a slash: all of it, if that
 * is shorter than PATH_MAX. */
static size_t piece(const char *path)
{
	size_t n = strlen(path);

	while (n >= PATH_MAX) {
		const char *slash = memrchr(path, '/', n);

		/* Only names that no directory can have are that long. */
		if (!slash)
			break;
		n = (size_t)(slash - path);
	}
	return n;
}

int link_open_directory(int root_fd, const char *path)
{
	_cleanup_close_ int fd = -1;

	do {
		size_t n = piece(path);
		_cleanup_free_ char *part = n ? strndup(path, n) : strdup(".");
		int next;

		if (!part)
			return -ENOMEM;
		next = beneath_open(fd < 0 ? root_fd : fd, part,
				    O_RDONLY | O_DIRECTORY);
		if (next < 0)
			return next;
		closep(&fd);
		fd = next;
		path += n + (path[n] == '/');
	} while (*path);
	return TAKE_FD(fd);
}

int link_open_parent(int root_fd, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = NULL;

	*ret_name = slash ? slash + 1 : path;
	parent = slash ? strndup(path, (size_t)(slash - path)) : strdup("");
	return parent ? link_open_directory(root_fd, parent) : -ENOMEM;
}

static bool changed_since(const struct stat *st, int64_t since_ns)
{
	return (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec >=
	       since_ns;
}

/* The index names its files by their origin; of a file that has a name in the
 * upper directory it is one more link. */
int link_index_changed(int session_fd, int64_t since_ns)
{
	struct dirent *d;
	struct stat st;
	int r = 0;
	int fd = openat(session_fd, "work/index",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		r = errno == ENOENT ? 0 : -errno;
		closep(&fd);
		return r;
	}
	while (r == 0 && (errno = 0, d = readdir(dir)))
		r = fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !S_ISDIR(st.st_mode) && !S_ISCHR(st.st_mode) &&
		    st.st_nlink == 1 && changed_since(&st, since_ns);
	if (r == 0 && errno && !d)
		r = -errno;
	(void)closedir(dir);
	return r;
}

static int consider(struct find *f, const char *path)
{
	const char *name;
	_cleanup_close_ int dir = link_open_parent(f->merged_fd, path, &name);
	struct stat st;
	int r = 0;

	if (dir == -ENOMEM)
		return dir;
	if (dir < 0 ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) <
		    0 ||
	    S_ISDIR(st.st_mode))
		return 0;
	if (inode_set_find(f->wanted, &st) == TABLE_NONE &&
	    !changed_since(&st, f->since_ns))
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
		    int64_t since_ns, struct link_names *ret, struct err *err)
{
	struct find f = {
		.merged_fd = merged_fd, .wanted = wanted, .since_ns = since_ns};
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
