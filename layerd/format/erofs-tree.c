/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Names and inodes of an index in the making. Entries come in path order as a
 * rule, so the directories on the way to the last path are kept and the next
 * path starts from what it shares with that; any other order works as well and
 * costs look-ups.
 */

#include "format/erofs-tree.h"

#include "format/erofs-format.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

int erofs_tree_init(struct erofs_tree *t)
{
	struct erofs_node root = {
		.mode = S_IFDIR | 0755,
		.first = EROFS_TREE_NONE,
	};
	uint32_t inode;
	int r;

	*t = (struct erofs_tree){0};
	t->path = malloc(ENTRY_PATH_MAX + 1);
	t->names = calloc(64, sizeof(*t->names));
	if (!t->path || !t->names)
		return -ENOMEM;
	t->names_alloc = 64;
	/* Offset 0 means "none" in xattrs and an empty name in text. */
	r = buf_add_zero(&t->xattrs, 4);
	if (r < 0)
		return r;
	r = buf_add_zero(&t->text, 2);
	if (r < 0)
		return r;
	r = erofs_tree_add_node(t, &root, &inode);
	if (r < 0)
		return r;
	t->names[0] = (struct erofs_name){
		.parent = EROFS_TREE_ROOT,
		.next = EROFS_TREE_NONE,
		.inode = inode,
	};
	t->n_names = 1;
	return 0;
}

void erofs_tree_release(struct erofs_tree *t)
{
	free(t->names);
	free(t->nodes);
	table_release(&t->table);
	buf_release(&t->text);
	buf_release(&t->extents);
	buf_release(&t->xattrs);
	table_release(&t->xattr_table);
	free(t->path);
	free(t->steps);
	*t = (struct erofs_tree){0};
}

/* Room for one more element in an array that grows by half. */
static int grow(void **array, uint32_t used, uint32_t *alloc, size_t size)
{
	uint64_t want;
	void *p;

	if (used < *alloc)
		return 0;
	want = (uint64_t)*alloc + *alloc / 2 + 64;
	if (want >= EROFS_TREE_NONE)
		return -ENOMEM;
	p = reallocarray(*array, want, size);
	if (!p)
		return -ENOMEM;
	*array = p;
	*alloc = (uint32_t)want;
	return 0;
}

struct name_key {
	const struct erofs_tree *tree;
	uint32_t parent;
	const char *name;
	size_t length;
};

static uint64_t name_hash(uint32_t parent, const char *name, size_t length)
{
	return table_hash_int(table_hash(name, length) + parent);
}

static bool name_equal(const void *key, uint32_t index, void *ctx)
{
	const struct name_key *k = key;
	const struct erofs_name *n = &k->tree->names[index];
	const uint8_t *text = k->tree->text.data + n->text;

	return n->parent == k->parent && n->inode != EROFS_TREE_NONE &&
	       *text == k->length && memcmp(text + 1, k->name, k->length) == 0;
}

uint32_t erofs_tree_find(const struct erofs_tree *t, uint32_t parent,
			 const char *name, size_t length)
{
	struct name_key key = {t, parent, name, length};

	return table_find(&t->table, name_hash(parent, name, length), &key,
			  name_equal, NULL);
}

uint32_t erofs_tree_lookup(const struct erofs_tree *t, const char *path)
{
	uint32_t name = EROFS_TREE_ROOT;

	while (*path) {
		size_t length = strcspn(path, "/");

		name = erofs_tree_find(t, name, path, length);
		if (name == EROFS_TREE_NONE)
			return name;
		path += length;
		if (*path)
			path++;
	}
	return name;
}

int erofs_tree_add_node(struct erofs_tree *t, const struct erofs_node *node,
			uint32_t *ret)
{
	int r = grow((void **)&t->nodes, t->n_nodes, &t->nodes_alloc,
		     sizeof(*t->nodes));

	if (r < 0)
		return r;
	t->nodes[t->n_nodes] = *node;
	*ret = t->n_nodes++;
	return 0;
}

int erofs_tree_add_text(struct erofs_tree *t, const char *s, size_t length,
			uint32_t *ret)
{
	int r;

	if (t->text.size > UINT32_MAX)
		return -ENOMEM;
	*ret = (uint32_t)t->text.size;
	r = buf_reserve(&t->text, length + 1);
	if (r < 0)
		return r;
	memcpy(t->text.data + t->text.size, s, length);
	t->text.data[t->text.size + length] = 0;
	t->text.size += length + 1;
	return 0;
}

int erofs_tree_add_extents(struct erofs_tree *t, const struct extent *extents,
			   size_t n, uint32_t *ret)
{
	size_t first = t->extents.size / sizeof(*extents);

	if (first > UINT32_MAX)
		return -ENOMEM;
	*ret = (uint32_t)first;
	return buf_add(&t->extents, extents, n * sizeof(*extents));
}

struct xattr_key {
	const struct erofs_tree *tree;
	const void *set;
	uint32_t size;
};

static bool xattr_equal(const void *key, uint32_t index, void *ctx)
{
	const struct xattr_key *k = key;
	uint32_t size;
	const uint8_t *set = erofs_tree_xattrs(k->tree, index, &size);

	return size == k->size && memcmp(set, k->set, size) == 0;
}

int erofs_tree_add_xattrs(struct erofs_tree *t, const void *set, uint32_t size,
			  uint32_t *ret)
{
	struct xattr_key key = {t, set, size};
	uint64_t hash = table_hash(set, size);
	uint32_t found =
		table_find(&t->xattr_table, hash, &key, xattr_equal, NULL);
	size_t at = t->xattrs.size;
	int r;

	if (found != TABLE_NONE) {
		*ret = found;
		return 0;
	}
	if (at / 4 >= TABLE_NONE)
		return -ENOMEM;
	r = buf_reserve(&t->xattrs, sizeof(size) + size);
	if (r < 0)
		return r;
	r = table_add(&t->xattr_table, hash, (uint32_t)(at / 4));
	if (r < 0)
		return r;
	memcpy(t->xattrs.data + at, &size, sizeof(size));
	memcpy(t->xattrs.data + at + sizeof(size), set, size);
	t->xattrs.size += sizeof(size) + size;
	*ret = (uint32_t)(at / 4);
	return 0;
}

const uint8_t *erofs_tree_xattrs(const struct erofs_tree *t, uint32_t set,
				 uint32_t *ret_size)
{
	const uint8_t *p = t->xattrs.data + (size_t)set * 4;

	memcpy(ret_size, p, sizeof(*ret_size));
	return p + sizeof(*ret_size);
}

static int add_name(struct erofs_tree *t, uint32_t parent, const char *name,
		    size_t length, uint32_t inode)
{
	struct erofs_node *directory = erofs_tree_node(t, parent);
	uint32_t n = t->n_names;
	uint8_t byte = (uint8_t)length;
	int r;

	r = grow((void **)&t->names, n, &t->names_alloc, sizeof(*t->names));
	if (r < 0)
		return r;
	if (t->text.size > UINT32_MAX)
		return -ENOMEM;
	r = buf_reserve(&t->text, 1 + length);
	if (r < 0)
		return r;
	r = table_add(&t->table, name_hash(parent, name, length), n);
	if (r < 0)
		return r;
	t->names[n] = (struct erofs_name){
		.parent = parent,
		.next = directory->first,
		.inode = inode,
		.text = (uint32_t)t->text.size,
	};
	t->text.data[t->text.size] = byte;
	memcpy(t->text.data + t->text.size + 1, name, length);
	t->text.size += 1 + length;
	directory->first = n;
	t->n_names++;
	t->live++;
	return 0;
}

static bool is_directory(const struct erofs_tree *t, uint32_t name)
{
	return t->names[name].inode != EROFS_TREE_NONE &&
	       S_ISDIR(erofs_tree_node(t, name)->mode);
}

/* Ends name and all below it, children before their directory. */
static void kill_tree(struct erofs_tree *t, uint32_t name)
{
	uint32_t n = name;

	t->n_steps = 0;
	for (;;) {
		if (is_directory(t, n)) {
			struct erofs_node *node = erofs_tree_node(t, n);
			uint32_t child = node->first;

			if (child != EROFS_TREE_NONE) {
				node->first = t->names[child].next;
				n = child;
				continue;
			}
		}
		if (t->names[n].inode != EROFS_TREE_NONE)
			t->live--;
		t->names[n].inode = EROFS_TREE_NONE;
		if (n == name)
			return;
		n = t->names[n].parent;
	}
}

int erofs_tree_put(struct erofs_tree *t, uint32_t parent, const char *name,
		   size_t length, uint32_t existing, uint32_t inode)
{
	struct erofs_node *node = &t->nodes[inode];
	int r;

	if (existing == EROFS_TREE_NONE)
		return add_name(t, parent, name, length, inode);
	if (!is_directory(t, existing)) {
		t->names[existing].inode = inode;
		return 0;
	}
	if (S_ISDIR(node->mode)) {
		node->first = erofs_tree_node(t, existing)->first;
		t->names[existing].inode = inode;
		return 0;
	}
	/* A new name first: should memory end, nothing is lost. It is not
	 * found while the old one lives, which comes before it. */
	r = add_name(t, parent, name, length, inode);
	if (r < 0)
		return r;
	kill_tree(t, existing);
	return 0;
}

static int push_step(struct erofs_tree *t, uint32_t name, uint32_t end)
{
	int r = grow((void **)&t->steps, t->n_steps, &t->steps_alloc,
		     sizeof(*t->steps));

	if (r < 0)
		return r;
	t->steps[t->n_steps++] = (struct erofs_tree_step){end, name};
	return 0;
}

/* Makes the directory name, where a whiteout or nothing is. */
static int make_directory(struct erofs_tree *t, uint32_t parent,
			  const char *name, size_t length, uint32_t *existing)
{
	struct erofs_node node = {
		.mode = S_IFDIR | 0755,
		.first = EROFS_TREE_NONE,
		.flags = *existing == EROFS_TREE_NONE ? 0 : EROFS_NODE_OPAQUE,
	};
	uint32_t inode;
	int r;

	r = erofs_tree_add_node(t, &node, &inode);
	if (r < 0)
		return r;
	r = erofs_tree_put(t, parent, name, length, *existing, inode);
	if (r < 0)
		return r;
	if (*existing == EROFS_TREE_NONE)
		*existing = t->n_names - 1;
	return 0;
}

static bool plain_component(const char *s, size_t length)
{
	if (length == 0 || length > ENTRY_NAME_MAX)
		return false;
	return !(s[0] == '.' && (length == 1 || (length == 2 && s[1] == '.')));
}

static int check_path(const char *path, struct err *err)
{
	const char *p = path;

	for (;;) {
		size_t length = strcspn(p, "/");

		if (!plain_component(p, length))
			break;
		p += length;
		if (!*p && p - path <= ENTRY_PATH_MAX)
			return 0;
		if (!*p++)
			break;
	}
	return err_set(err, EINVAL,
		       "the path \"%.512s\" cannot be stored: paths are "
		       "relative, at most %d bytes long, and made of names of "
		       "1 to %d bytes other than \".\" and \"..\"",
		       path, ENTRY_PATH_MAX, ENTRY_NAME_MAX);
}

/* Where path leaves the last one: steps beyond are dropped. */
static void share_steps(struct erofs_tree *t, const char *path)
{
	uint32_t same = 0;
	uint32_t end = t->n_steps ? t->steps[t->n_steps - 1].end : 0;

	while (same < end && path[same] == t->path[same])
		same++;
	while (t->n_steps && (t->steps[t->n_steps - 1].end > same ||
			      path[t->steps[t->n_steps - 1].end] != '/'))
		t->n_steps--;
}

/* One step down into a directory that is there or made. */
static int step_down(struct erofs_tree *t, uint32_t parent, const char *name,
		     size_t length, bool keep_whiteouts, uint32_t *ret)
{
	uint32_t found = erofs_tree_find(t, parent, name, length);

	if (found != EROFS_TREE_NONE && !is_directory(t, found)) {
		uint16_t flags = erofs_tree_node(t, found)->flags;

		if (keep_whiteouts || !(flags & EROFS_NODE_WHITEOUT))
			return EROFS_TREE_E_NOTDIR;
	}
	if (found == EROFS_TREE_NONE || !is_directory(t, found)) {
		int r = make_directory(t, parent, name, length, &found);

		if (r < 0)
			return r;
	}
	*ret = found;
	return 0;
}

int erofs_tree_parent(struct erofs_tree *t, const char *path,
		      bool keep_whiteouts, uint32_t *ret_parent,
		      const char **ret_base, struct err *err)
{
	uint32_t parent = EROFS_TREE_ROOT;
	uint32_t at = 0;
	int r;

	r = check_path(path, err);
	if (r < 0)
		return r;
	share_steps(t, path);
	if (t->n_steps) {
		parent = t->steps[t->n_steps - 1].name;
		at = t->steps[t->n_steps - 1].end + 1;
	}
	for (;;) {
		size_t part = strcspn(path + at, "/");

		if (!path[at + part])
			break;
		r = step_down(t, parent, path + at, part, keep_whiteouts,
			      &parent);
		if (r == -ENOMEM)
			return err_oom(err);
		if (r)
			return r;
		memcpy(t->path + at, path + at, part + 1);
		r = push_step(t, parent, at + (uint32_t)part);
		if (r < 0)
			return err_oom(err);
		at += (uint32_t)part + 1;
	}
	*ret_parent = parent;
	*ret_base = path + at;
	return 0;
}

static int compare_names(const void *a, const void *b, void *ctx)
{
	size_t a_length, b_length;
	const char *s = erofs_tree_text(ctx, *(const uint32_t *)a, &a_length);
	const char *u = erofs_tree_text(ctx, *(const uint32_t *)b, &b_length);

	return erofs_name_compare(s, a_length, u, b_length);
}

/* Names are linked last first; children gets them first first. */
static int collect_children(const struct erofs_tree *t, uint32_t first,
			    struct buf *children)
{
	uint32_t *list;
	size_t n;

	children->size = 0;
	for (uint32_t c = first; c != EROFS_TREE_NONE; c = t->names[c].next) {
		int r;

		if (t->names[c].inode == EROFS_TREE_NONE)
			continue;
		r = buf_add(children, &c, sizeof(c));
		if (r < 0)
			return r;
	}
	list = (uint32_t *)children->data;
	n = children->size / sizeof(*list);
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t swap = list[i];

		list[i] = list[n - 1 - i];
		list[n - 1 - i] = swap;
	}
	return 0;
}

static bool in_order(struct erofs_tree *t, const uint32_t *list, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (compare_names(&list[i - 1], &list[i], t) > 0)
			return false;
	return true;
}

static void sort_directory(struct erofs_tree *t, struct erofs_node *directory,
			   uint32_t *list, size_t n)
{
	directory->nlink = 2;
	directory->first = n ? list[0] : EROFS_TREE_NONE;
	if (!in_order(t, list, n)) {
		qsort_r(list, n, sizeof(*list), compare_names, t);
		directory->first = list[0];
	}
	for (size_t i = 0; i < n; i++) {
		struct erofs_node *node = erofs_tree_node(t, list[i]);

		t->names[list[i]].next =
			i + 1 < n ? list[i + 1] : EROFS_TREE_NONE;
		if (S_ISDIR(node->mode))
			directory->nlink++;
		else
			node->nlink++;
		if (node->flags & EROFS_NODE_WHITEOUT)
			directory->flags |= EROFS_NODE_WHITEOUTS;
	}
}

int erofs_tree_sort(struct erofs_tree *t)
{
	_cleanup_buf_ struct buf children = BUF_INIT;

	/* Dead directories have no names left, so only live ones count. */
	for (uint32_t n = 0; n < t->n_names; n++) {
		struct erofs_node *node;
		int r;

		if (!is_directory(t, n))
			continue;
		node = erofs_tree_node(t, n);
		r = collect_children(t, node->first, &children);
		if (r < 0)
			return r;
		sort_directory(t, node, (uint32_t *)children.data,
			       children.size / sizeof(uint32_t));
	}
	return 0;
}

uint32_t erofs_tree_next(const struct erofs_tree *t, uint32_t n)
{
	const struct erofs_node *node = erofs_tree_node(t, n);

	if (S_ISDIR(node->mode) && node->first != EROFS_TREE_NONE)
		return node->first;
	while (n != EROFS_TREE_ROOT) {
		if (t->names[n].next != EROFS_TREE_NONE)
			return t->names[n].next;
		n = t->names[n].parent;
	}
	return EROFS_TREE_NONE;
}
