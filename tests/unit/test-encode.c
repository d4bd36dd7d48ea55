/* SPDX-License-Identifier: Apache-2.0 */

/* The API's objects as JSON: whatever the bytes of names, the text is UTF-8
 * and the bytes can be had back. */

#include "server/encode.h"
#include "util/cleanup.h"
#include "util/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* Takes over value; its text must be want. */
static void assert_json(json_t *value, const char *want)
{
	_cleanup_free_ char *text = NULL;

	assert_non_null(value);
	text = json_dumps(value,
			  JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(value);
	assert_non_null(text);
	assert_string_equal(text, want);
}

static void test_bytes_are_escaped_and_can_be_had_back(void **state)
{
	_cleanup_buf_ struct buf back = BUF_INIT;
	char all[256];
	json_t *value;

	(void)state;
	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = 0;
	value = encode_bytes(all);
	assert_non_null(value);
	assert_int_equal(unescape_bytes(&back, json_string_value(value)), 0);
	assert_string_equal(buf_str(&back), all);
	json_decref(value);
	assert_json(encode_bytes("a\xff\n\\"), "\"a\\\\xff\\\\x0a\\\\x5c\"");
	assert_json(encode_bytes("\xc3\xa9"), "\"\xc3\xa9\"");
	assert_json(encode_bytes(""), "\"\"");
	assert_json(encode_bytes(NULL), "null");
}

static void test_times_are_in_utc(void **state)
{
	(void)state;
	assert_json(encode_time(0), "\"1970-01-01T00:00:00Z\"");
	assert_json(encode_time(-1), "\"1969-12-31T23:59:59Z\"");
	assert_json(encode_time(4102444800), "\"2100-01-01T00:00:00Z\"");
}

static void test_times_that_no_calendar_has_are_still_text(void **state)
{
	static const int64_t times[] = {INT64_MAX, INT64_MIN, INT64_MAX / 2};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		json_t *value = encode_time(times[i]);

		assert_true(json_is_string(value));
		assert_true(json_string_length(value) < TIME_TEXT_SIZE);
		json_decref(value);
	}
}

#define AA                                                                     \
	"sha256:"                                                              \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BB                                                                     \
	"sha256:"                                                              \
	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void test_version_of_a_volume_has_its_reference_and_tags(void **state)
{
	struct version_layer layers[] = {{.tar_size = 5}, {.tar_size = 7}};
	struct label labels[] = {{"k", "v"}};
	struct version v = {.layers = layers,
			    .n_layers = 2,
			    .volume = "origin",
			    .sequence = 3,
			    .created = 0,
			    .message = "hello\n\xc3\xa9",
			    .consistency = "settled",
			    .changed = 8,
			    .added = 9,
			    .labels = labels,
			    .n_labels = 1,
			    .has_parent = true};
	struct volume_tag tags[] = {{.name = "not"}, {.name = "this"}};
	struct volume volume = {.name = "data", .tags = tags, .n_tags = 2};

	(void)state;
	memset(&v.digest, 0xaa, DIGEST_SIZE);
	memset(&v.parent, 0xbb, DIGEST_SIZE);
	memset(&layers[0].tar, 0xbb, DIGEST_SIZE);
	memset(&layers[1].tar, 0xaa, DIGEST_SIZE);
	tags[1].version = v.digest;
	assert_json(encode_version(&v, &volume, 12),
		    "{\"added\":9,\"changed\":8,\"consistency\":\"settled\","
		    "\"created\":\"1970-01-01T00:00:00Z\",\"digest\":\"" AA
		    "\",\"labels\":{\"k\":\"v\"},\"layers\":[{\"digest\":\"" BB
		    "\",\"size\":5},{\"digest\":\"" AA
		    "\",\"size\":7}],\"message\":\"hello\\n\xc3\xa9\","
		    "\"parent\":\"" BB "\",\"reference\":\"data@12\","
		    "\"sequence\":3,\"size\":12,\"tags\":[\"this\"],"
		    "\"volume\":\"origin\"}");
}

static void test_version_by_digest_is_referred_to_by_digest(void **state)
{
	struct version v = {0};

	(void)state;
	memset(&v.digest, 0xaa, DIGEST_SIZE);
	assert_json(
		encode_version(&v, NULL, 0),
		"{\"added\":0,\"changed\":0,\"consistency\":\"\","
		"\"created\":\"1970-01-01T00:00:00Z\",\"digest\":\"" AA
		"\",\"labels\":{},\"layers\":[],\"message\":\"\","
		"\"parent\":null,\"reference\":\"" AA
		"\",\"sequence\":0,\"size\":0,\"tags\":[],\"volume\":\"\"}");
}

static void test_entry_of_each_kind_has_its_kind(void **state)
{
	static const struct {
		uint32_t mode, flags;
		const char *kind;
	} kinds[] = {
		{S_IFREG | 0644, 0, "file"},
		{S_IFDIR | 0755, 0, "directory"},
		{S_IFLNK | 0777, 0, "symlink"},
		{S_IFIFO | 0600, 0, "fifo"},
		{S_IFBLK | 0600, 0, "block"},
		{S_IFCHR | 0600, 0, "character"},
		{S_IFREG | 0644, ENTRY_HARDLINK, "hardlink"},
		{S_IFCHR, ENTRY_WHITEOUT, "whiteout"},
		{0, ENTRY_WHITEOUT, "whiteout"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct entry e = {.path = "p",
				  .mode = kinds[i].mode,
				  .flags = kinds[i].flags};
		json_t *o = encode_entry(&e);
		bool device = kinds[i].mode == (S_IFBLK | 0600) ||
			      kinds[i].mode == (S_IFCHR | 0600);

		assert_string_equal(
			json_string_value(json_object_get(o, "kind")),
			kinds[i].kind);
		assert_int_equal(json_integer_value(json_object_get(o, "mode")),
				 kinds[i].mode & 07777);
		assert_int_equal(!!json_object_get(o, "device"), device);
		assert_int_equal(!!json_object_get(o, "payload"), i == 0);
		json_decref(o);
	}
}

static void test_entry_tells_all_that_it_has(void **state)
{
	static const struct extent extents[] = {{4096, 10}, {8192, 4096}};
	static const struct xattr xattrs[] = {{"user.\xff", "v", 1},
					      {"user.b", "", 0}};
	struct entry e = {.path = "d/\xff\n",
			  .mode = S_IFREG | 07777,
			  .uid = UINT32_MAX,
			  .gid = 1,
			  .mtime = -5,
			  .mtime_nsec = 999999999,
			  .size = 12288,
			  .sparse = true,
			  .extents = extents,
			  .n_extents = 2,
			  .payload = 1536,
			  .xattrs = xattrs,
			  .n_xattrs = 2};

	(void)state;
	assert_json(encode_entry(&e),
		    "{\"extents\":[{\"length\":10,\"offset\":4096},"
		    "{\"length\":4096,\"offset\":8192}],\"gid\":1,"
		    "\"kind\":\"file\",\"mode\":4095,\"mtime\":-5,"
		    "\"mtime_nsec\":999999999,"
		    "\"path\":\"d/\\\\xff\\\\x0a\",\"payload\":1536,"
		    "\"size\":12288,\"uid\":4294967295,"
		    "\"xattrs\":[\"user.\\\\xff\",\"user.b\"]}");
	e = (struct entry){
		.path = "d", .mode = S_IFDIR | 0755, .flags = ENTRY_OPAQUE};
	assert_json(encode_entry(&e),
		    "{\"gid\":0,\"kind\":\"directory\",\"mode\":493,"
		    "\"mtime\":0,\"mtime_nsec\":0,\"opaque\":true,"
		    "\"path\":\"d\",\"size\":0,\"uid\":0}");
	e = (struct entry){
		.path = "l", .mode = S_IFLNK | 0777, .target = "\x80\\"};
	assert_json(encode_entry(&e),
		    "{\"gid\":0,\"kind\":\"symlink\",\"mode\":511,"
		    "\"mtime\":0,\"mtime_nsec\":0,\"path\":\"l\",\"size\":0,"
		    "\"target\":\"\\\\x80\\\\x5c\",\"uid\":0}");
	e = (struct entry){.path = "c",
			   .mode = S_IFCHR | 0600,
			   .rdev_major = UINT32_MAX,
			   .rdev_minor = 7};
	assert_json(encode_entry(&e),
		    "{\"device\":\"4294967295:7\",\"gid\":0,"
		    "\"kind\":\"character\",\"mode\":384,\"mtime\":0,"
		    "\"mtime_nsec\":0,\"path\":\"c\",\"size\":0,\"uid\":0}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_are_escaped_and_can_be_had_back),
		cmocka_unit_test(test_times_are_in_utc),
		cmocka_unit_test(
			test_times_that_no_calendar_has_are_still_text),
		cmocka_unit_test(
			test_version_of_a_volume_has_its_reference_and_tags),
		cmocka_unit_test(
			test_version_by_digest_is_referred_to_by_digest),
		cmocka_unit_test(test_entry_of_each_kind_has_its_kind),
		cmocka_unit_test(test_entry_tells_all_that_it_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
