/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a reference. What is accepted must be safe as a path component
 * and mean the same when it is written down and read again; what is refused
 * must be refused in printable words.
 */
#include "fuzz.h"

#include "format/reference.h"
#include "util/cleanup.h"

bool fuzz_refused;

static void write_down(const struct reference *r, char *text, size_t size)
{
	char hex[DIGEST_HEX_SIZE];

	switch (r->kind) {
	case REFERENCE_NEWEST:
		snprintf(text, size, "%s", r->volume);
		break;
	case REFERENCE_SEQUENCE:
		snprintf(text, size, "%s@%llu", r->volume,
			 (unsigned long long)r->sequence);
		break;
	case REFERENCE_TAG:
		snprintf(text, size, "%s:%s", r->volume, r->tag);
		break;
	case REFERENCE_DIGEST:
		snprintf(text, size, "sha256:%s", digest_hex(&r->digest, hex));
		break;
	case REFERENCE_DIGEST_PREFIX:
		snprintf(text, size, "sha256:%s", r->prefix);
		break;
	}
}

static void check(const char *s, const struct reference *ref)
{
	struct reference again;
	char text[512];

	if (strchr(ref->volume, '/') || ref->volume[0] == '.' ||
	    strchr(ref->tag, '/') || ref->tag[0] == '.')
		abort();
	write_down(ref, text, sizeof(text));
	if (strcmp(text, s) != 0 && ref->kind != REFERENCE_DIGEST)
		abort();
	if (reference_parse(text, &again, NULL) < 0 ||
	    again.kind != ref->kind || again.sequence != ref->sequence ||
	    strcmp(again.volume, ref->volume) != 0 ||
	    strcmp(again.tag, ref->tag) != 0 ||
	    strcmp(again.prefix, ref->prefix) != 0 ||
	    !digest_equal(&again.digest, &ref->digest))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = malloc(size + 1);
	struct reference ref;
	struct err err = ERR_INIT;

	if (!s)
		abort();
	if (size)
		memcpy(s, data, size);
	s[size] = 0;
	fuzz_refused = reference_parse(s, &ref, &err) < 0;
	if (!fuzz_refused)
		check(s, &ref);
	for (const char *p = err.text; *p; p++)
		if (*p < ' ' || *p > '~')
			abort();
	if (fuzz_refused != (err.code != 0))
		abort();
	(void)volume_name_check(s, NULL);
	(void)tag_name_check(s, NULL);
	return 0;
}
