/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/tag.h"

#include "util/cleanup.h"
#include "util/nearest.h"
#include "volume/gc.h"

#include <errno.h>
#include <string.h>

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

int volume_no_tag(const struct volume *v, const char *tag, struct err *err)
{
	struct nearest nearest;

	nearest_init(&nearest, tag);
	for (size_t i = 0; i < v->n_tags; i++)
		nearest_offer(&nearest, v->tags[i].name);
	return err_set(err, ENOENT,
		       "volume %s has no tag %s;%s%s%s \"layerctl tag %s\" "
		       "lists them",
		       v->name, tag, nearest.found ? " did you mean " : "",
		       nearest.found ? nearest.found : "",
		       nearest.found ? "?" : "", v->name);
}

/* One change of a tag. */
struct change {
	struct host *host;
	const char *tag;
	/* That it is to stand for; when it is taken away, that it has to stand
	 * for, or NULL. */
	const struct digest *version;
	bool move;
	bool moved;
	struct digest previous;
};

static int set(struct volume *v, void *ctx, struct err *err)
{
	struct change *c = ctx;
	char hex[DIGEST_HEX_SIZE];
	bool found;
	size_t at = find(v, c->tag, &found);
	int r = 0;

	c->moved = found && !digest_equal(&v->tags[at].version, c->version);
	if (found && !c->moved)
		return 0;
	if (found && !c->move)
		return err_set(err, EEXIST,
			       "%s:%s is version sha256:%.12s already; use "
			       "--move to have it stand for another one",
			       v->name, c->tag,
			       digest_hex(&v->tags[at].version, hex));
	if (found) {
		c->previous = v->tags[at].version;
		v->tags[at].version = *c->version;
	} else {
		r = insert(v, at, c->tag, c->version, err);
	}
	if (r == 0)
		r = gc_keep_version(c->host, c->version, err);
	return r < 0 ? r : VOLUME_CHANGED;
}

static int unset(struct volume *v, void *ctx, struct err *err)
{
	struct change *c = ctx;
	bool found;
	size_t at = find(v, c->tag, &found);

	if (!found)
		return volume_no_tag(v, c->tag, err);
	c->previous = v->tags[at].version;
	c->moved = c->version && !digest_equal(&c->previous, c->version);
	if (c->moved)
		return 0;
	drop(v, at);
	return VOLUME_CHANGED;
}

int volume_tag(struct host *h, const char *volume, const char *tag,
	       const struct digest *version, bool move, bool *ret_moved,
	       struct digest *ret_previous, struct err *err)
{
	struct change c = {
		.host = h, .tag = tag, .version = version, .move = move};
	int r = tag_name_check(tag, err);

	if (r == 0)
		r = volume_change(h, volume, set, &c, err);
	if (r < 0)
		return r;
	*ret_moved = c.moved;
	*ret_previous = c.previous;
	return 0;
}

int volume_untag(struct host *h, const char *volume, const char *tag,
		 const struct digest *version, struct digest *ret_previous,
		 struct err *err)
{
	struct change c = {.tag = tag, .version = version};
	char hex[DIGEST_HEX_SIZE];
	int r = volume_change(h, volume, unset, &c, err);

	if (r == 0 && c.moved)
		return err_set(err, ESTALE,
			       "%s:%s was moved to version sha256:%.12s "
			       "meanwhile and is kept; run the command again "
			       "to remove that one",
			       volume, tag, digest_hex(&c.previous, hex));
	if (r == 0)
		*ret_previous = c.previous;
	return r;
}
