/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place that decides what a name may be. Names become path components
 * and keys of a store, references come from command lines and API callers, so
 * nothing but the listed characters passes, and errors quote the input in a
 * form that is safe to print.
 */
#include "format/reference.h"

#include "util/quote.h"

#include <errno.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define HEX DIGITS "abcdef"

#define DIGEST_PREFIX "sha256:"

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static bool is_bare_digest(const char *s)
{
	return strlen(s) == DIGEST_HEX_SIZE - 1 &&
	       strspn(s, HEX) == DIGEST_HEX_SIZE - 1;
}

static int bad_name(const char *name, const char *rule, struct err *err)
{
	char quoted[QUOTE_SIZE];

	return err_set(err, EINVAL,
		       "%s is not a volume name: %s; a valid one is "
		       "\"my-data\"",
		       quote_text(name, quoted), rule);
}

int volume_name_check(const char *name, struct err *err)
{
	size_t n = strlen(name);

	if (!n)
		return bad_name(name, "it is empty", err);
	if (name[strspn(name, LOWER DIGITS "._-")])
		return bad_name(name,
				"only a-z, 0-9, '.', '_' and '-' are allowed",
				err);
	if (!is_one_of(name[0], LOWER DIGITS) ||
	    !is_one_of(name[n - 1], LOWER DIGITS))
		return bad_name(name,
				"it must begin and end with a letter or digit",
				err);
	if (n > VOLUME_NAME_MAX)
		return bad_name(name, "it is longer than 128 characters", err);
	if (strcmp(name, "sha256") == 0 || is_bare_digest(name))
		return bad_name(name, "it would be read as a digest", err);
	return 0;
}

static int bad_tag(const char *name, const char *rule, struct err *err)
{
	char quoted[QUOTE_SIZE];

	return err_set(err, EINVAL,
		       "%s is not a tag: %s; a valid one is "
		       "\"v1.0\"",
		       quote_text(name, quoted), rule);
}

int tag_name_check(const char *name, struct err *err)
{
	if (!*name)
		return bad_tag(name, "it is empty", err);
	if (name[strspn(name, LOWER UPPER DIGITS "._-")])
		return bad_tag(name,
			       "only letters, digits, '.', '_' and '-' are "
			       "allowed",
			       err);
	if (is_one_of(name[0], ".-"))
		return bad_tag(
			name, "it must begin with a letter, digit or '_'", err);
	if (strlen(name) > TAG_NAME_MAX)
		return bad_tag(name, "it is longer than 128 characters", err);
	return 0;
}

int sequence_parse(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!is_one_of(*s, "123456789"))
		return -EINVAL;
	for (; *s; s++) {
		if (!is_one_of(*s, DIGITS))
			return -EINVAL;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > SEQUENCE_MAX)
			return -EINVAL;
	}
	*ret = v;
	return 0;
}

static int parse_digest(const char *s, const char *hex, struct reference *ret,
			struct err *err)
{
	char quoted[QUOTE_SIZE];
	size_t n = strlen(hex);

	if (strspn(hex, HEX) != n || n < REFERENCE_PREFIX_MIN ||
	    n >= DIGEST_HEX_SIZE)
		return err_set(err, EINVAL,
			       "%s is not a digest: \"sha256:\" is followed by "
			       "8 to 64 of the digits 0-9 and a-f; a valid one "
			       "is \"sha256:0123abcd\"",
			       quote_text(s, quoted));
	if (n < DIGEST_HEX_SIZE - 1) {
		ret->kind = REFERENCE_DIGEST_PREFIX;
		memcpy(ret->prefix, hex, n + 1);
		return 0;
	}
	ret->kind = REFERENCE_DIGEST;
	return digest_parse(hex, &ret->digest);
}

/* The name in front of the separator, or all of s. */
static int parse_volume(const char *s, size_t n, struct reference *ret,
			struct err *err)
{
	/* A name too long is cut to one that is still too long. */
	char name[VOLUME_NAME_MAX + 2] = "";
	int r;

	memcpy(name, s, n < sizeof(name) ? n : sizeof(name) - 1);
	r = volume_name_check(name, err);
	if (r < 0)
		return r;
	memcpy(ret->volume, name, sizeof(ret->volume));
	return 0;
}

static int parse_sequence(const char *s, struct reference *ret, struct err *err)
{
	char quoted[QUOTE_SIZE];
	int r;

	r = sequence_parse(s, &ret->sequence);
	if (r < 0)
		return err_set(err, r,
			       "%s is not a version number: it is a decimal "
			       "number from 1 to %llu without leading zeros; a "
			       "valid reference is \"%s@7\"",
			       quote_text(s, quoted), SEQUENCE_MAX,
			       ret->volume);
	ret->kind = REFERENCE_SEQUENCE;
	return 0;
}

static int parse_tag(const char *s, struct reference *ret, struct err *err)
{
	int r;

	r = tag_name_check(s, err);
	if (r < 0)
		return r;
	memcpy(ret->tag, s, strlen(s) + 1);
	ret->kind = REFERENCE_TAG;
	return 0;
}

int reference_parse(const char *s, struct reference *ret, struct err *err)
{
	struct reference ref = {.kind = REFERENCE_NEWEST};
	size_t n = strcspn(s, "@:");
	int r;

	if (strncmp(s, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) == 0) {
		r = parse_digest(s, s + strlen(DIGEST_PREFIX), &ref, err);
	} else if (is_bare_digest(s)) {
		r = parse_digest(s, s, &ref, err);
	} else {
		r = parse_volume(s, n, &ref, err);
		if (r == 0 && s[n] == '@')
			r = parse_sequence(s + n + 1, &ref, err);
		else if (r == 0 && s[n] == ':')
			r = parse_tag(s + n + 1, &ref, err);
	}
	if (r < 0)
		return r;
	*ret = ref;
	return 0;
}
