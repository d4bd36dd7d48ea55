/* SPDX-License-Identifier: Apache-2.0 */
/* What an input is told to be, and that its bytes come out as they went in,
 * however they arrive. */
#include "tar-fixture.h"

#include "format/archive-input.h"

#include <errno.h>

/* Bytes in memory that come in pieces. */
struct source {
	const struct buf *data;
	size_t at;
	size_t piece;
	int fail_at;   /* -1: never */
	bool canceled; /* and without a sentence */
};

static ssize_t read_piece(void *data, size_t size, void *ctx, struct err *err)
{
	struct source *s = ctx;
	size_t n = MIN(MIN(size, s->piece), s->data->size - s->at);

	if (s->fail_at >= 0 && s->at >= (size_t)s->fail_at)
		return s->canceled ? -ECANCELED
				   : err_set(err, EIO, "the disk is broken");
	if (n)
		memcpy(data, s->data->data + s->at, n);
	s->at += n;
	return (ssize_t)n;
}

static int read_input(struct source *s, struct buf *ret, const char **ret_name,
		      enum archive_kind *ret_kind, struct err *err)
{
	const struct archive_source source = {read_piece, s, "a.tar"};
	_cleanup_(archive_input_freep) struct archive_input *in = NULL;
	uint8_t block[1000];
	ssize_t n;
	int r = archive_input_open(&in, &source, err);

	if (r < 0)
		return r;
	*ret_name = archive_input_compression(in);
	*ret_kind = archive_input_kind(in);
	while ((n = archive_input_read(in, block, sizeof(block), err)) > 0)
		assert_int_equal(buf_add(ret, block, (size_t)n), 0);
	return (int)n;
}

static void assert_read(const struct buf *data, const struct buf *expected,
			const char *compression, enum archive_kind kind)
{
	static const size_t pieces[] = {1, 1000, 1 << 30};

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		_cleanup_buf_ struct buf got = BUF_INIT;
		struct source s = {data, 0, pieces[i], -1, false};
		struct err err = ERR_INIT;
		enum archive_kind is;
		const char *name;

		if (read_input(&s, &got, &name, &is, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(is, kind);
		if (compression)
			assert_string_equal(name, compression);
		else
			assert_null(name);
		assert_int_equal(got.size, expected->size);
		assert_memory_equal(got.data, expected->data, got.size);
	}
}

static void assert_refused(const struct buf *data, int code,
			   const char *sentence)
{
	_cleanup_buf_ struct buf got = BUF_INIT;
	struct source s = {data, 0, 4096, -1, false};
	struct err err = ERR_INIT;
	enum archive_kind kind;
	const char *name;

	if (read_input(&s, &got, &name, &kind, &err) != -code)
		fail_msg("accepted %zu bytes (%s) as %zu", data->size, name,
			 got.size);
	if (!strstr(err.text, sentence))
		fail_msg("\"%s\" does not say \"%s\"", err.text, sentence);
}

/* A tarball that does not fit into any buffer on the way. */
static void make_tar(struct buf *tar)
{
	struct entry e = {.path = "f", .mode = S_IFREG, .size = 600000};

	(void)add_entry(tar, &e);
	for (size_t i = TAR_BLOCK; i < 300000; i += 3)
		tar->data[i] = (uint8_t)(i * i >> 7);
	assert_int_equal(tar_add_end(tar), 0);
}

/* What a tool makes of data. */
static bool compress(const char *tool, const struct buf *data, struct buf *ret)
{
	const char *const argv[] = {tool, "-c", "in", NULL};
	_cleanup_close_ int dir = -1, out = -1;
	char path[64];

	if (!has_tool(tool))
		return false;
	assert_int_equal(make_directory(path), 0);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(write_file_at(dir, "in", data->data, data->size, 0600),
			 0);
	out = openat(dir, "out", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(run_tool(path, "C", argv, out), 0);
	assert_int_equal(read_file_at(dir, "out", 1u << 30, ret), 0);
	assert_int_equal(remove_tree_at(AT_FDCWD, path), 0);
	return true;
}

static const char *const tools[] = {"gzip", "bzip2", "xz", "zstd", "lz4"};

static void test_a_tarball_comes_out_as_it_is(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;

	make_tar(&tar);
	/* What is behind the end belongs to it. */
	assert_int_equal(buf_add_str(&tar, "garbage"), 0);
	assert_read(&tar, &tar, NULL, ARCHIVE_TAR);
}

static void test_each_compression_is_taken_off(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;

	make_tar(&tar);
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		_cleanup_buf_ struct buf packed = BUF_INIT;

		if (!compress(tools[i], &tar, &packed)) {
			print_message("no %s here\n", tools[i]);
			continue;
		}
		assert_read(&packed, &tar, tools[i], ARCHIVE_TAR);
		/* Cut off; what was given out before is not the whole. */
		packed.size -= 20;
		assert_refused(&packed, EBADMSG, "damaged or cut off");
		packed.size = packed.size / 2;
		assert_refused(&packed, EBADMSG, "damaged or cut off");
		packed.size = 20;
		assert_refused(&packed, EBADMSG, "a.tar");
	}
}

static void test_several_compressed_streams_follow_one_another(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;

	make_tar(&tar);
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		_cleanup_buf_ struct buf first = BUF_INIT, both = BUF_INIT;
		const struct buf half = {tar.data, 300000, 0};
		const struct buf rest = {tar.data + 300000, tar.size - 300000,
					 0};

		if (!compress(tools[i], &half, &both) ||
		    !compress(tools[i], &rest, &first))
			continue;
		assert_int_equal(buf_add(&both, first.data, first.size), 0);
		assert_read(&both, &tar, tools[i], ARCHIVE_TAR);
	}
}

static void test_a_compressed_compressed_archive_is_refused(void **state)
{
	_cleanup_buf_ struct buf tar = BUF_INIT;

	make_tar(&tar);
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		_cleanup_buf_ struct buf once = BUF_INIT, twice = BUF_INIT;

		if (!compress(tools[i], &tar, &once) ||
		    !compress(tools[i], &once, &twice))
			continue;
		assert_refused(&twice, EINVAL, tools[i]);
	}
}

static void test_what_is_no_archive_is_refused(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_refused(&b, EINVAL, "a.tar is empty");
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		_cleanup_buf_ struct buf packed = BUF_INIT;

		if (compress(tools[i], &b, &packed))
			assert_refused(&packed, EINVAL,
				       "what is in it is no archive");
	}
	assert_int_equal(buf_add_str(&b, "hello"), 0);
	assert_refused(&b, EINVAL,
		       "no archive that layerd can read; known are tar");
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		_cleanup_buf_ struct buf packed = BUF_INIT;

		if (compress(tools[i], &b, &packed))
			assert_refused(&packed, EINVAL,
				       "what is in it is no archive");
	}
	/* A disk image begins with zeros. */
	b.size = 0;
	assert_int_equal(buf_add_zero(&b, 1024), 0);
	assert_int_equal(buf_add_str(&b, "super block"), 0);
	assert_refused(&b, EINVAL, "no archive");
	b.size = 0;
	assert_int_equal(buf_add_zero(&b, 1 << 20), 0);
	assert_refused(&b, EINVAL, "no archive");
}

static void test_an_archive_without_entries_is_one(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(buf_add_zero(&b, 10240), 0);
	assert_read(&b, &b, NULL, ARCHIVE_TAR);
}

static void test_a_member_may_have_the_name_of_a_magic(void **state)
{
	static const char *const names[] = {"BZh", "070701", "\x1f\x8b"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_buf_ struct buf tar = BUF_INIT;

		add_raw(&tar, &(struct raw){.name = names[i], .type = '0'});
		assert_int_equal(tar_add_end(&tar), 0);
		assert_read(&tar, &tar, NULL, ARCHIVE_TAR);
	}
}

static void assert_fails(const struct buf *data, int at, bool canceled)
{
	_cleanup_buf_ struct buf got = BUF_INIT;
	struct source s = {data, 0, 1000, at, canceled};
	struct err err = ERR_INIT;
	enum archive_kind kind;
	const char *name;

	assert_int_equal(read_input(&s, &got, &name, &kind, &err),
			 canceled ? -ECANCELED : -EIO);
	assert_string_equal(err.text, canceled ? "" : "the disk is broken");
}

static void test_an_error_of_the_source_is_told_as_it_is(void **state)
{
	static const int places[] = {0, 1000, 100000};
	_cleanup_buf_ struct buf tar = BUF_INIT;

	make_tar(&tar);
	for (size_t i = 0; i <= ARRAY_SIZE(tools); i++) {
		_cleanup_buf_ struct buf packed = BUF_INIT;

		if (i && !compress(tools[i - 1], &tar, &packed))
			continue;
		for (size_t p = 0; p < ARRAY_SIZE(places); p++) {
			const struct buf *data = i ? &packed : &tar;

			if ((size_t)places[p] >= data->size)
				continue;
			assert_fails(data, places[p], false);
			assert_fails(data, places[p], true);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_tarball_comes_out_as_it_is),
		cmocka_unit_test(test_each_compression_is_taken_off),
		cmocka_unit_test(
			test_several_compressed_streams_follow_one_another),
		cmocka_unit_test(
			test_a_compressed_compressed_archive_is_refused),
		cmocka_unit_test(test_what_is_no_archive_is_refused),
		cmocka_unit_test(test_an_archive_without_entries_is_one),
		cmocka_unit_test(test_a_member_may_have_the_name_of_a_magic),
		cmocka_unit_test(test_an_error_of_the_source_is_told_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
