/* SPDX-License-Identifier: Apache-2.0 */
#include "inside.h"

#include "target.h"

#include "util/cleanup.h"
#include "util/escape.h"

#include <errno.h>
#include <string.h>

void inside_release(struct inside *i)
{
	free(i->reference);
	json_decref(i->path);
	*i = (struct inside){0};
}

/* The colon that begins the path; NULL when there is none. */
static const char *find_colon(const char *word)
{
	const char *slash = strstr(word, ":/");
	const char *at = strchr(word, '@');
	const char *colon = strchr(word, ':');

	/* A slash is in no reference, so what follows one is all path. */
	if (slash && slash == colon)
		return slash;
	if (!colon || (at && at < colon))
		return colon;
	return strchr(colon + 1, ':');
}

int inside_parse(const char *word, struct inside *ret, struct err *err)
{
	_cleanup_inside_ struct inside i = {0};
	const char *colon = find_colon(word);
	size_t n = colon ? (size_t)(colon - word) : strlen(word);

	if (!utf8_valid(word, n))
		return err_set(
			err, EINVAL,
			"a reference is NAME, NAME@SEQUENCE, NAME:TAG or "
			"a version's digest; a path follows behind \":\"");
	i.has_path = colon;
	i.reference = strndup(word, n);
	i.path = target_layer_path(colon ? colon + 1 : "");
	if (!i.reference || !i.path)
		return err_oom(err);
	*ret = i;
	i = (struct inside){0};
	return 0;
}
