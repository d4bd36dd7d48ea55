/* SPDX-License-Identifier: Apache-2.0 */
/* Find: versions by what they have. */
#include "server/methods.h"

#include "server/batches.h"
#include "server/encode.h"
#include "util/cleanup.h"
#include "volume/find.h"

#include <errno.h>

static json_t *encode_place(const struct find_place *place,
			    const struct digest *version)
{
	return json_pack("{s:o, s:o}", "reference",
			 json_sprintf("%s@%llu", place->volume->name,
				      (unsigned long long)place->sequence),
			 "tags", encode_tags(place->volume, version));
}

struct found {
	struct batches versions;
	bool brief;
};

static json_t *encode_found(const struct find_found *found, bool brief)
{
	const struct find_place *place = &found->place;

	return brief ? encode_brief(found->version, found->size, place->volume,
				    place->sequence)
		     : encode_version(found->version, place->volume,
				      place->sequence);
}

static int add_found(const struct find_found *found, void *ctx, struct err *err)
{
	json_t *places = json_array();
	struct found *all = ctx;

	for (size_t i = 0; i < found->n_places; i++)
		(void)json_array_append_new(
			places, encode_place(&found->places[i],
					     &found->version->digest));
	return batches_add(&all->versions,
			   json_pack("{s:o, s:I, s:o}", "version",
				     encode_found(found, all->brief),
				     "created_nsec",
				     (json_int_t)found->version->created_nsec,
				     "places", places),
			   err);
}

static int get_second(struct call *c, const char *name, int64_t *ret)
{
	json_t *value = json_object_get(c->parameters, name);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_integer(value))
		return err_set(&c->err, EINVAL,
			       "the parameter %s must be a number of seconds",
			       name);
	*ret = json_integer_value(value);
	return 0;
}

int method_find(struct call *c)
{
	struct find_request request = {
		.since = INT64_MIN, .until = INT64_MAX, .limit = UINT64_MAX};
	_cleanup_free_ struct label *labels = NULL;
	struct found all = {0};
	int r = call_get_wanted_labels(c, &labels, &request.n_labels);

	request.labels = labels;
	if (r == 0)
		r = call_get_string(c, "volume", &request.volume);
	if (r == 0)
		r = call_get_bool(c, "related", &request.related);
	if (r == 0)
		r = call_get_string(c, "message", &request.message);
	if (r == 0)
		r = get_second(c, "since", &request.since);
	if (r == 0)
		r = get_second(c, "until", &request.until);
	if (r == 0)
		r = call_get_uint(c, "limit", &request.limit);
	if (r == 0)
		r = call_get_bool(c, "brief", &request.brief);
	if (r < 0)
		return r;
	all.brief = request.brief;
	r = batches_init(&all.versions, c, "versions", NULL);
	if (r == 0)
		r = volume_find(c->host, &request, add_found, &all, &c->err);
	return batches_finish(&all.versions, r);
}
