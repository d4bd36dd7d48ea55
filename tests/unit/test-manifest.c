/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions: what was put in comes out, equal versions have equal bytes, the
 * bytes are an OCI image, and limits are kept. test-manifest-decode.c has what
 * is refused.
 */
#include "format/manifest.h"
#include "util/cleanup.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Two bytes short of a digest. */
#define ZEROS "000000000000000000000000000000000000000000000000000000000000"

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

static struct version *decode(const struct sample *s)
{
	struct err err = ERR_INIT;
	struct version *v = NULL;

	if (version_decode(s->manifest.data, s->manifest.size, s->config.data,
			   s->config.size, &v, &err) < 0)
		fail_msg("%s", err.text);
	return v;
}

static void test_version_comes_back(void **state)
{
	struct sample *s = *state;
	_cleanup_(version_freep) struct version *v = decode(s);
	struct digest d;

	assert_int_equal(digest_of(s->manifest.data, s->manifest.size, &d), 0);
	assert_true(digest_equal(&v->digest, &d));
	assert_true(digest_equal(&s->v->digest, &d));
	assert_int_equal(v->n_layers, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct version_layer *a = &v->layers[i];
		const struct version_layer *b = &s->v->layers[i];

		assert_true(digest_equal(&a->tar, &b->tar));
		assert_true(digest_equal(&a->object, &b->object));
		assert_int_equal(a->tar_size, b->tar_size);
	}
	assert_true(v->has_parent);
	assert_true(digest_equal(&v->parent, &s->v->parent));
	assert_string_equal(v->volume, "my-data");
	assert_int_equal(v->sequence, 3);
	assert_int_equal(v->created, 1709208000);
	assert_int_equal(v->created_nsec, 42);
	assert_string_equal(v->message, "h\xc3\xa9llo\n\"w\"");
	assert_string_equal(v->consistency, "settled");
	assert_int_equal(v->changed, 5);
	assert_int_equal(v->added, 2048);
	assert_int_equal(v->n_labels, 2);
	assert_string_equal(v->labels[0].key, "a/b.c_d-e");
	assert_string_equal(v->labels[0].value, "");
	assert_string_equal(v->labels[1].key, "z");
	assert_string_equal(v->labels[1].value, "last");
}

static void test_decoded_version_encodes_to_the_same_bytes(void **state)
{
	struct sample *s = *state;
	_cleanup_(version_freep) struct version *v = decode(s);
	_cleanup_buf_ struct buf m = BUF_INIT, c = BUF_INIT;
	struct digest d;

	assert_int_equal(version_encode(v, &m, &c, &d, NULL), 0);
	assert_int_equal(m.size, s->manifest.size);
	assert_memory_equal(m.data, s->manifest.data, m.size);
	assert_int_equal(c.size, s->config.size);
	assert_memory_equal(c.data, s->config.data, c.size);
	assert_true(digest_equal(&d, &s->config_digest));
}

static void test_order_of_labels_does_not_matter(void **state)
{
	struct sample *s = *state;
	struct version *v;
	struct digest first = s->v->digest;

	v = make_version();
	for (size_t i = 0; i < v->n_labels; i++) {
		free(v->labels[i].key);
		free(v->labels[i].value);
	}
	v->n_labels = 0;
	assert_int_equal(version_add_label(v, "a/b.c_d-e", "", NULL), 0);
	assert_int_equal(version_add_label(v, "z", "last", NULL), 0);
	version_free(s->v);
	s->v = v;
	encode(s);
	assert_true(digest_equal(&v->digest, &first));
}

/* The whole text, so that a change of the format cannot happen unseen. */
static void test_bytes_are_those_of_the_specification(void **state)
{
	_cleanup_buf_ struct buf config = BUF_INIT, manifest = BUF_INIT;
	struct sample *s = *state;
	char hex[DIGEST_HEX_SIZE];
	struct version *v;
	json_t *c;

	assert_int_equal(version_new(&v), 0);
	version_free(s->v);
	s->v = v;
	v->volume = strdup("v");
	v->sequence = 1;
	add_layer(v, 1);
	v->added = 1024;
	encode(s);
	c = json_loadb((char *)s->config.data, s->config.size, 0, NULL);
	assert_int_equal(
		buf_printf(
			&config,
			"{\"architecture\":\"%s\","
			"\"created\":\"1970-01-01T00:00:00.000000000Z\","
			"\"history\":[{\"comment\":\"\","
			"\"created\":\"1970-01-01T00:00:00.000000000Z\","
			"\"created_by\":\"layerd seal\"}],"
			"\"os\":\"linux\",\"rootfs\":{\"diff_ids\":"
			"[\"sha256:0100" ZEROS "\"],\"type\":\"layers\"}}",
			json_string_value(json_object_get(c, "architecture"))),
		0);
	json_decref(c);
	assert_string_equal(buf_str(&s->config), buf_str(&config));
	assert_int_equal(
		buf_printf(&manifest,
			   "{\"annotations\":{\"io.layerd.added\":\"1024\","
			   "\"io.layerd.changed\":\"0\","
			   "\"io.layerd.layer-objects\":\"sha256:0101" ZEROS
			   "\","
			   "\"io.layerd.sequence\":\"1\","
			   "\"io.layerd.volume\":\"v\","
			   "\"org.opencontainers.image.created\":"
			   "\"1970-01-01T00:00:00.000000000Z\"},"
			   "\"config\":{\"digest\":\"sha256:%s\",\"mediaType\":"
			   "\"application/vnd.oci.image.config.v1+json\","
			   "\"size\":%zu},\"layers\":[{\"digest\":"
			   "\"sha256:0100" ZEROS "\",\"mediaType\":"
			   "\"application/vnd.oci.image.layer.v1.tar\","
			   "\"size\":1024}],\"mediaType\":"
			   "\"application/vnd.oci.image.manifest.v1+json\","
			   "\"schemaVersion\":2}",
			   digest_hex(&s->config_digest, hex), s->config.size),
		0);
	assert_string_equal(buf_str(&s->manifest), buf_str(&manifest));
}

static void test_config_digest_is_found_without_the_config(void **state)
{
	struct sample *s = *state;
	struct digest d;

	assert_int_equal(version_config_digest(s->manifest.data,
					       s->manifest.size, &d, NULL),
			 0);
	assert_true(digest_equal(&d, &s->config_digest));
	assert_int_equal(version_config_digest(s->manifest.data,
					       s->manifest.size - 1, &d, NULL),
			 -EBADMSG);
}

static void test_version_without_layers_comes_back(void **state)
{
	struct sample *s = *state;
	struct version *v;

	s->v->n_layers = 0;
	s->v->added = 0;
	encode(s);
	v = decode(s);
	assert_int_equal(v->n_layers, 0);
	assert_string_equal(v->message, s->v->message);
	version_free(v);
}

static void test_version_that_adds_no_layer_has_an_empty_entry(void **state)
{
	struct sample *s = *state;
	struct version *v;
	json_t *c, *history;

	s->v->added = 0;
	encode(s);
	v = decode(s);
	assert_int_equal(v->added, 0);
	assert_int_equal(v->n_layers, 2);
	assert_string_equal(v->message, s->v->message);
	version_free(v);
	c = json_loadb((char *)s->config.data, s->config.size, 0, NULL);
	history = json_object_get(c, "history");
	assert_int_equal(json_array_size(history), 3);
	assert_true(json_is_true(
		json_object_get(json_array_get(history, 2), "empty_layer")));
	json_decref(c);
}

static void test_optional_things_may_be_missing(void **state)
{
	struct sample *s = *state;
	struct version *v;

	s->v->has_parent = false;
	*s->v->consistency = 0;
	encode(s);
	v = decode(s);
	assert_false(v->has_parent);
	assert_string_equal(v->consistency, "");
	version_free(v);
}

static void test_thirty_two_layers_and_no_more(void **state)
{
	struct sample *s = *state;
	struct version_layer layer = {{{0}}};
	struct version *v;

	for (uint8_t i = 3; i <= VERSION_LAYERS_MAX; i++)
		add_layer(s->v, i);
	assert_int_equal(version_add_layer(s->v, &layer), -E2BIG);
	encode(s);
	v = decode(s);
	assert_int_equal(v->n_layers, VERSION_LAYERS_MAX);
	version_free(v);
}

static void test_times_come_back(void **state)
{
	static const int64_t times[] = {
		-62167219200, -1, 0, 951782400, 4107542400, 253402300799,
	};
	struct sample *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		_cleanup_(version_freep) struct version *v = NULL;

		s->v->created = times[i];
		s->v->created_nsec = 999999999;
		encode(s);
		v = decode(s);
		assert_int_equal(v->created, times[i]);
		assert_int_equal(v->created_nsec, 999999999);
	}
}

static void assert_not_encoded(struct sample *s)
{
	_cleanup_buf_ struct buf m = BUF_INIT, c = BUF_INIT;
	struct err err = ERR_INIT;
	struct digest d;

	assert_int_equal(version_encode(s->v, &m, &c, &d, &err), -EINVAL);
	assert_int_equal(m.size, 0);
	assert_int_equal(c.size, 0);
	assert_true(*err.text);
}

static void test_impossible_versions_are_not_encoded(void **state)
{
	struct sample *s = *state;

	s->v->created = 253402300800;
	assert_not_encoded(s);
	s->v->created = 0;
	s->v->created_nsec = 1000000000;
	assert_not_encoded(s);
	s->v->created_nsec = 0;
	s->v->sequence = 0;
	assert_not_encoded(s);
	s->v->sequence = 1;
	s->v->volume[0] = '/';
	assert_not_encoded(s);
	s->v->volume[0] = 'm';
	s->v->layers[0].tar_size = UINT64_MAX;
	assert_not_encoded(s);
	s->v->layers[0].tar_size = 1;
	s->v->message[0] = '\xff';
	assert_not_encoded(s);
	s->v->message[0] = 'h';
	s->v->n_layers = 0;
	assert_not_encoded(s);
	s->v->n_layers = 2;
	encode(s);
}

static void test_message_is_bounded_and_utf8(void **state)
{
	struct sample *s = *state;
	size_t n = 1u << 20;
	_cleanup_free_ char *message = calloc(1, n + 1);
	struct err err = ERR_INIT, bad = ERR_INIT;
	struct version *v;

	assert_non_null(message);
	memset(message, 'm', n);
	assert_int_equal(version_set_message(s->v, message, &err), -EINVAL);
	assert_non_null(strstr(err.text, "1048576"));
	assert_non_null(strstr(err.text, "65536"));
	message[VERSION_MESSAGE_MAX] = 0;
	assert_int_equal(version_set_message(s->v, message, NULL), 0);
	encode(s);
	v = decode(s);
	assert_string_equal(v->message, message);
	version_free(v);
	assert_int_equal(version_set_message(s->v, "a\xff", &bad), -EINVAL);
	assert_non_null(strstr(bad.text, "UTF-8"));
	assert_string_equal(s->v->message, message);
}

static void test_bad_labels_are_refused(void **state)
{
	struct sample *s = *state;
	static const char *const keys[] = {"",	  "A",	      "a b", "a\n",
					   "a=b", "\xc3\xa9", "a:b"};
	char big[VERSION_LABEL_VALUE_MAX + 2];
	struct err err = ERR_INIT, twice = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(version_add_label(s->v, keys[i], "x", NULL),
				 -EINVAL);
	memset(big, 'k', sizeof(big));
	big[sizeof(big) - 1] = 0;
	assert_int_equal(version_add_label(s->v, "k", big, &err), -EINVAL);
	assert_non_null(strstr(err.text, "4097"));
	assert_int_equal(version_add_label(s->v, big, "x", NULL), -EINVAL);
	big[VERSION_LABEL_KEY_MAX] = 0;
	assert_int_equal(version_add_label(s->v, big, "x", NULL), 0);
	assert_int_equal(version_add_label(s->v, "k", "\xed\xa0\x80", NULL),
			 -EINVAL);
	assert_int_equal(version_add_label(s->v, "z", "x", &twice), -EEXIST);
	assert_non_null(strstr(twice.text, "\"z\""));
	assert_int_equal(s->v->n_labels, 3);
}

static void test_number_of_labels_is_bounded(void **state)
{
	struct sample *s = *state;
	char key[32];
	struct version *v;

	while (s->v->n_labels < VERSION_LABELS_MAX) {
		snprintf(key, sizeof(key), "key-%zu", 1000 - s->v->n_labels);
		assert_int_equal(version_add_label(s->v, key, "v", NULL), 0);
	}
	assert_int_equal(version_add_label(s->v, "more", "v", NULL), -EINVAL);
	encode(s);
	v = decode(s);
	assert_int_equal(v->n_labels, VERSION_LABELS_MAX);
	for (size_t i = 1; i < v->n_labels; i++)
		assert_true(strcmp(v->labels[i - 1].key, v->labels[i].key) < 0);
	version_free(v);
}

/* Each is allowed; escaped as JSON wants it they are six times as long. */
static void test_manifest_beyond_its_bound_is_not_made(void **state)
{
	struct sample *s = *state;
	char key[32], value[VERSION_LABEL_VALUE_MAX + 1];

	memset(value, 1, sizeof(value));
	value[sizeof(value) - 1] = 0;
	while (s->v->n_labels < VERSION_LABELS_MAX) {
		snprintf(key, sizeof(key), "key-%zu", s->v->n_labels);
		assert_int_equal(version_add_label(s->v, key, value, NULL), 0);
	}
	assert_not_encoded(s);
}

static long allocations_left;

static void *failing_malloc(size_t size)
{
	return allocations_left-- > 0 ? malloc(size) : NULL;
}

/* Every allocation of libjansson fails once; nothing may leak or crash. */
static void test_lack_of_memory_is_survived(void **state)
{
	struct sample *s = *state;
	int encoded = -1, decoded = -1;

	for (long n = 0; encoded < 0 || decoded < 0; n++) {
		_cleanup_buf_ struct buf m = BUF_INIT, c = BUF_INIT;
		_cleanup_(version_freep) struct version *v = NULL;
		struct digest d;

		json_set_alloc_funcs(failing_malloc, free);
		allocations_left = n;
		encoded = version_encode(s->v, &m, &c, &d, NULL);
		allocations_left = n;
		decoded = version_decode(s->manifest.data, s->manifest.size,
					 s->config.data, s->config.size, &v,
					 NULL);
		json_set_alloc_funcs(malloc, free);
		assert_true(encoded == 0 || encoded == -ENOMEM);
		/* libjansson calls some of them syntax errors. */
		assert_true(decoded <= 0);
		if (decoded)
			assert_null(v);
		assert_true(n < 5000);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_version_comes_back),
		CASE(test_decoded_version_encodes_to_the_same_bytes),
		CASE(test_order_of_labels_does_not_matter),
		CASE(test_bytes_are_those_of_the_specification),
		CASE(test_config_digest_is_found_without_the_config),
		CASE(test_version_without_layers_comes_back),
		CASE(test_version_that_adds_no_layer_has_an_empty_entry),
		CASE(test_optional_things_may_be_missing),
		CASE(test_thirty_two_layers_and_no_more),
		CASE(test_times_come_back),
		CASE(test_impossible_versions_are_not_encoded),
		CASE(test_message_is_bounded_and_utf8),
		CASE(test_bad_labels_are_refused),
		CASE(test_number_of_labels_is_bounded),
		CASE(test_manifest_beyond_its_bound_is_not_made),
		CASE(test_lack_of_memory_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
