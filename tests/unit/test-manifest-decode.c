/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile versions: a manifest or a config with one thing wrong in it is
 * refused with a sentence about that thing.
 */
#include "format/manifest.h"
#include "util/cleanup.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct sample {
	struct version *v;
	struct buf manifest;
	struct buf config;
	struct digest config_digest;
};

static void add_layer(struct version *v, uint8_t number)
{
	struct version_layer layer = {
		.tar = {{number}},
		.tar_size = 1024u * number,
		.object = {{number, 1}},
	};

	assert_int_equal(version_add_layer(v, &layer), 0);
}

static struct version *make_version(void)
{
	struct version *v;

	assert_int_equal(version_new(&v), 0);
	add_layer(v, 1);
	add_layer(v, 2);
	v->volume = strdup("my-data");
	assert_non_null(v->volume);
	v->has_parent = true;
	v->parent = (struct digest){{7, 7}};
	v->sequence = 3;
	v->created = 1709208000;
	v->created_nsec = 42;
	v->changed = 5;
	v->added = 2048;
	free(v->consistency);
	v->consistency = strdup("settled");
	assert_non_null(v->consistency);
	assert_int_equal(version_set_message(v, "h\xc3\xa9llo\n\"w\"", NULL),
			 0);
	assert_int_equal(version_add_label(v, "z", "last", NULL), 0);
	assert_int_equal(version_add_label(v, "a/b.c_d-e", "", NULL), 0);
	return v;
}

static void encode(struct sample *s)
{
	struct err err = ERR_INIT;

	s->manifest.size = s->config.size = 0;
	if (version_encode(s->v, &s->manifest, &s->config, &s->config_digest,
			   &err) < 0)
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	struct sample *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->v = make_version();
	encode(s);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct sample *s = *state;

	version_free(s->v);
	buf_release(&s->manifest);
	buf_release(&s->config);
	free(s);
	return 0;
}

static void assert_refused(const struct sample *s, const char *what)
{
	struct version *v = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(version_decode(s->manifest.data, s->manifest.size,
					s->config.data, s->config.size, &v,
					&err),
			 -EBADMSG);
	assert_null(v);
	assert_int_equal(err.code, -EBADMSG);
	if (!strstr(err.text, what))
		fail_msg("\"%s\" does not say \"%s\"", err.text, what);
	for (const char *p = err.text; *p; p++)
		assert_in_range(*p, ' ', '~');
}

/* Replaces the first from in b; both are text. */
static void replace(struct buf *b, const char *from, const char *to)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	char *text = buf_str(b), *at;

	assert_non_null(text);
	at = strstr(text, from);
	if (!at)
		fail_msg("no %s in %s", from, text);
	assert_int_equal(buf_add(&out, text, (size_t)(at - text)), 0);
	assert_int_equal(buf_add_str(&out, to), 0);
	assert_int_equal(buf_add_str(&out, at + strlen(from)), 0);
	b->size = 0;
	assert_int_equal(buf_add(b, out.data, out.size), 0);
}

/* Lets the manifest refer to the config as it is now. */
static void refer_to_config(struct sample *s)
{
	char old[DIGEST_HEX_SIZE], new[DIGEST_HEX_SIZE];
	struct digest d;
	json_t *m, *c;
	char *text;

	assert_int_equal(digest_of(s->config.data, s->config.size, &d), 0);
	replace(&s->manifest, digest_hex(&s->config_digest, old),
		digest_hex(&d, new));
	m = json_loadb((char *)s->manifest.data, s->manifest.size, 0, NULL);
	assert_non_null(m);
	c = json_object_get(m, "config");
	json_object_set_new(c, "size",
			    json_integer((json_int_t)s->config.size));
	text = json_dumps(m, JSON_COMPACT);
	assert_non_null(text);
	s->manifest.size = 0;
	assert_int_equal(buf_add_str(&s->manifest, text), 0);
	free(text);
	json_decref(m);
}

/* One thing wrong in the manifest or in the config, in fresh copies. */
static void assert_wrong_manifest(void **state, const char *from,
				  const char *to, const char *what)
{
	struct sample *s = *state;

	encode(s);
	replace(&s->manifest, from, to);
	assert_refused(s, what);
}

static void assert_wrong_config(void **state, const char *from, const char *to,
				const char *what)
{
	struct sample *s = *state;

	encode(s);
	replace(&s->config, from, to);
	refer_to_config(s);
	assert_refused(s, what);
}

static struct version *decode(const struct sample *s)
{
	struct err err = ERR_INIT;
	struct version *v = NULL;

	if (version_decode(s->manifest.data, s->manifest.size, s->config.data,
			   s->config.size, &v, &err) < 0)
		fail_msg("%s", err.text);
	return v;
}

static void test_config_of_another_version_is_refused(void **state)
{
	struct sample *s = *state;

	s->config.data[20] ^= 1;
	assert_refused(s, "config is not the one");
	s->config.data[20] ^= 1;
	assert_int_equal(buf_add_str(&s->config, " "), 0);
	assert_refused(s, "config is not the one");
}

static void test_wrong_size_of_config_is_refused(void **state)
{
	assert_wrong_manifest(state, "config.v1+json\",\"size\":",
			      "config.v1+json\",\"size\":1",
			      "config is not the one");
}

static void test_wrong_manifest_fields_are_refused(void **state)
{
	static const char *const cases[][3] = {
		{"\"schemaVersion\":2", "\"schemaVersion\":1", "schemaVersion"},
		{"\"schemaVersion\":2", "\"schemaVersion\":\"2\"",
		 "schemaVersion"},
		{"image.manifest.v1", "image.manifest.v2", "mediaType"},
		{"image.config.v1", "image.config.v2", "mediaType"},
		{"layer.v1.tar\"", "layer.v1.tar+gzip\"", "mediaType"},
		{"\"layers\":[", "\"layers\":3,\"x\":[", "\"layers\""},
		{"\"layers\":[", "\"layers\":[[],", "mediaType"},
		{"\"size\":1024", "\"size\":-1", "size"},
		{"\"size\":1024", "\"size\":1e3", "size"},
		{"\"size\":1024", "\"size\":\"1024\"", "size"},
		{"\"size\":1024", "\"size\":9007199254740992", "size"},
		{"\"size\":1024", "\"size\":99999999999999999999", "not JSON"},
		{"\"digest\":\"sha256:01", "\"digest\":\"sha512:01",
		 "not a SHA-256"},
		{"\"digest\":\"sha256:01", "\"digest\":\"sha256:0A",
		 "not a SHA-256"},
		{"\"digest\":\"sha256:01", "\"digest\":\"sha256:1",
		 "not a SHA-256"},
		{"\"digest\":\"sha256:01", "\"digest\":\"sha256:03",
		 "diff_id 0"},
		{"\"digest\":\"sha256:01", "\"digest\":7,\"x\":\"sha256:01",
		 "\"digest\""},
		{"\"config\":{", "\"config\":null,\"x\":{", "\"config\""},
		{"\"annotations\":{", "\"annotations\":[],\"x\":{",
		 "\"annotations\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_wrong_manifest(state, cases[i][0], cases[i][1],
				      cases[i][2]);
}

static void test_wrong_annotations_are_refused(void **state)
{
	static const char *const cases[][3] = {
		{"io.layerd.volume", "io.layerd.x", "io.layerd.volume"},
		{"\"my-data\"", "\"../my-data\"", "not a volume name"},
		{"\"my-data\"", "\"\\u001b[2J\"", "not a volume name"},
		{"sequence\":\"3\"", "sequence\":3", "sequence"},
		{"sequence\":\"3\"", "sequence\":\"0\"", "is 0"},
		{"sequence\":\"3\"", "sequence\":\"03\"", "not a count"},
		{"sequence\":\"3\"", "sequence\":\"-3\"", "not a count"},
		{"changed\":\"5\"", "changed\":\"5 \"", "not a count"},
		{"changed\":\"5\"", "changed\":\"\"", "not a count"},
		{"added\":\"2048\"", "added\":\"99999999999999999999\"",
		 "not a count"},
		{"added\":\"2048\"", "added\":\"0\"", "history"},
		{"layer-objects\":\"sha256:01", "layer-objects\":\"sha256:0g",
		 "not a SHA-256"},
		{"layer-objects\":\"sha256:", "layer-objects\":\"sha256,",
		 "not a SHA-256"},
		{"layer-objects\":\"", "layer-objects\":\",", "layer object"},
		{"layer-objects\":\"", "layer-objects\":\"\",\"x\":\"",
		 "layer object"},
		{",sha256:02", ";sha256:02", "commas"},
		{"parent\":\"sha256:", "parent\":\"", "not a SHA-256"},
		{"parent\":\"", "parent\":null,\"x\":\"", "parent"},
		{"consistency\":\"settled", "consistency\":\"Set tled",
		 "consistency"},
		{"consistency\":\"", "consistency\":7,\"x\":\"", "consistency"},
		{"created\":\"2024-02-29T", "created\":\"2023-02-29T",
		 "not a time"},
		{"created\":\"2024-02-29T", "created\":\"2024-02-29 ",
		 "not a time"},
		{"created\":\"2024-02-29T", "created\":\"2024-13-29T",
		 "not a time"},
		{"created\":\"2024-02-29T", "created\":\"2024-02-29T1",
		 "not a time"},
		{"created\":\"2024-02-29T", "created\":\"20\\u00e9-02-29T",
		 "not a time"},
		{"created\":\"2024-02-29T", "created\":\"2024-02-28T",
		 "\"created\""},
		{"label.z\":\"last\"", "label.z\":7", "label"},
		{"label.z\":", "label.Z\":", "label"},
		{"label.z\":", "label.\":", "label"},
		{"label.z\":", "label.a/b.c_d-e\":", "not JSON"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_wrong_manifest(state, cases[i][0], cases[i][1],
				      cases[i][2]);
}

static void test_wrong_config_fields_are_refused(void **state)
{
	static const char *const cases[][3] = {
		{"\"architecture\":\"", "\"architecture\":1,\"x\":\"",
		 "architecture"},
		{"\"linux\"", "\"plan9\"", "\"os\""},
		{"\"layers\"}", "\"x\"}", "\"type\""},
		{"\"diff_ids\":[\"sha256:01", "\"diff_ids\":[\"sha256:03",
		 "diff_id 0"},
		{"\"diff_ids\":[", "\"diff_ids\":[\"\",", "3 diff_ids"},
		{"\"diff_ids\":[", "\"diff_ids\":[],\"x\":[", "0 diff_ids"},
		{"\"diff_ids\":[\"sha256:", "\"diff_ids\":[\"",
		 "not a SHA-256"},
		{"\"rootfs\":{", "\"rootfs\":[],\"x\":{", "rootfs"},
		{"\"history\":[", "\"history\":[{},", "3 entries"},
		{"\"history\":[", "\"history\":{},\"x\":[", "history"},
		{"\"created_by\"", "\"created_on\"", "created_by"},
		{"\"created_by\"", "\"empty_layer\":true,\"created_by\"",
		 "history entry 0"},
		{"\"comment\":\"", "\"comment\":[],\"x\":\"", "comment"},
		{"\"comment\":\"h", "\"comment\":\"\\ud800", "not JSON"},
		{"\"comment\":\"h", "\"comment\":\"\\u0000", "not JSON"},
		{"\"created\":\"2024", "\"created\":\"2025", "\"created\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_wrong_config(state, cases[i][0], cases[i][1],
				    cases[i][2]);
}

static void test_unknown_fields_are_ignored(void **state)
{
	struct sample *s = *state;
	struct version *v;

	replace(&s->config, "{", "{\"variant\":[{}],");
	refer_to_config(s);
	replace(&s->manifest, "\"annotations\":{",
		"\"subject\":{},\"annotations\":{\"com.example\":\"x\",");
	v = decode(s);
	assert_string_equal(v->volume, "my-data");
	version_free(v);
}

static void test_garbage_is_refused(void **state)
{
	struct sample *s = *state;
	static const char *const texts[] = {
		"", "{", "[]", "null", "{}", "{\"a\":1,\"a\":2}", "\xff\xfe",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		s->manifest.size = 0;
		assert_int_equal(buf_add_str(&s->manifest, texts[i]), 0);
		assert_refused(s, "is damaged");
	}
}

static void test_every_truncation_is_refused(void **state)
{
	struct sample *s = *state;

	while (s->manifest.size--)
		assert_refused(s, "not JSON");
}

static void test_deep_nesting_is_refused(void **state)
{
	struct sample *s = *state;

	s->manifest.size = 0;
	for (size_t i = 0; i < 1000000; i++)
		assert_int_equal(buf_add_str(&s->manifest, "["), 0);
	assert_refused(s, "not JSON");
}

static void test_blob_beyond_the_bound_is_not_read(void **state)
{
	struct sample *s = *state;

	while (s->manifest.size <= VERSION_BLOB_MAX)
		assert_int_equal(buf_add_str(&s->manifest, "        "), 0);
	assert_refused(s, "at most");
}

static void test_more_than_thirty_two_layers_are_refused(void **state)
{
	struct sample *s = *state;

	for (uint8_t i = 3; i <= VERSION_LAYERS_MAX; i++)
		add_layer(s->v, i);
	encode(s);
	replace(&s->manifest, "\"layers\":[",
		"\"layers\":[{\"digest\":\"\",\"mediaType\":\"\",\"size\":1},");
	assert_refused(s, "33 layers");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_config_of_another_version_is_refused),
		CASE(test_wrong_size_of_config_is_refused),
		CASE(test_wrong_manifest_fields_are_refused),
		CASE(test_wrong_annotations_are_refused),
		CASE(test_wrong_config_fields_are_refused),
		CASE(test_unknown_fields_are_ignored),
		CASE(test_garbage_is_refused),
		CASE(test_every_truncation_is_refused),
		CASE(test_deep_nesting_is_refused),
		CASE(test_blob_beyond_the_bound_is_not_read),
		CASE(test_more_than_thirty_two_layers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
