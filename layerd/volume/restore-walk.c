/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goes through the version in path order. What must hold: a directory is made
 * before anything in it is handed out; a file with several names is made here,
 * so that it is whole when its next name is linked to it.
 */
#include "volume/restore-private.h"

#include "util/cleanup.h"
#include "volume/first-names.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct frame {
	struct tree_names names;
	struct place *place;
	struct batch *batch; /* names of this directory to hand out */
	size_t path_size;
};

struct walk {
	struct writer *w;
	struct restore *r;
	struct first_names firsts;
	struct buf path; /* below the first directory */
	struct frame *frames;
	size_t depth, alloc;
	struct err err;
};

static int fail(struct walk *w, int code)
{
	if (!w->err.code)
		(void)err_errno(&w->err, code, "cannot go through the version");
	return restore_fail_err(w->r, code, &w->err);
}

/* Takes place over. */
static int enter(struct walk *w, const struct tree_node *node,
		 struct place *place)
{
	struct frame *f;
	int k;

	if (w->depth == w->alloc) {
		size_t n = w->alloc ? w->alloc * 2 : 16;

		f = reallocarray(w->frames, n, sizeof(*f));
		if (!f) {
			place_release(w->w, place);
			return fail(w, -ENOMEM);
		}
		w->frames = f;
		w->alloc = n;
	}
	f = &w->frames[w->depth++];
	*f = (struct frame){.place = place, .path_size = w->path.size};
	k = tree_names_open(&f->names, w->r->q->tree, &node->directory,
			    &w->err);
	return k < 0 ? fail(w, k) : 0;
}

static void drop(struct walk *w, struct batch *b)
{
	place_release(w->w, b->place);
	(void)batch_free(b);
}

static void hand_out(struct walk *w, struct frame *f)
{
	struct batch *b = TAKE_PTR(f->batch);

	if (b && !restore_queue_add(w->r, b))
		drop(w, b);
}

static void leave(struct walk *w)
{
	struct frame *f = &w->frames[--w->depth];

	hand_out(w, f);
	tree_names_release(&f->names);
	place_release(w->w, f->place);
}

static int add_to_batch(struct walk *w, struct frame *f,
			const struct tree_node *node)
{
	int k = f->batch ? 0 : batch_new(&f->batch, f->place);

	if (k == 0)
		k = batch_add(f->batch, &node->part, f->names.name);
	if (k < 0)
		return fail(w, k);
	if (f->batch->n == RESTORE_BATCH)
		hand_out(w, f);
	return 0;
}

static int make_linked(struct walk *w, struct frame *f,
		       const struct tree_node *node)
{
	int root_fd = w->frames[0].place->fd;
	const char *first;
	int k = first_names_take(&w->firsts, &node->part, (char *)w->path.data,
				 &first);

	if (k < 0)
		return fail(w, k);
	if (first) {
		k = object_link(w->r, root_fd, first, f->place, f->names.name);
		if (k != OBJECT_E_NO_LINK)
			return k;
		atomic_fetch_add(&w->r->links, 1);
	}
	return object_make(w->w, f->place, &node->part, f->names.name);
}

static int make_directory(struct walk *w, struct frame *f,
			  const struct tree_node *node)
{
	struct place *place;
	int k = place_make(w->r, f->place, f->names.name, &node->part, &place);

	return k < 0 ? k : enter(w, node, place);
}

static int step(struct walk *w)
{
	struct frame *f = &w->frames[w->depth - 1];
	struct tree_node node;
	uint32_t links;
	int k = tree_names_next(&f->names, &node, &w->err);

	if (k < 0)
		return fail(w, k);
	if (k == 0) {
		leave(w);
		return 0;
	}
	w->path.size = f->path_size;
	if (buf_printf(&w->path, "%s%s", f->path_size ? "/" : "",
		       f->names.name) < 0 ||
	    !buf_str(&w->path))
		return fail(w, -ENOMEM);
	if (S_ISDIR(node.mode))
		return make_directory(w, f, &node);
	k = tree_links(w->r->q->tree, &node.part, &links, &w->err);
	if (k < 0)
		return fail(w, k);
	return links > 1 ? make_linked(w, f, &node) : add_to_batch(w, f, &node);
}

/* Makes what is at the path that was asked for, and enters it. */
static int start(struct walk *w)
{
	const struct restore_request *q = w->r->q;
	const char *slash = strrchr(q->path, '/');
	const char *name = q->name ? q->name : slash ? slash + 1 : q->path;
	struct place *top, *place;
	struct tree_node node;
	bool contents;
	int k = tree_find(q->tree, q->path, &node, &w->err);

	if (k < 0)
		return fail(w, k);
	contents = S_ISDIR(node.mode) && !q->name;
	k = place_open_top(w->r, contents, &top);
	if (k < 0)
		return k;
	w->r->top_fd = fcntl(top->fd, F_DUPFD_CLOEXEC, 3);
	if (contents) {
		top->in_version = true;
		top->part = node.part;
		atomic_fetch_add(&w->r->entries, 1);
		return enter(w, &node, top);
	}
	if (S_ISDIR(node.mode)) {
		k = place_make(w->r, top, name, &node.part, &place);
		if (k == 0)
			k = enter(w, &node, place);
	} else {
		k = object_make(w->w, top, &node.part, name);
		if (k == 0 && S_ISREG(node.mode))
			w->r->single_fd = openat(
				top->fd, name,
				O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	}
	place_release(w->w, top);
	return k;
}

int restore_walk(struct writer *writer)
{
	struct walk w = {.w = writer, .r = writer->restore, .err = ERR_INIT};
	int k = start(&w);

	while (k == 0 && w.depth && !w.r->stop)
		k = step(&w);
	while (w.depth)
		leave(&w);
	first_names_release(&w.firsts);
	buf_release(&w.path);
	free(w.frames);
	return k;
}
