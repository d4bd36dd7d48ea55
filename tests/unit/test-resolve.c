/* SPDX-License-Identifier: Apache-2.0 */

/* What a reference means, and versions to and from the store. */

#include "store/layout.h"
#include "volume-fixture.h"
#include "volume/volume.h"

struct names {
	struct fixture *f;
	struct digest first, second; /* versions of "data" */
};

/* Stores a version that the message tells from others. */
static struct digest store_version(struct fixture *f, const char *message)
{
	_cleanup_(version_freep) struct version *v = NULL;
	struct version_layer layer = {.tar_size = 1024};

	assert_int_equal(version_new(&v), 0);
	v->volume = strdup("data");
	v->sequence = 1;
	v->created = 1;
	assert_int_equal(version_set_message(v, message, &f->err), 0);
	memset(&layer.tar, 0x77, DIGEST_SIZE);
	memset(&layer.object, 0x88, DIGEST_SIZE);
	assert_int_equal(version_add_layer(v, &layer), 0);
	assert_ok(f, version_store(f->host, v, &f->err));
	return v->digest;
}

static int setup_names(void **state)
{
	struct names *n = calloc(1, sizeof(*n));
	const struct digest *versions[] = {&n->first, &n->second};
	struct fixture *f;
	void *fixture;

	assert_int_equal(setup(&fixture), 0);
	f = n->f = fixture;
	n->first = store_version(f, "first");
	n->second = store_version(f, "second");
	assert_ok(f, volume_create(f->host, "data", &f->err));
	assert_ok(f, volume_create(f->host, "empty", &f->err));
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(volume_freep) struct volume *v = NULL;

		assert_ok(f, volume_load(f->host, "data", &v, &f->err));
		assert_ok(f, volume_advance(f->host, v, versions[i], NULL, 0,
					    &f->err));
		assert_ok(f, catalog_add_version(f->host->catalog, versions[i],
						 "data", i + 1, &f->err));
	}
	*state = n;
	return 0;
}

static int teardown_names(void **state)
{
	struct names *n = *state;
	void *f = n->f;

	free(n);
	return teardown(&f);
}

static void add_tag(struct fixture *f, const char *tag,
		    const struct digest *version)
{
	_cleanup_(volume_freep) struct volume *v = NULL;

	assert_ok(f, volume_load(f->host, "data", &v, &f->err));
	v->tags = reallocarray(v->tags, v->n_tags + 1, sizeof(*v->tags));
	assert_non_null(v->tags);
	v->tags[v->n_tags].name = strdup(tag);
	v->tags[v->n_tags++].version = *version;
	assert_ok(f, volume_save(f->host, v, &f->err));
}

static void assert_resolves(struct fixture *f, const char *text,
			    const struct digest *version, const char *volume,
			    uint64_t sequence)
{
	_cleanup_resolved_ struct resolved r = {0};

	assert_ok(f, reference_resolve(f->host, text, &r, &f->err));
	assert_true(digest_equal(&r.version, version));
	assert_int_equal(r.sequence, sequence);
	assert_int_equal(!!r.volume, !!volume);
	if (volume)
		assert_string_equal(r.volume->name, volume);
}

static void test_names_mean_their_newest_version(void **state)
{
	struct names *n = *state;

	assert_resolves(n->f, "data", &n->second, "data", 2);
}

static void test_sequences_mean_that_version(void **state)
{
	struct names *n = *state;

	assert_resolves(n->f, "data@1", &n->first, "data", 1);
	assert_resolves(n->f, "data@2", &n->second, "data", 2);
}

static void test_tags_mean_what_they_stand_for(void **state)
{
	struct names *n = *state;

	add_tag(n->f, "v1", &n->first);
	add_tag(n->f, "Latest_2", &n->second);
	assert_resolves(n->f, "data:v1", &n->first, "data", 0);
	assert_resolves(n->f, "data:Latest_2", &n->second, "data", 0);
}

static void test_digests_whole_or_cut_mean_themselves(void **state)
{
	struct names *n = *state;
	char hex[DIGEST_HEX_SIZE], text[128];

	digest_hex(&n->first, hex);
	snprintf(text, sizeof(text), "sha256:%s", hex);
	assert_resolves(n->f, text, &n->first, NULL, 0);
	assert_resolves(n->f, hex, &n->first, NULL, 0);
	for (size_t length = 8; length < 64; length += 11) {
		snprintf(text, sizeof(text), "sha256:%.*s", (int)length, hex);
		assert_resolves(n->f, text, &n->first, NULL, 0);
	}
}

static void assert_no(struct fixture *f, const char *text, int error,
		      const char *words)
{
	struct resolved r = {0};

	assert_refused(f, reference_resolve(f->host, text, &r, &f->err), error,
		       words);
	assert_null(r.volume);
}

static void test_what_means_nothing_is_told(void **state)
{
	struct names *n = *state;
	struct fixture *f = n->f;
	char text[128], hex[DIGEST_HEX_SIZE];
	struct digest twin = n->first;

	assert_no(f, "", EINVAL, "\"\"");
	assert_no(f, "Data", EINVAL, "Data");
	assert_no(f, "data@", EINVAL, "data@");
	assert_no(f, "data@0", EINVAL, "\"0\"");
	assert_no(f, "none", ENOENT, "there is no volume none");
	assert_no(f, "none@1", ENOENT, "there is no volume none");
	assert_no(f, "none:tag", ENOENT, "there is no volume none");
	assert_no(f, "empty", ENOENT, "has no version yet");
	assert_no(f, "empty@1", ENOENT, "has no version 1");
	assert_no(f, "data@3", ENOENT, "its newest is 2");
	assert_no(f, "data:none", ENOENT, "has no tag none");
	assert_no(f, "sha256:00112233", ENOENT, "begins with 00112233");
	snprintf(text, sizeof(text), "sha256:%064d", 0);
	assert_no(f, text, ENOENT, "no version with that digest");
	twin.bytes[31] ^= 1;
	assert_ok(f, catalog_add_version(f->host->catalog, &twin, "data", 9,
					 &f->err));
	snprintf(text, sizeof(text), "sha256:%.8s", digest_hex(&n->first, hex));
	assert_no(f, text, EINVAL, "several");
}

static void test_stored_versions_are_loaded_again(void **state)
{
	struct names *n = *state;
	_cleanup_(version_freep) struct version *v = NULL;

	assert_ok(n->f, version_load(n->f->host, &n->second, &v, &n->f->err));
	assert_true(digest_equal(&v->digest, &n->second));
	assert_string_equal(v->message, "second");
	assert_string_equal(v->volume, "data");
	assert_int_equal(v->n_layers, 1);
	assert_int_equal(v->layers[0].tar_size, 1024);
	assert_int_equal(v->layers[0].tar.bytes[0], 0x77);
	assert_int_equal(v->layers[0].object.bytes[0], 0x88);
}

static struct digest config_of(struct fixture *f, const struct digest *version)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char key[STORE_KEY_MAX];
	struct digest config;

	assert_ok(f, store_get(f->host->store, store_key_blob(key, version),
			       1 << 20, &b, &f->err));
	assert_ok(f, version_config_digest(b.data, b.size, &config, &f->err));
	return config;
}

static void assert_unloadable(struct fixture *f, const struct digest *version,
			      int error, const char *words)
{
	struct version *v = NULL;

	assert_refused(f, version_load(f->host, version, &v, &f->err), error,
		       words);
	assert_null(v);
}

static void spoil(struct fixture *f, const struct digest *blob)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char key[STORE_KEY_MAX];

	store_key_blob(key, blob);
	assert_ok(f, store_get(f->host->store, key, 1 << 20, &b, &f->err));
	b.data[b.size / 2] ^= 1;
	assert_ok(f,
		  store_replace(f->host->store, key, b.data, b.size, &f->err));
}

static void test_damaged_and_missing_blobs_are_told(void **state)
{
	struct names *n = *state;
	struct fixture *f = n->f;
	struct digest first = config_of(f, &n->first);
	struct digest second = config_of(f, &n->second);
	char key[STORE_KEY_MAX];

	spoil(f, &first);
	assert_unloadable(f, &n->first, EBADMSG, "config");
	spoil(f, &n->first);
	assert_unloadable(f, &n->first, EBADMSG, "manifest");
	assert_ok(f, store_remove(f->host->store, store_key_blob(key, &second),
				  &f->err));
	assert_unloadable(f, &n->second, EBADMSG, "is missing in the store");
	assert_ok(f, store_remove(f->host->store,
				  store_key_blob(key, &n->second), &f->err));
	assert_unloadable(f, &n->second, EBADMSG, "is missing in the store");
}

static void test_times_are_written_in_utc(void **state)
{
	char text[TIME_TEXT_SIZE];

	(void)state;
	assert_string_equal(time_text(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(time_text(-62135596800, text), "1-01-01T00:00:00Z");
	assert_string_equal(time_text(1709164800, text),
			    "2024-02-29T00:00:00Z");
}

int main(void)
{
#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, setup_names, teardown_names)
	const struct CMUnitTest tests[] = {
		T(test_names_mean_their_newest_version),
		T(test_sequences_mean_that_version),
		T(test_tags_mean_what_they_stand_for),
		T(test_digests_whole_or_cut_mean_themselves),
		T(test_what_means_nothing_is_told),
		T(test_stored_versions_are_loaded_again),
		T(test_damaged_and_missing_blobs_are_told),
		cmocka_unit_test(test_times_are_written_in_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
