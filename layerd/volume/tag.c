/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/tag.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

/* So often somebody else may change the record first. */
#define TRIES 16

static int too_often(const char *volume, struct err *err)
{
	return err_set(
		err, ESTALE,
		"volume %s was changed by others each of the %d times "
		"that its tags were to be written; run the command again",
		volume, TRIES);
}

/* Where a tag is, or where it would be. */
static size_t find(const struct volume *v, const char *tag, bool *ret_found)
{
	size_t low = 0, high = v->n_tags;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = strcmp(v->tags[middle].name, tag);

		if (r == 0) {
			*ret_found = true;
			return middle;
		}
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int insert(struct volume *v, size_t at, const char *tag,
		  const struct digest *version, struct err *err)
{
	struct volume_tag *tags;

	if (v->n_tags >= VOLUME_TAGS_MAX)
		return err_set(
			err, EOVERFLOW,
			"volume %s has %d tags already; remove some with "
			"\"layerctl tag --delete\"",
			v->name, VOLUME_TAGS_MAX);
	tags = reallocarray(v->tags, v->n_tags + 1, sizeof(*tags));
	if (!tags)
		return err_oom(err);
	v->tags = tags;
	memmove(&tags[at + 1], &tags[at], (v->n_tags - at) * sizeof(*tags));
	tags[at].name = strdup(tag);
	tags[at].version = *version;
	v->n_tags++;
	return tags[at].name ? 0 : err_oom(err);
}

static void drop(struct volume *v, size_t at)
{
	free(v->tags[at].name);
	v->n_tags--;
	memmove(&v->tags[at], &v->tags[at + 1],
		(v->n_tags - at) * sizeof(*v->tags));
}

static int try_tag(struct host *h, const char *volume, const char *tag,
		   const struct digest *version, bool move, bool *ret_moved,
		   struct digest *ret_previous, struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	char hex[DIGEST_HEX_SIZE];
	bool found;
	size_t at;
	int r = volume_load(h, volume, &v, err);

	if (r < 0)
		return r;
	at = find(v, tag, &found);
	*ret_moved = found && !digest_equal(&v->tags[at].version, version);
	if (found && !*ret_moved)
		return 0;
	if (found && !move)
		return err_set(err, EEXIST,
			       "%s:%s is version sha256:%.12s already; use "
			       "--move to have it stand for another one",
			       volume, tag,
			       digest_hex(&v->tags[at].version, hex));
	if (found) {
		*ret_previous = v->tags[at].version;
		v->tags[at].version = *version;
	} else {
		r = insert(v, at, tag, version, err);
	}
	return r < 0 ? r : volume_save(h, v, err);
}

static int try_untag(struct host *h, const char *volume, const char *tag,
		     struct digest *ret_previous, struct err *err)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	bool found;
	size_t at;
	int r = volume_load(h, volume, &v, err);

	if (r < 0)
		return r;
	at = find(v, tag, &found);
	if (!found)
		return err_set(err, ENOENT,
			       "volume %s has no tag %s; \"layerctl tag %s\" "
			       "lists them",
			       volume, tag, volume);
	*ret_previous = v->tags[at].version;
	drop(v, at);
	return volume_save(h, v, err);
}

/* One change of a tag; without a version it is taken away. */
struct change {
	const char *volume;
	const char *tag;
	const struct digest *version;
	bool move;
	bool *ret_moved;
	struct digest *ret_previous;
};

static int try_change(struct host *h, const struct change *c, struct err *err)
{
	if (!c->version)
		return try_untag(h, c->volume, c->tag, c->ret_previous, err);
	return try_tag(h, c->volume, c->tag, c->version, c->move, c->ret_moved,
		       c->ret_previous, err);
}

static int change(struct host *h, const struct change *c, struct err *err)
{
	for (int i = 0; i < TRIES; i++) {
		struct err problem = ERR_INIT;
		int r = try_change(h, c, &problem);

		if (r == -ESTALE)
			continue;
		if (r < 0 && err)
			*err = problem;
		return r;
	}
	return too_often(c->volume, err);
}

int volume_tag(struct host *h, const char *volume, const char *tag,
	       const struct digest *version, bool move, bool *ret_moved,
	       struct digest *ret_previous, struct err *err)
{
	const struct change c = {.volume = volume,
				 .tag = tag,
				 .version = version,
				 .move = move,
				 .ret_moved = ret_moved,
				 .ret_previous = ret_previous};
	int r = tag_name_check(tag, err);

	return r < 0 ? r : change(h, &c, err);
}

int volume_untag(struct host *h, const char *volume, const char *tag,
		 struct digest *ret_previous, struct err *err)
{
	const struct change c = {
		.volume = volume, .tag = tag, .ret_previous = ret_previous};

	return change(h, &c, err);
}
